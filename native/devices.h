// Devices are who has which cells: the directory behind alloc(), remove() and ids(), and the lists that flushes walk.
//
// Thread-safety:       every function under the store's lock; the lists by any thread.
// Async-signal-safety: only the lists, see device_list.h.
// Lifetime:            a device's cells are its own for ever. An id that was removed and comes back gets fresh ones.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device_list.h"

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

  const Device* Add(uint32_t group, const std::string& id, uint32_t first_cell, uint32_t directory_entry = 0);
  // False when there is no living device of that id. `keeps_key`: what it still has to say may stand under its key.
  bool Remove(uint32_t group, const std::string& id, bool keeps_key = false);

  struct Entry {
    std::string id;
    const Device* device;
  };
  // All devices of a group ever made, sorted by the bytes of their ids, the removed ones too.
  std::vector<Entry> All(uint32_t group) const;

  const DeviceList* lists() const { return lists_.get(); }

 private:
  struct Node {
    Device device;
    std::string literal;
  };

  std::string KeyOf(uint32_t group, const std::string& id) const { return groups_[group] + "_" + id; }

  const std::vector<std::string> groups_;
  std::unique_ptr<DeviceList[]> lists_;
  // By id, in the order of the bytes, since std::string compares them as unsigned.
  std::vector<std::multimap<std::string, std::unique_ptr<Node>>> nodes_;
  std::vector<std::map<std::string, Node*>> living_;
  // Who has a key of the line; a group's number, or kNoDevice.
  std::map<std::string, uint32_t> keys_;
};

}  // namespace vmm
