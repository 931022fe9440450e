// Reads the lines that flushes have written. The reader is strict: a broken line, two lines in one, or a line with a
// key twice is an error.
//
// Thread-safety:       plain functions.
// Async-signal-safety: none.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace vmm {

// The numbers of a line by path, such as "vcpu.run.sum_us" or "g.h.bucket_counts[2]". Escapes in keys stay as they are
// in the line. A negative number is modulo 2^64.
using Values = std::map<std::string, uint64_t>;

class LineReader {
 public:
  explicit LineReader(const std::string& line) : line_(line) {}

  // Returns false unless the line is one object without spaces that contains only objects, arrays of numbers and 64-bit
  // numbers.
  bool Read(Values* values) { return Object("", values) && at_ == line_.size(); }

 private:
  bool Take(char c) {
    if (at_ >= line_.size() || line_[at_] != c) return false;
    at_++;
    return true;
  }

  bool Object(const std::string& path, Values* values) {
    if (!Take('{')) return false;
    std::map<std::string, bool> seen;
    do {
      std::string key;
      if (!Key(&key) || !Take(':') || !seen.emplace(key, true).second) return false;
      const std::string inner = path.empty() ? key : path + "." + key;
      if (!Value(inner, values)) return false;
    } while (Take(','));
    return Take('}');
  }

  bool Value(const std::string& path, Values* values) {
    const char next = at_ < line_.size() ? line_[at_] : '\0';
    if (next == '{') return Object(path, values);
    if (next == '[') return Array(path, values);
    const bool is_negative = Take('-');
    uint64_t& value = (*values)[path];
    if (!Number(&value)) return false;
    if (is_negative) value = -value;
    return true;
  }

  bool Array(const std::string& path, Values* values) {
    Take('[');
    if (Take(']')) return true;
    int count = 0;
    do {
      if (!Number(&(*values)[path + "[" + std::to_string(count++) + "]"])) return false;
    } while (Take(','));
    return Take(']');
  }

  bool Key(std::string* key) {
    if (!Take('"')) return false;
    for (; at_ < line_.size() && line_[at_] != '"'; at_++) {
      if (static_cast<unsigned char>(line_[at_]) < 0x20) return false;
      if (line_[at_] == '\\') *key += line_[at_++];
      if (at_ < line_.size()) *key += line_[at_];
    }
    return Take('"');
  }

  bool Number(uint64_t* value) {
    const size_t begin = at_;
    uint64_t number = 0;
    for (; at_ < line_.size() && line_[at_] >= '0' && line_[at_] <= '9'; at_++) {
      const uint64_t digit = static_cast<uint64_t>(line_[at_] - '0');
      if (number > (~uint64_t{0} - digit) / 10) return false;
      number = number * 10 + digit;
    }
    *value = number;
    return at_ > begin && (at_ == begin + 1 || line_[begin] != '0');
  }

  const std::string& line_;
  size_t at_ = 0;
};

// The lines of a text. The tail is the text after the last newline; it is not a line yet.
struct Lines {
  explicit Lines(const std::string& text) {
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      texts.push_back(text.substr(begin, end - begin));
      values.emplace_back();
      if (!LineReader(texts.back()).Read(&values.back())) broken++;
    }
    tail = text.substr(begin);
  }

  size_t count() const { return texts.size(); }

  // The sum of an inc metric over all lines. A line without the metric adds nothing.
  uint64_t Sum(const std::string& path) const {
    uint64_t sum = 0;
    for (const Values& line : values) {
      const auto found = line.find(path);
      if (found != line.end()) sum += found->second;
    }
    return sum;
  }

  std::vector<std::string> texts;
  std::vector<Values> values;
  std::string tail;
  int broken = 0;
};

}  // namespace vmm
