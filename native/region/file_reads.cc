#include "region/file_reads.h"

#include <errno.h>
#include <unistd.h>

namespace vmm {

namespace {

constexpr size_t kPageBytes = 65'536;  // the largest of all machines
constexpr uint32_t kGranuleBytesMin = 4096;
constexpr uint32_t kGranuleBytesMax = 65'536;
constexpr uint64_t kOffsetMax = uint64_t{1} << 48;

}  // namespace

unsigned char* RowMemory::Get(size_t bytes) {
  if (bytes > bytes_) {
    const size_t rounded = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    memory_.reset(static_cast<unsigned char*>(aligned_alloc(kPageBytes, rounded)));
    bytes_ = memory_ == nullptr ? 0 : rounded;
  }
  return memory_.get();
}

bool RowPlaces::IsPossible() const {
  const bool is_power_of_2 = granule_bytes != 0 && (granule_bytes & (granule_bytes - 1)) == 0;
  return is_power_of_2 && granule_bytes >= kGranuleBytesMin && granule_bytes <= kGranuleBytesMax && chunks_offset <= kOffsetMax;
}

bool ReadFully(int descriptor, void* into, size_t bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t count = pread(descriptor, static_cast<char*>(into) + done, bytes - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace vmm
