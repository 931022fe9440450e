#include "store/native_abi.h"

#include <algorithm>
#include <cstring>

#include "crash/alternate_stack.h"
#include "flush/device_key.h"
#include "store/schema_facts.h"
#include "store/store.h"
#include "store/thread_shards.h"

namespace vmm {

namespace {

Store& StoreOf(void* store) { return *static_cast<Store*>(store); }

// The address of a shard's first cell. A metric has the same offset in each shard.
unsigned char* BaseOf(Store& store, uint32_t shard) {
  const Region& region = store.cells().region();
  return region.base() + region.OffsetOf(kFirstShardRow + shard, 0);
}

uint64_t OffsetOf(Store& store, uint32_t cell) {
  const Region& region = store.cells().region();
  return region.OffsetOf(kFirstShardRow, cell) - region.OffsetOf(kFirstShardRow, 0);
}

// See vmm_metrics_offset.
uint32_t CellLayoutOf(Store& store) {
  return kRows << 8 | static_cast<uint32_t>(__builtin_ctz(store.cells().region().granule_bytes()));
}

vmm_metrics_status FindIn(Store& store, const std::vector<NamedMetric>& metrics, uint32_t first_cell, const char* name,
                          vmm_metrics_kind kind, vmm_metrics_metric* out) {
  if (name == nullptr || out == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  for (const NamedMetric& metric : metrics) {
    if (metric.name != name) continue;
    if (metric.kind != static_cast<uint32_t>(kind)) return VMM_METRICS_OTHER_KIND;
    out->offset = OffsetOf(store, first_cell + metric.cell);
    return VMM_METRICS_OK;
  }
  return VMM_METRICS_UNKNOWN_NAME;
}

// No exception may cross the C interface. Every exception here means that there is no memory.
template <typename Work>
vmm_metrics_status Guarded(Work work) noexcept {
  try {
    return work();
  } catch (...) {
    return VMM_METRICS_NO_SPACE;
  }
}

vmm_metrics_status RetainStore(void* store) noexcept {
  if (StoreOf(store).is_closed()) return VMM_METRICS_CLOSED;
  StoreOf(store).Retain();
  return VMM_METRICS_OK;
}

void ReleaseStore(void* store) noexcept { StoreOf(store).Unreference(); }

vmm_metrics_status Find(void* store, const char* path, vmm_metrics_kind kind, vmm_metrics_metric* out) noexcept {
  return FindIn(StoreOf(store), StoreOf(store).spec().metrics, 0, path, kind, out);
}

// Calls `work(group, id)` with the number of the group, if the group exists and the id is valid. `*found` becomes the
// number of the group as soon as the group is known.
template <typename Work>
vmm_metrics_status WithDevice(void* store, const char* group, const char* id, size_t id_bytes, Work work,
                              uint32_t* found = nullptr) noexcept {
  if (group == nullptr || id == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  return Guarded([&]() -> vmm_metrics_status {
    const std::vector<std::string>& names = StoreOf(store).spec().group_names;
    const auto name = std::find(names.begin(), names.end(), group);
    const auto g = static_cast<uint32_t>(name - names.begin());
    if (found != nullptr && name != names.end()) *found = g;
    if (StoreOf(store).is_closed()) return VMM_METRICS_CLOSED;
    if (id_bytes > kIdBytesMax) return VMM_METRICS_BAD_ID;
    const std::string text(id, id_bytes);
    if (!IsDeviceId(text)) return VMM_METRICS_BAD_ID;
    return name == names.end() ? VMM_METRICS_UNKNOWN_NAME : work(g, text);
  });
}

vmm_metrics_status AllocDevice(void* store, const char* group, const char* id, size_t id_bytes,
                               vmm_metrics_device* out) noexcept {
  if (out == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  const auto make = [&](uint32_t g, const std::string& text) {
    const Device* device = nullptr;
    const Status status = StoreOf(store).AllocDevice(g, text, &device, true);
    if (status.code == Code::kKeyTaken) return VMM_METRICS_KEY_TAKEN;
    if (!status.ok()) return VMM_METRICS_NO_SPACE;
    *out = {g, device->first_cell};
    return VMM_METRICS_OK;
  };
  uint32_t g = ~0u;
  const vmm_metrics_status status = WithDevice(store, group, id, id_bytes, make, &g);
  // A caller that goes on counts in the group's aggregate.
  if (status != VMM_METRICS_OK && g != ~0u) *out = {g, StoreOf(store).RestOf(g)};
  return status;
}

vmm_metrics_status ReleaseDevice(void* store, vmm_metrics_device device) noexcept {
  if (device.group >= StoreOf(store).spec().groups.size()) return VMM_METRICS_BAD_ARGUMENT;
  return Guarded(
      [&] { return StoreOf(store).ReleaseDevice(device.group, device.first_cell) ? VMM_METRICS_OK : VMM_METRICS_BAD_ARGUMENT; });
}

vmm_metrics_status RemoveDevice(void* store, const char* group, const char* id, size_t id_bytes) noexcept {
  return WithDevice(store, group, id, id_bytes, [&](uint32_t g, const std::string& text) {
    return StoreOf(store).RemoveDevice(g, text) ? VMM_METRICS_OK : VMM_METRICS_UNKNOWN_NAME;
  });
}

vmm_metrics_status FindInDevice(void* store, vmm_metrics_device device, const char* field, vmm_metrics_kind kind,
                                vmm_metrics_metric* out) noexcept {
  const StoreSpec& spec = StoreOf(store).spec();
  if (device.group >= spec.group_metrics.size()) return VMM_METRICS_BAD_ARGUMENT;
  return FindIn(StoreOf(store), spec.group_metrics[device.group], device.first_cell, field, kind, out);
}

vmm_metrics_status FindHistogram(void* store, const vmm_metrics_device* device, const char* name,
                                 vmm_metrics_histogram* out) noexcept {
  const StoreSpec& spec = StoreOf(store).spec();
  if (name == nullptr || out == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  if (device != nullptr && device->group >= spec.group_metrics.size()) return VMM_METRICS_BAD_ARGUMENT;
  const std::vector<NamedMetric>& metrics = device == nullptr ? spec.metrics : spec.group_metrics[device->group];
  const uint32_t first = device == nullptr ? 0 : device->first_cell;
  const vmm_metrics_status status = FindIn(StoreOf(store), metrics, first, name, VMM_METRICS_HISTOGRAM, &out->cells);
  if (status != VMM_METRICS_OK) return status;
  for (const NamedMetric& metric : metrics) {
    if (metric.name == name) out->buckets = &spec.tables[metric.table].buckets;
  }
  return VMM_METRICS_OK;
}

vmm_metrics_status WatchKvm(void* store, int fd, const char* vcpu, size_t vcpu_bytes) noexcept {
  Store& here = StoreOf(store);
  if (here.is_closed()) return VMM_METRICS_CLOSED;
  if (vcpu == nullptr ? here.spec().kvm_vm.empty() : here.spec().kvm_vcpu.empty()) return VMM_METRICS_UNKNOWN_NAME;
  return Guarded([&]() -> vmm_metrics_status {
    if (vcpu != nullptr && (vcpu_bytes > kIdBytesMax || !IsDeviceId(std::string(vcpu, vcpu_bytes)))) return VMM_METRICS_BAD_ID;
    size_t failed = 0;
    const std::string id = vcpu == nullptr ? std::string() : std::string(vcpu, vcpu_bytes);
    const Status status = here.SampleKvm({{vcpu != nullptr, id, fd < 0 ? -1 : fd}}, &failed);
    switch (status.code) {
      case Code::kOk: return VMM_METRICS_OK;
      case Code::kKeyTaken: return VMM_METRICS_KEY_TAKEN;
      case Code::kOpen:
      case Code::kWrongFile:
      case Code::kNoStatistics: return VMM_METRICS_BAD_ARGUMENT;
      case Code::kInvalid: return VMM_METRICS_CLOSED;  // the schema has the metrics, so the store was closed meanwhile
      default: return VMM_METRICS_NO_SPACE;
    }
  });
}

void SharedShard(void* store, vmm_metrics_shard* out) noexcept {
  unsigned char* shared = BaseOf(StoreOf(store), kSharedShard);
  *out = {shared, shared, kSharedShard, CellLayoutOf(StoreOf(store)), nullptr};
}

vmm_metrics_status Claim(void* store, vmm_metrics_shard* out) noexcept {
  if (out == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  SharedShard(store, out);
  if (StoreOf(store).is_closed()) return VMM_METRICS_CLOSED;
  return Guarded([&] {
    out->number = StoreOf(store).ClaimShard();
    out->own = BaseOf(StoreOf(store), out->number);
    out->alternate_stack = MakeAlternateStack();
    return VMM_METRICS_OK;
  });
}

void GiveBack(void* store, vmm_metrics_shard* shard) noexcept {
  FreeAlternateStack(shard->alternate_stack);
  StoreOf(store).GiveBackShard(shard->number);
  SharedShard(store, shard);
}

vmm_metrics_status Current(void* store, vmm_metrics_shard* out) noexcept {
  if (out == nullptr) return VMM_METRICS_BAD_ARGUMENT;
  return ThreadShards::Current(&StoreOf(store), out);
}

void HandlerShard(void* store, vmm_metrics_shard* out) noexcept {
  const vmm_metrics_shard* const own = ThreadShards::Find(&StoreOf(store));
  if (own != nullptr) {
    *out = *own;
  } else {
    SharedShard(store, out);
  }
}

size_t WriteFirstDifference(void* store, const vmm_metrics_fact* facts, size_t count, vmm_metrics_match match, char* text,
                            size_t text_bytes) noexcept {
  const auto write = [&](const char* sentence) {
    const size_t length = std::strlen(sentence);
    if (text == nullptr || text_bytes == 0) return length;
    const size_t kept = std::min(length, text_bytes - 1);
    std::memcpy(text, sentence, kept);
    text[kept] = 0;
    return length;
  };
  if (facts == nullptr && count != 0) return write("the list of facts is null");
  try {
    return write(FirstDifference(StoreOf(store).spec(), facts, count, match).c_str());
  } catch (...) {
    return write("there is no memory to compare the schemas");
  }
}

}  // namespace

vmm_metrics_abi MakeNativeAbi(Store* store, uint64_t schema_fingerprint) {
  return {VMM_METRICS_TABLE_VERSION,
          sizeof(vmm_metrics_abi),
          schema_fingerprint,
          store,
          RetainStore,
          ReleaseStore,
          Find,
          AllocDevice,
          FindInDevice,
          Claim,
          GiveBack,
          SharedShard,
          ReleaseDevice,
          RemoveDevice,
          Current,
          HandlerShard,
          WriteFirstDifference,
          WatchKvm,
          FindHistogram};
}

}  // namespace vmm
