#include "flush/devices.h"

#include <utility>

#include "flush/device_key.h"

namespace vmm {

namespace {

constexpr uint32_t kNoDevice = ~0u;

}  // namespace

Devices::Devices(std::vector<std::string> groups, const std::vector<std::string>& keys)
    : groups_(std::move(groups)),
      lists_(new DeviceList[groups_.size()]),
      last_hidden_(groups_.size()),
      nodes_(groups_.size()),
      living_(groups_.size()),
      by_cell_(groups_.size()) {
  view_.of_groups = lists_.get();
  for (const std::string& key : keys) keys_[key] = kNoDevice;
}

bool Devices::IsKeyTaken(uint32_t group, const std::string& id) const {
  const auto found = keys_.find(KeyOf(group, id));
  return found != keys_.end() && found->second != group;
}

const Device* Devices::Find(uint32_t group, const std::string& id) const {
  const auto found = living_[group].find(id);
  return found == living_[group].end() ? nullptr : &found->second->device;
}

bool Devices::HasKey(uint32_t group, const std::string& id) const {
  const auto found = keys_.find(KeyOf(group, id));
  return found != keys_.end() && found->second == group;
}

uint32_t Devices::KeyBytes(uint32_t group, const std::string& id) const {
  return static_cast<uint32_t>(JsonString(KeyOf(group, id)).size()) + 3;
}

Device* Devices::Add(uint32_t group, const std::string& id, uint32_t first_cell, uint32_t directory_entry) {
  auto made = std::make_unique<Node>();
  made->literal = "," + JsonString(KeyOf(group, id)) + ":{";
  made->device.first_cell = first_cell;
  made->device.directory_entry = directory_entry;
  made->device.number = view_.made.load(std::memory_order_relaxed) + 1;  // written under the lock only
  made->device.key = made->literal.data();
  made->device.key_bytes = static_cast<uint32_t>(made->literal.size());

  // The multimap puts it after the devices of the same id, so the map and the list have the same order.
  const auto position = nodes_[group].emplace(id, std::move(made));
  Node* const node = position->second.get();
  node->position = position;
  const bool has_key = HasKey(group, id);
  try {
    by_cell_[group][first_cell] = node;
    living_[group][id] = node;
    keys_[KeyOf(group, id)] = group;
  } catch (...) {
    by_cell_[group].erase(first_cell);
    living_[group].erase(id);
    if (!has_key) keys_.erase(KeyOf(group, id));
    nodes_[group].erase(position);
    throw;
  }
  lists_[group].Insert(&node->device, Before(group, position));
  view_.made.store(node->device.number, std::memory_order_release);  // see DeviceLists
  changes_++;
  return &node->device;
}

Device* Devices::Before(uint32_t group, Nodes::iterator position) {
  if (position != nodes_[group].begin()) return &std::prev(position)->second->device;
  return last_hidden_[group];
}

Device* Devices::MakeHidden(uint32_t first_cell) {
  auto made = std::make_unique<Device>();
  made->first_cell = first_cell;
  made->is_hidden = true;
  made->removed.store(true, std::memory_order_relaxed);  // published by Insert
  Device* const device = made.get();
  hidden_.push_back(std::move(made));
  return device;
}

void Devices::LinkHidden(uint32_t group, Device* hidden) {
  if (hidden->is_linked) return;
  hidden->is_linked = true;
  lists_[group].Insert(hidden, last_hidden_[group]);
  last_hidden_[group] = hidden;
}

const Device* Devices::Remove(uint32_t group, const std::string& id, bool keeps_key) {
  const auto found = living_[group].find(id);
  if (found == living_[group].end()) return nullptr;
  Device& device = found->second->device;
  // Relaxed: it decides only how the device is shown from the next line on.
  device.removed.store(true, std::memory_order_relaxed);
  living_[group].erase(found);
  changes_++;
  if (!keeps_key) keys_.erase(KeyOf(group, id));
  return &device;
}

bool Devices::Erase(uint32_t group, const Device* device) {
  const auto found = by_cell_[group].find(device->first_cell);
  Node* const node = found->second;
  const std::string id = node->position->first;
  lists_[group].Unlink(&node->device, Before(group, node->position));
  by_cell_[group].erase(found);
  nodes_[group].erase(node->position);
  // The key stays when another device of this id, removed or not, still has it.
  if (nodes_[group].find(id) != nodes_[group].end() || !HasKey(group, id)) return false;
  keys_.erase(KeyOf(group, id));
  return true;
}

const Device* Devices::At(uint32_t group, uint32_t first_cell) const {
  const auto found = by_cell_[group].find(first_cell);
  return found == by_cell_[group].end() ? nullptr : &found->second->device;
}

const std::string& Devices::IdOf(uint32_t group, const Device& device) const {
  return by_cell_[group].at(device.first_cell)->position->first;
}

std::vector<Devices::Entry> Devices::Living(uint32_t group) const {
  std::vector<Entry> living;
  living.reserve(living_[group].size());
  for (const auto& [id, node] : living_[group]) living.push_back({id, &node->device});
  return living;
}

}  // namespace vmm
