// A bounded queue between exactly two threads: one pushes, one pops, neither waits.
//
// Thread-safety:   one pushing thread and one popping thread.
// Memory ordering: Push publishes the element with its release store of `pushed_`, Pop gives the place back with its
//                  release store of `popped_`; each side acquires the other's index.
// Units:           capacity in elements.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace kvm_vmm {

template <typename T, uint32_t kCapacity>
class SpscRing {
  static_assert((kCapacity & (kCapacity - 1)) == 0, "the indices run freely and wrap at 2^32");

 public:
  // False if the ring is full; nothing changes then.
  bool Push(const T& element) {
    const uint32_t pushed = pushed_.load(std::memory_order_relaxed);  // our own index
    // Acquire: pairs with the release in Pop, so that an element is overwritten only after it was copied out.
    if (pushed - popped_.load(std::memory_order_acquire) == kCapacity) return false;
    elements_[pushed % kCapacity] = element;
    // Release: publishes the element to the acquire in Pop.
    pushed_.store(pushed + 1, std::memory_order_release);
    return true;
  }

  // False if the ring is empty.
  bool Pop(T* element) {
    const uint32_t popped = popped_.load(std::memory_order_relaxed);  // our own index
    // Acquire: pairs with the release in Push; the element is complete.
    if (pushed_.load(std::memory_order_acquire) == popped) return false;
    *element = elements_[popped % kCapacity];
    // Release: gives the element's place back to the acquire in Push.
    popped_.store(popped + 1, std::memory_order_release);
    return true;
  }

  // Whether Pop would return an element. Only the popping thread may call it.
  bool HasNews() const { return pushed_.load(std::memory_order_acquire) != popped_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<uint32_t> pushed_{0};  // on cache lines of their own, since different threads write them
  alignas(64) std::atomic<uint32_t> popped_{0};
  alignas(64) std::array<T, kCapacity> elements_{};
};

}  // namespace kvm_vmm
