#include "kvm/samples.h"

#include <errno.h>
#include <unistd.h>

namespace vmm {

namespace {

// How many words are read at once. The statistics of a vCPU have some 140 words.
constexpr uint64_t kWords = 256;

// What was read of a descriptor, from `offset` on.
struct Words {
  uint64_t Of(const KvmField& field) const { return at[(field.offset - offset) / sizeof(uint64_t)]; }

  alignas(64) uint64_t at[kWords];
  uint64_t offset;
};

// Reads from the first field to the last one, and nothing less. Returns 0, or an errno.
int ReadFields(int fd, const KvmField& first, const KvmField& last, Words* words) {
  words->offset = first.offset;
  const size_t bytes = last.offset - first.offset + sizeof(uint64_t);
  for (;;) {
    const ssize_t got = pread(fd, words->at, bytes, static_cast<off_t>(first.offset));
    if (got == static_cast<ssize_t>(bytes)) return 0;
    if (got >= 0) return ENODATA;
    if (errno != EINTR) return errno;
  }
}

uint64_t ValueOf(const KvmField& field, uint64_t word) { return word * field.factor + field.base; }

// The kernel copies a word byte by byte, from the lowest byte on, when the word's place in a cache line is another than
// that of the buffer. KVM may add to the word meanwhile. If the add carries into a byte that is copied later, the copy
// is too large. Without such a carry since the last sample, it is right. `before` is the cell's value.
bool MayBeTorn(const KvmField& field, uint64_t word, uint64_t before) {
  return field.factor != 1 || ((word ^ (before - field.base)) >> 8) != 0;
}

// Reads the fields from `first` to `last`, and puts what they have into their cells. Returns 0, or an errno.
int SampleFields(int fd, const KvmField* first, const KvmField* last) {
  Words words;
  if (const int error = ReadFields(fd, *first, *last, &words); error != 0) return error;
  bool may_be_torn = false;
  for (const KvmField* field = first; field <= last; field++) {
    const uint64_t word = words.Of(*field), value = ValueOf(*field, word), before = Read(*field->cell);
    if (value == before) continue;
    if (!field->is_counter) {
      Set(*field->cell, value);
    } else if (value > before && MayBeTorn(*field, word, before)) {
      may_be_torn = true;
    } else {
      RaiseShared(*field->cell, value);
    }
  }
  if (!may_be_torn) return 0;
  Words again;
  if (const int error = ReadFields(fd, *first, *last, &again); error != 0) return error;
  for (const KvmField* field = first; field <= last; field++) {
    if (!field->is_counter) continue;
    // Of two copies, at most one is too large.
    const uint64_t one = words.Of(*field), other = again.Of(*field);
    RaiseShared(*field->cell, ValueOf(*field, one < other ? one : other));
  }
  return 0;
}

}  // namespace

void KvmSamples::Sample(const KvmSource& source) const {
  const int saved_errno = errno;
  const KvmField* const end = source.fields + source.field_count;
  for (const KvmField* first = source.fields; first != end;) {
    const KvmField* last = end - 1;  // usually, all fields fit
    while (last->offset - first->offset >= kWords * sizeof(uint64_t)) last--;
    if (const int error = SampleFields(source.fd, first, last); error != 0) {
      int none = 0;
      // Relaxed, all: the first failure counts; it publishes nothing.
      if (source.error.compare_exchange_strong(none, error, std::memory_order_relaxed, std::memory_order_relaxed)) {
        losses_.fetch_add(1, std::memory_order_relaxed);
        if (error_cell_ != nullptr) AddShared(*error_cell_, 1);
      }
      break;
    }
    first = last + 1;
  }
  errno = saved_errno;
}

bool KvmSamples::AwaitQuiet(int limit_ms) const {
  constexpr int kLooks = 10'000;  // some 100 us; after that, it sleeps
  for (int look = 0; look < kLooks; look++) {
    if (is_quiet()) return true;
  }
  return gate_.AwaitEmptyWhile([limit_ms](int waited_ms) { return waited_ms < limit_ms; });
}

void KvmSamples::Add(KvmSource* source) {
  // Relaxed: the source is published by the next line.
  source->next.store(first_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  first_.store(source, std::memory_order_seq_cst);
  changes_.fetch_add(1, std::memory_order_seq_cst);
}

void KvmSamples::Remove(KvmSource* source) {
  std::atomic<KvmSource*>* link = &first_;
  // Relaxed: the list is written under the store's lock only.
  while (link->load(std::memory_order_relaxed) != source) link = &link->load(std::memory_order_relaxed)->next;
  // A reader that stands at the removed source goes on with its `next`, which stays as it is.
  link->store(source->next.load(std::memory_order_relaxed), std::memory_order_seq_cst);
  changes_.fetch_add(1, std::memory_order_seq_cst);
}

}  // namespace vmm
