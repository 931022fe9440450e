// The thread that writes a line to the sink has a fault: before, amid or after the bytes. If some bytes of the line are
// in a file, the handler completes the line. If the sink is a pipe, nobody can tell how many bytes are out, so the last
// line repeats the counts of the unsettled line.

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>

#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "crash_scene.h"
#include "host_handler.h"

// The sanitizers replace write() themselves, and their write() must be called first.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
namespace vmm {
namespace {

enum class When { kNever, kBefore, kHalf, kAllButOne, kAfter };
When g_when = When::kNever;
int g_signal = 0;
bool g_is_sent = false;             // the signal is sent, and there is no fault
volatile char* g_memory = nullptr;  // the address of the fault; null: any address

void ComeToGrief() {
  g_when = When::kNever;
  if (g_is_sent) {
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), g_signal);
  } else if (g_signal == SIGABRT) {
    std::abort();
  } else if (g_memory != nullptr) {
    *g_memory = 1;
  } else {
    Fault();
  }
}

}  // namespace
}  // namespace vmm

extern "C" ssize_t write(int fd, const void* bytes, size_t count) {
  using namespace vmm;
  const auto out = [&](size_t most) { return static_cast<ssize_t>(syscall(SYS_write, fd, bytes, most)); };
  const bool is_line = count > 100 && static_cast<const char*>(bytes)[count - 1] == '\n';
  if (g_when == When::kNever || !is_line) return out(count);
  const When when = g_when;
  const ssize_t written = when == When::kBefore ? 0
                                                : out(when == When::kHalf    ? count / 2
                                                      : when == When::kAfter ? count
                                                                             : count - 1);
  ComeToGrief();
  return when == When::kBefore ? out(count) : written;
}

namespace vmm {
namespace {

// glibc's abort() unblocks its signal first. musl's does not: where the signal is blocked, as while a line is written,
// musl restores the default and kills, and no handler is called.
#if defined(__GLIBC__)
constexpr int kFaultSignals[] = {SIGSEGV, SIGABRT};
#else
constexpr int kFaultSignals[] = {SIGSEGV};
#endif

constexpr When kEach[] = {When::kBefore, When::kHalf, When::kAllButOne, When::kAfter};

// Adds 5 and flushes, then adds 7. The fault or signal comes in the second flush, on this thread or on a thread that
// only flushes.
void FlushIntoTrouble(Scene& scene, When when, int signal, bool is_sent, bool on_thread) {
  scene.Add(5);
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  scene.Add(7);
  g_signal = signal;
  g_is_sent = is_sent;
  g_when = when;
  if (on_thread) {
    std::thread([&] { scene.Flush(); }).join();
  } else {
    scene.Flush();
  }
  _exit(3);
}

TEST(
    "given a file, when the thread that writes a line has a fault there, then all lines are whole, and together have every add "
    "once") {
  for (const int signal : kFaultSignals) {
    for (const When when : kEach) {
      for (const bool on_thread : {false, true}) {
        Scene scene("fault");
        const Death death = InChild([&] {
          scene.Capture();
          FlushIntoTrouble(scene, when, signal, false, on_thread);
        });
        CHECK_EQ(death.signal, signal);
        const Lines lines = scene.lines();
        // If some bytes of the second line were out, the handler completed the line.
        const size_t before = when == When::kBefore ? 1 : 2;
        scene.CheckLastLine(signal, before);
        CHECK_EQ(lines.Sum("g.i"), 12);
        CHECK_EQ(scene.store->cells().region().header().unsettled.load(), 0);
      }
    }
  }
}

TEST(
    "given a file to which others append, when the thread that writes has a fault, then no add is missing, and the record says "
    "it is open") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    scene.Add(5);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    scene.Add(7);
    g_signal = SIGSEGV;
    g_is_sent = false;
    FILE* const other = std::fopen((scene.folder / "f").c_str(), "a");
    std::fputs("{\"other\":1}\n", other);
    std::fclose(other);
    g_when = When::kAfter;
    scene.Flush();
    _exit(3);
  });
  CHECK_EQ(death.signal, SIGSEGV);
  const std::string text = TextOf(scene.folder / "f");
  CHECK(text.back() == '\n');
  CHECK(text.find("\"segv\":1") != std::string::npos);
}

TEST(
    "given a pipe, when the thread that writes a line has a fault there, then no add is missing, and the record says that nobody "
    "can tell") {
  for (const When when : kEach) {
    Scene scene("pipe");
    const std::string fifo = scene.folder / "fifo";
    CHECK_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
    const Death death = InChild([&] {
      scene.Capture(fifo);
      FlushIntoTrouble(scene, when, SIGSEGV, false, false);
    });
    CHECK_EQ(death.signal, SIGSEGV);
    std::string text(1 << 16, '\0');
    const ssize_t bytes = read(reader, text.data(), text.size());
    close(reader);
    text.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
    CHECK(!text.empty() && text.back() == '\n');
    CHECK_EQ(scene.Pending("g.i"), 0);
    CHECK_EQ(scene.store->cells().region().header().unsettled.load(), 1);
    // The last line has all counts of the unsettled line and does not continue a half line.
    const std::string last = text.substr(text.rfind('\n', text.size() - 2) + 1);
    const Lines lines(last);
    CHECK_EQ(lines.broken, 0);
    if (CHECK_EQ(lines.count(), 1)) CHECK_EQ(lines.values[0].at("g.i"), 7);
  }
}

TEST(
    "given a fault signal that is sent while a line is half out, when the rest of the line is out, then the signal is delivered, "
    "and kills") {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGTERM}) {
    Scene scene("sent");
    const Death death = InChild([&] {
      scene.Capture();
      scene.Add(5);
      g_signal = signal;
      g_is_sent = true;
      g_when = When::kHalf;
      scene.Flush();
      _exit(3);
    });
    CHECK_EQ(death.signal, signal);
    const Lines lines = scene.lines();
    scene.CheckLastLine(signal, 1);
    CHECK_EQ(lines.Sum("g.i"), 5);
  }
}

TEST(
    "given a handler below ours that mends the fault, when the flush goes on, then it fails, and later lines carry what came "
    "since") {
  CheckInChild([] {
    Scene scene;
    InstallHandler(SIGSEGV, [](int) { mprotect(const_cast<char*>(g_memory), 4096, PROT_READ | PROT_WRITE); });
    scene.Capture();
    scene.Add(5);
    g_memory = Forbidden();
    g_when = When::kAfter;
    CHECK_EQ(scene.Flush(), FlushResult::kFailed);  // the handler has settled this line and sent the last line
    scene.Add(7);
    Status status;
    for (int tries = 0; scene.store->Flush(&status) != FlushResult::kOut && tries < 1000; tries++) SleepMs(20);
    const Lines lines = scene.lines();
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.Sum("g.i"), 12);
  });
}

}  // namespace
}  // namespace vmm
#else
namespace vmm {
namespace {
TEST("given a sanitizer with a write() of its own, when a fault in write() is tested, then it is tested without the sanitizer") {
  CHECK(true);
}
}  // namespace
}  // namespace vmm
#endif
