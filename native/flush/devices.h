// Devices say which device has which cells: they stand behind alloc(), remove() and ids(), and keep the lists that
// flushes walk.
//
// Thread-safety:       every function under the store's lock; the lists by any thread. Erase besides only where no
//                      walker can be.
// Async-signal-safety: only the lists, see device_list.h.
// Lifetime:            a device's cells are its own until it is erased. An id that was removed and comes back is
//                      another device.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "flush/device_list.h"

namespace vmm {

// Whether `id` is 1 to 255 bytes of UTF-8 without NUL.
bool IsDeviceId(const std::string& id);

// The text as a JSON string, with its quotes.
std::string JsonString(const std::string& text);

class Devices {
 public:
  // `groups` are the groups' keys; `keys` are the keys of the line that no device may take.
  Devices(std::vector<std::string> groups, const std::vector<std::string>& keys);

  // The living device of that id, or null.
  const Device* Find(uint32_t group, const std::string& id) const;
  // Whether that device's key in the line belongs to something else.
  bool IsKeyTaken(uint32_t group, const std::string& id) const;
  // Whether it belongs to that device, which may have been removed.
  bool HasKey(uint32_t group, const std::string& id) const;
  // How long the key of that device is in the line.
  uint32_t KeyBytes(uint32_t group, const std::string& id) const;

  // Without memory it throws, and nothing has changed.
  Device* Add(uint32_t group, const std::string& id, uint32_t first_cell, uint32_t directory_entry = 0);
  // One that is never shown but in the aggregate. Before all others of its group.
  Device* AddHidden(uint32_t group, uint32_t first_cell);
  // Null when there is no living device of that id. `keeps_key`: what it still has to say may stand under its key,
  // until it is erased.
  const Device* Remove(uint32_t group, const std::string& id, bool keeps_key = false);
  // Frees a device that was removed. True when its key was kept until now, and is free.
  bool Erase(uint32_t group, const Device* device);

  // The device whose cells begin there, removed or not; null when there is none.
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

  const DeviceLists& lists() const { return view_; }

 private:
  struct Node;
  // By id, in the order of the bytes, since std::string compares them as unsigned.
  using Nodes = std::multimap<std::string, std::unique_ptr<Node>>;
  struct Node {
    Device device;
    std::string literal;
    Nodes::iterator place;
  };

  std::string KeyOf(uint32_t group, const std::string& id) const { return groups_[group] + "_" + id; }

  Device* Before(uint32_t group, Nodes::iterator place);

  const std::vector<std::string> groups_;
  std::unique_ptr<DeviceList[]> lists_;
  DeviceLists view_;
  std::vector<std::vector<std::unique_ptr<Device>>> hidden_;
  std::vector<Nodes> nodes_;
  std::vector<std::map<std::string, Node*>> living_;
  std::vector<std::unordered_map<uint32_t, Node*>> by_cell_;
  // Who has a key of the line; a group's number, or kNoDevice.
  std::map<std::string, uint32_t> keys_;
};

}  // namespace vmm
