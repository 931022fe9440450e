#include "profile/profile_outputs.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace vmm {

namespace {

struct Taken {
  std::mutex mutex;
  std::vector<Sink::Position> files;
};

// Never destroyed: a writing thread may outlive the end of main().
Taken& TheTaken() {
  static Taken* const taken = new Taken;
  return *taken;
}

auto Find(std::vector<Sink::Position>& files, const Sink::Position& file) {
  return std::find_if(files.begin(), files.end(), [&](const Sink::Position& other) { return other.IsFile(file); });
}

}  // namespace

bool ProfileOutputs::Take(const Sink::Position& file) {
  if (!file.is_regular_file) return true;
  Taken& taken = TheTaken();
  const std::lock_guard<std::mutex> lock(taken.mutex);
  if (Find(taken.files, file) != taken.files.end()) return false;
  taken.files.push_back(file);
  return true;
}

void ProfileOutputs::GiveBack(const Sink::Position& file) {
  if (!file.is_regular_file) return;
  Taken& taken = TheTaken();
  const std::lock_guard<std::mutex> lock(taken.mutex);
  const auto found = Find(taken.files, file);
  if (found != taken.files.end()) taken.files.erase(found);
}

}  // namespace vmm
