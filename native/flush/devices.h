// Devices are the devices of a store with their ids and cells: what alloc(), remove() and ids() work on. They also keep
// the lists that flushes walk.
//
// Thread-safety:       every function is called under the store's lock; Erase only inside Flusher::TryQuiet. Any thread
//                      may walk the lists.
// Async-signal-safety: none, but handlers may walk the lists, see device_list.h.
// Lifetime:            a device keeps its cells until it is erased. When a removed id is allocated again, that makes
//                      another device.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flush/device_list.h"

namespace vmm {

class Devices {
 public:
  // `groups` are the keys of the groups; `keys` are those keys of the line that a device must not take.
  Devices(std::vector<std::string> groups, const std::vector<std::string>& keys);

  // The living device of that id, or null.
  const Device* Find(uint32_t group, const std::string& id) const;
  // Whether the key that a device of that id would have in the line belongs to something else.
  bool IsKeyTaken(uint32_t group, const std::string& id) const;
  // Whether the key belongs to a device of that id, living or removed.
  bool HasKey(uint32_t group, const std::string& id) const;
  // The length of the key in the line.
  uint32_t KeyBytes(uint32_t group, const std::string& id) const;

  // Throws when there is no memory; then nothing has changed.
  Device* Add(uint32_t group, const std::string& id, uint32_t first_cell, uint32_t directory_entry = 0);
  // A device that only the aggregate shows. It costs a flush nothing before it is linked.
  Device* MakeHidden(uint32_t first_cell);
  // Puts a hidden device into the list of its group, before all others there. Call it before anything is counted in the
  // device. A second call is harmless.
  void LinkHidden(uint32_t group, Device* hidden);
  // Removes the living device of that id. Null when there is none. `keeps_key`: the device keeps its key until it is
  // erased, for deltas that no line has shown yet.
  const Device* Remove(uint32_t group, const std::string& id, bool keeps_key = false);
  // Frees a device that was removed. True if that also freed a key that the device had kept.
  bool Erase(uint32_t group, const Device* device);

  // The device whose cells begin there, living or removed; null when there is none.
  const Device* At(uint32_t group, uint32_t first_cell) const;
  const std::string& IdOf(uint32_t group, const Device& device) const;

  struct Entry {
    std::string id;
    const Device* device;
  };
  // The living devices of a group, sorted by the bytes of their ids.
  std::vector<Entry> Living(uint32_t group) const;
  // How many living devices all groups have together.
  size_t living_count() const {
    size_t count = 0;
    for (const auto& living : living_) count += living.size();
    return count;
  }

  size_t living_count(uint32_t group) const { return living_[group].size(); }
  // How often a device has been made or removed. While this stays, the living devices are the same.
  uint64_t changes() const { return changes_; }

  const DeviceLists& lists() const { return view_; }

 private:
  struct Node;
  // By id, in the order of the bytes: std::string compares bytes as unsigned.
  using Nodes = std::multimap<std::string, std::unique_ptr<Node>>;
  struct Node {
    Device device;
    std::string literal;
    Nodes::iterator position;
  };

  std::string KeyOf(uint32_t group, const std::string& id) const { return groups_[group] + "_" + id; }

  Device* Before(uint32_t group, Nodes::iterator position);

  const std::vector<std::string> groups_;
  std::unique_ptr<DeviceList[]> lists_;
  DeviceLists view_;
  std::vector<std::unique_ptr<Device>> hidden_;
  std::vector<Device*> last_hidden_;  // the newest linked one of each group; null: none
  std::vector<Nodes> nodes_;
  std::vector<std::map<std::string, Node*>> living_;
  std::vector<std::map<uint32_t, Node*>> by_cell_;
  // The owner of each key of the line: the number of a group, or kNoDevice.
  std::map<std::string, uint32_t> keys_;
  uint64_t changes_ = 0;
};

}  // namespace vmm
