#include "profile/output_files.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace vmm {

namespace {

struct Taken {
  std::mutex mutex;
  std::vector<Sink::Place> places;
};

// Never destroyed: a writing thread may outlive the end of main().
Taken& TheTaken() {
  static Taken* const taken = new Taken;
  return *taken;
}

auto Find(std::vector<Sink::Place>& places, const Sink::Place& place) {
  return std::find_if(places.begin(), places.end(), [&](const Sink::Place& other) { return other.IsFile(place); });
}

}  // namespace

bool OutputFiles::Take(const Sink::Place& place) {
  if (!place.is_regular_file) return true;
  Taken& taken = TheTaken();
  const std::lock_guard<std::mutex> lock(taken.mutex);
  if (Find(taken.places, place) != taken.places.end()) return false;
  taken.places.push_back(place);
  return true;
}

void OutputFiles::GiveBack(const Sink::Place& place) {
  if (!place.is_regular_file) return;
  Taken& taken = TheTaken();
  const std::lock_guard<std::mutex> lock(taken.mutex);
  const auto found = Find(taken.places, place);
  if (found != taken.places.end()) taken.places.erase(found);
}

}  // namespace vmm
