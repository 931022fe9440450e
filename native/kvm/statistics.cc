#include "kvm/statistics.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

namespace vmm {

namespace {

// From the kernel's interface, which older headers describe only in part. In C++, the header's structures with flexible
// members have other sizes than in C.
constexpr unsigned long kCreateVm = _IO(0xae, 0x01);
constexpr unsigned long kCheckExtension = _IO(0xae, 0x03);
constexpr unsigned long kCreateVcpu = _IO(0xae, 0x41);
constexpr unsigned long kGetStatsFd = _IO(0xae, 0xce);
constexpr int kBinaryStatsCapability = 203;

struct Header {
  uint32_t flags;
  uint32_t name_bytes;
  uint32_t count;
  uint32_t id_offset;
  uint32_t descriptors_offset;
  uint32_t data_offset;
};
static_assert(sizeof(Header) == 24);

struct Descriptor {
  uint32_t flags;
  int16_t exponent;
  uint16_t size;
  uint32_t offset;
  uint32_t bucket_size;
  // The name follows.
};
static_assert(sizeof(Descriptor) == 16);

// Far more than any kernel has. A descriptor with larger numbers is not read.
constexpr uint32_t kNameBytesMax = 1024;
constexpr uint32_t kCountMax = 4096;
constexpr uint32_t kDataBytesMax = 1 << 24;

// Reads exactly `bytes` bytes.
Status ReadAt(int fd, void* to, size_t bytes, uint64_t offset, const char* reason) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = pread(fd, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {Code::kOpen, errno, "pread"};
    if (got == 0) return WrongFile(reason);
    done += static_cast<size_t>(got);
  }
  return {};
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Whether a metric may have this name.
bool IsName(const std::string& name) {
  return !name.empty() && IsLetter(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsLetter(c) || (c >= '0' && c <= '9'); });
}

// The text up to the NUL that must be among the bytes. False: there is none.
bool TextOf(const char* bytes, size_t count, std::string* text) {
  const size_t length = strnlen(bytes, count);
  if (length == count) return false;
  text->assign(bytes, length);
  return true;
}

Status CheckedHeader(int fd, Header* header) {
  if (Status status = ReadAt(fd, header, sizeof(*header), 0, "is too short for the header of KVM's statistics"); !status.ok())
    return status;
  if (header->name_bytes == 0 || header->name_bytes > kNameBytesMax)
    return WrongFile("is not a statistics descriptor of KVM: its names have a length that no kernel uses");
  if (header->count == 0 || header->count > kCountMax)
    return WrongFile("is not a statistics descriptor of KVM: it has no statistics, or more than any kernel has");
  for (const uint32_t offset : {header->id_offset, header->descriptors_offset, header->data_offset}) {
    if (offset < sizeof(Header)) return WrongFile("has a block of KVM's statistics inside its header");
  }
  return {};
}

// base^exponent, for an exponent from 0 on. 0: it is too large.
uint64_t Power(KvmBase base, int exponent) {
  constexpr uint64_t kMost = uint64_t{1} << 40;
  uint64_t power = 1;
  for (int i = 0; i < exponent && power <= kMost; i++) power *= base == KvmBase::kTen ? 10 : 2;
  return power <= kMost ? power : 0;
}

}  // namespace

Status KvmStatistics::Read(int fd, KvmStatistics* out) {
  Header header;
  if (Status status = CheckedHeader(fd, &header); !status.ok()) return status;
  std::vector<char> id(header.name_bytes);
  if (Status status = ReadAt(fd, id.data(), id.size(), header.id_offset, "ends in the middle of its id"); !status.ok())
    return status;
  if (!TextOf(id.data(), id.size(), &out->id)) return WrongFile("has an id without an end");
  const size_t stride = sizeof(Descriptor) + header.name_bytes;
  std::vector<char> bytes(stride * header.count);
  if (Status status =
          ReadAt(fd, bytes.data(), bytes.size(), header.descriptors_offset, "ends in the middle of the list of its statistics");
      !status.ok()) {
    return status;
  }
  out->data_offset = header.data_offset;
  out->all.clear();
  std::set<std::string> names;
  for (size_t at = 0; at < bytes.size(); at += stride) {
    Descriptor descriptor;
    memcpy(&descriptor, &bytes[at], sizeof(descriptor));
    KvmStatistic one;
    if (!TextOf(&bytes[at + sizeof(descriptor)], header.name_bytes, &one.name)) return WrongFile("has a name without an end");
    if (!IsName(one.name)) return WrongFile("has a statistic whose name no metric can have");
    if (!names.insert(one.name).second) return WrongFile("has two statistics of one name");
    if (descriptor.size == 0) return WrongFile("has a statistic without a value");
    if (descriptor.offset % sizeof(uint64_t) != 0) return WrongFile("has a statistic that does not begin at a 64-bit word");
    if (descriptor.offset + uint64_t{descriptor.size} * sizeof(uint64_t) > kDataBytesMax)
      return WrongFile("has a statistic beyond the end of its data");
    one.type = static_cast<KvmType>(descriptor.flags & 0xf);
    one.unit = static_cast<KvmUnit>(descriptor.flags >> 4 & 0xf);
    one.base = static_cast<KvmBase>(descriptor.flags >> 8 & 0xf);
    one.exponent = descriptor.exponent;
    one.size = descriptor.size;
    one.offset = descriptor.offset;
    one.bucket_size = descriptor.bucket_size;
    uint64_t last = 0;
    const uint64_t end = uint64_t{header.data_offset} + one.offset + one.size * sizeof(uint64_t);
    if (Status status = ReadAt(fd, &last, sizeof(last), end - sizeof(last), "has a statistic beyond the end of its data");
        !status.ok()) {
      return status;
    }
    out->all.push_back(std::move(one));
  }
  return {};
}

KvmMetricShape ShapeOf(const KvmStatistic& statistic) {
  const auto left_out = [](const char* why) { return KvmMetricShape{KvmMetricShape::kNone, "count", 1, why}; };
  KvmMetricShape shape;
  switch (statistic.type) {
    case KvmType::kCumulative: shape.kind = KvmMetricShape::kCounter; break;
    case KvmType::kInstant:
    case KvmType::kPeak: shape.kind = KvmMetricShape::kGauge; break;
    case KvmType::kLinearHistogram:
    case KvmType::kLogHistogram: return left_out("it is a histogram, whose buckets are not those of histogram()");
    default: return left_out("its type is unknown");
  }
  if (statistic.size != 1) return left_out("it has several values");
  if (statistic.unit > KvmUnit::kBoolean) return left_out("its unit is unknown");
  if (statistic.base > KvmBase::kTwo) return left_out("the base of its unit is unknown");
  int exponent = statistic.exponent;
  if (statistic.unit == KvmUnit::kBytes) shape.unit = "bytes";
  if (statistic.unit == KvmUnit::kSeconds) {
    if (statistic.base == KvmBase::kTwo && exponent != 0) return left_out("its unit is a power of two of a second");
    // The coarsest of our units in which the value is a whole number.
    const int ours = exponent >= -3 ? -3 : exponent >= -6 ? -6 : -9;
    shape.unit = ours == -3 ? "ms" : ours == -6 ? "us" : "ns";
    exponent -= ours;
    shape.factor = Power(KvmBase::kTen, exponent);
  } else {
    shape.factor = Power(statistic.base, exponent);
  }
  if (exponent < 0) return left_out("its unit is finer than that of any metric");
  if (shape.factor == 0) return left_out("its unit is too large");
  return shape;
}

Status OpenKvmStatistics(int fd, OpenedKvmStatistics* opened) {
  Header header;
  if (pread(fd, &header, sizeof(header), 0) >= 0) {
    opened->statistics = OwnedDescriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return opened->statistics.is_open() ? Status{} : Status{Code::kOpen, errno, "fcntl"};
  }
  if (errno == EBADF || errno == EISDIR) return {Code::kOpen, errno, "pread"};
  opened->statistics = OwnedDescriptor(ioctl(fd, kGetStatsFd, 0));
  if (opened->statistics.is_open()) {
    fcntl(opened->statistics.get(), F_SETFD, FD_CLOEXEC);
    opened->object = OwnedDescriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return opened->object.is_open() ? Status{} : Status{Code::kOpen, errno, "fcntl"};
  }
  const int error = errno;
  if (error != ENOTTY && error != EINVAL) return {Code::kOpen, error, "ioctl"};
  char path[40], target[40] = "";
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  if (readlink(path, target, sizeof(target) - 1) > 0 && strncmp(target, "anon_inode:kvm-v", 16) == 0)
    return {Code::kNoStatistics, error, "ioctl"};
  return WrongFile("is not a VM, a vCPU or a statistics descriptor of KVM");
}

Status OpenOwnKvmStatistics(OpenedKvmStatistics* vm, OpenedKvmStatistics* vcpu) {
  const OwnedDescriptor kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.is_open()) return {Code::kNoStatistics, errno, "open"};
  if (ioctl(kvm.get(), kCheckExtension, kBinaryStatsCapability) <= 0) return {Code::kNoStatistics, ENOTTY, "ioctl"};
  const OwnedDescriptor own_vm(ioctl(kvm.get(), kCreateVm, 0));
  if (!own_vm.is_open()) return {Code::kNoStatistics, errno, "ioctl"};
  const OwnedDescriptor own_vcpu(ioctl(own_vm.get(), kCreateVcpu, 0));
  if (!own_vcpu.is_open()) return {Code::kNoStatistics, errno, "ioctl"};
  if (Status status = OpenKvmStatistics(own_vm.get(), vm); !status.ok()) return status;
  return OpenKvmStatistics(own_vcpu.get(), vcpu);
}

}  // namespace vmm
