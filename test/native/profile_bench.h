// A ProfileBench is a rig with a profiler. The functions below it read what a profile has written.
//
// Thread-safety:       as its parts; see profile/profiler.h.
// Async-signal-safety: none.

#pragma once

#include <dirent.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "child.h"
#include "profile/profiler.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kHour = 3600 * 1000 * kMs;

inline StoreSpec ProfileSchema() {
  return SchemaBuilder().Group("g", {Inc("n"), Gauge("level"), Latency("time")}).PerDevice("d", {Inc("n")}).Build("profile");
}

struct ProfileBench : Rig {
  ProfileBench() : Rig(ProfileSchema()), profiler(cells) {}

  ProfileSpec SpecOf(const std::string& path, uint64_t interval_ns, std::vector<std::string> paths = {"g.n"}) {
    ProfileSpec made;
    made.header = "Time (ns)";
    for (const std::string& name : paths) {
      made.cells.push_back(CellOf(spec, name));
      made.header += "\t" + name;
    }
    made.header += "\n";
    made.interval_ns = interval_ns;
    made.path = path;
    return made;
  }
  std::shared_ptr<Profile> Start(ProfileSpec&& made) {
    std::shared_ptr<Profile> profile;
    status = profiler.Start(std::move(made), &profile);
    return profile;
  }

  Profiler profiler;
};

// The rows of a profile, as numbers. Checks the header, and that the last row ends with a newline.
using Rows = std::vector<std::vector<uint64_t>>;
inline Rows RowsOf(const std::string& text, const std::string& header) {
  CHECK_EQ(text.substr(0, header.size()), header);
  CHECK(!text.empty() && text.back() == '\n');
  Rows rows;
  std::istringstream lines(text.substr(std::min(text.size(), header.size())));
  for (std::string line; std::getline(lines, line);) {
    std::vector<uint64_t> row;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(std::strtoull(field.c_str(), nullptr, 10));
    rows.push_back(row);
  }
  return rows;
}

inline pid_t ThreadNamed(const std::string& name) {
  pid_t found = 0;
  DIR* const listed = opendir("/proc/self/task");
  while (const dirent* const entry = readdir(listed)) {
    if (TextOf(std::string("/proc/self/task/") + entry->d_name + "/comm") == name + "\n") found = std::atoi(entry->d_name);
  }
  closedir(listed);
  return found;
}

inline int EntriesIn(const char* path) {
  int entries = 0;
  DIR* const listed = opendir(path);
  while (readdir(listed) != nullptr) entries++;
  closedir(listed);
  return entries;
}

// Waits for rows: on a busy machine, the threads of a profile may begin late.
inline void AwaitRows(const std::string& path, int rows) {
  const auto are_there = [&] {
    const std::string text = TextOf(path);
    return std::count(text.begin(), text.end(), '\n') > rows;  // the header is one line more
  };
  for (int i = 0; i < kChildLimitMs && !are_there(); i++) SleepMs(1);
}

}  // namespace vmm
