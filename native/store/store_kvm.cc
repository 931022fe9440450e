// What a store samples of KVM.

#include <errno.h>

#include <utility>

#include "store/store.h"

namespace vmm {

Status Store::SampleKvm(const std::vector<KvmTarget>& targets, size_t* failed) {
  std::vector<KvmWatches::Prepared> prepared(targets.size());
  for (*failed = 0; *failed < targets.size(); (*failed)++) {
    const KvmTarget& target = targets[*failed];
    const std::vector<KvmMetric>& metrics = target.is_vcpu ? spec_.kvm_vcpu : spec_.kvm_vm;
    if (metrics.empty()) return {Code::kInvalid, EINVAL};
    if (target.fd < 0) continue;
    const std::vector<CellKind>& kinds = target.is_vcpu ? spec_.group_kinds[spec_.kvm_vcpu_group] : spec_.kinds;
    if (Status status = KvmWatches::Prepare(target.fd, metrics, kinds, &prepared[*failed]); !status.ok()) return status;
  }

  std::lock_guard<std::mutex> lock(mutex_);
  // After Close, nothing would end the watch. Close sets the flag before it takes the lock.
  if (is_closed()) return {Code::kInvalid, EINVAL};
  for (*failed = 0; *failed < targets.size(); (*failed)++) {
    const KvmTarget& target = targets[*failed];
    const Device* device = nullptr;
    if (target.is_vcpu && target.fd < 0) {
      device = devices_.Find(spec_.kvm_vcpu_group, target.vcpu);
      if (device == nullptr) continue;
    } else if (target.is_vcpu) {
      if (Status status = AllocDeviceLocked(spec_.kvm_vcpu_group, target.vcpu, &device); !status.ok()) return status;
    }
    const uint32_t cells = target.is_vcpu ? device->first_cell : KvmWatches::kVm;
    if (target.fd < 0) {
      kvm_.End(cells);
      continue;
    }
    // The device keeps its cells until no thread can be sampling this descriptor any more.
    if (target.is_vcpu) leaving_.Pin(device);
    kvm_.Begin(cells, std::move(prepared[*failed]));
  }
  FreeKvm();
  return {};
}

void Store::EndKvm(uint32_t group, const Device& device) {
  if (group != spec_.kvm_vcpu_group) return;
  kvm_.End(device.first_cell);
  kvm_.Forget(device.first_cell);
  FreeKvm();
}

void Store::FreeKvm() {
  kvm_.FreeEnded([this](uint32_t target) {
    if (target != KvmWatches::kVm) leaving_.Unpin(devices_.At(spec_.kvm_vcpu_group, target));
  });
}

void Store::NoteKvmLosses() {
  const uint32_t losses = kvm_samples_.losses();
  // Relaxed, both: a number that publishes nothing. Each flush comes here, and hardly ever was anything lost, so a load
  // comes first. The exchange lets one caller find the change.
  if (kvm_losses_.load(std::memory_order_relaxed) == losses) return;
  if (kvm_losses_.exchange(losses, std::memory_order_relaxed) != losses) troubles_.AddLostKvm();
}

std::vector<Store::KvmLoss> Store::TakeKvmLosses() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<KvmLoss> losses;
  for (const KvmWatches::Loss& loss : kvm_.TakeLosses()) {
    const bool is_vcpu = loss.target != KvmWatches::kVm;
    const Device* const device = is_vcpu ? devices_.At(spec_.kvm_vcpu_group, loss.target) : nullptr;
    losses.push_back({is_vcpu, is_vcpu ? devices_.IdOf(spec_.kvm_vcpu_group, *device) : std::string(), loss.error});
  }
  return losses;
}

}  // namespace vmm
