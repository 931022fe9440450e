// Checks for the native tests: a test is a sentence and a block; a check that fails says where, and what was there.
//
//     TEST("given nothing, when counted, then 0") { CHECK_EQ(Count(), 0); }
//
// Thread-safety:       checks may be made on any thread.
// Async-signal-safety: none.
// Lifetime:            main() is here, so one file of each executable includes it. An argument selects the tests whose
//                      sentences contain it. An argument with a minus before it skips the tests whose sentences contain
//                      the rest.

#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace check {

struct Test {
  const char* sentence;
  void (*run)();
};
// Never destroyed: a test may end in a signal handler that calls exit().
inline std::vector<Test>& tests = *new std::vector<Test>;
inline std::atomic<int> made{0}, failed{0};

template <typename T>
std::string Shown(const T& value) {
  if constexpr (std::is_convertible_v<T, std::string>) return "'" + std::string(value) + "'";
  if constexpr (std::is_enum_v<T>) return std::to_string(static_cast<int>(value));
  if constexpr (std::is_arithmetic_v<T>) return std::to_string(value);
}

// Compares numbers by value, also if one type is signed and the other is not.
template <typename A, typename B>
bool IsSame(const A& a, const B& b) {
  constexpr bool kNumbers = std::is_integral_v<A> && std::is_integral_v<B>;
  if constexpr (kNumbers) return (a > 0) == (b > 0) && static_cast<uint64_t>(a) == static_cast<uint64_t>(b);
  if constexpr (!kNumbers) return a == b;
}

inline bool Report(bool ok, const char* file, int line, const char* text) {
  made++;
  if (!ok) failed++, std::printf("%s:%d: %s\n", file, line, text);
  return ok;
}

template <typename A, typename B>
bool Equal(const A& a, const B& b, const char* file, int line, const char* text) {
  if (IsSame(a, b)) return Report(true, file, line, "");
  return Report(false, file, line, (text + Shown(a) + ", not " + Shown(b)).c_str());
}

}  // namespace check

// Both return whether the check held, so that a test can stop.
#define CHECK(condition) ::check::Report(static_cast<bool>(condition), __FILE__, __LINE__, "not so: " #condition)
#define CHECK_EQ(got, expected) ::check::Equal((got), (expected), __FILE__, __LINE__, #got " is ")

// Whether a test may lose memory that atomic operations use. ThreadSanitizer runs atomic operations inside its runtime
// and holds locks there. A fault handler would wait for these locks.
#if defined(__SANITIZE_THREAD__)
constexpr bool kMayLoseMemory = false;
#else
constexpr bool kMayLoseMemory = true;
#endif

#define CHECK_JOIN2(name, line) name##line
#define CHECK_JOIN(name, line) CHECK_JOIN2(name, line)
#define TEST(sentence)                                                                                                       \
  static void CHECK_JOIN(Test, __LINE__)();                                                                                  \
  static const bool CHECK_JOIN(listed, __LINE__) = (::check::tests.push_back({sentence, CHECK_JOIN(Test, __LINE__)}), true); \
  static void CHECK_JOIN(Test, __LINE__)()

namespace check {

// Whether the arguments select a test: one without a minus must be in the sentence, one with a minus must not.
inline bool IsSelected(const char* sentence, int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    const bool is_skip = argv[i][0] == '-';
    if ((std::strstr(sentence, argv[i] + (is_skip ? 1 : 0)) != nullptr) == is_skip) return false;
  }
  return true;
}

}  // namespace check

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line is written before a child is forked or dies
  for (const auto& [sentence, run] : check::tests) {
    if (!check::IsSelected(sentence, argc, argv)) continue;
    const int made = check::made, failed = check::failed;
    std::printf("  %s\n", sentence);  // printed first, so that a crash shows its test
    run();
    if (check::made == made) check::Report(false, __FILE__, __LINE__, "nothing was checked");
    if (check::failed != failed) std::printf("  FAILED: %s\n", sentence);
  }
  return check::failed == 0 && check::made != 0 ? 0 : 1;
}
