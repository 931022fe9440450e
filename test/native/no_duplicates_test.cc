// Where the system does not map memory a second time by mremap, as under an emulator of user programs: a region's rows
// are mapped a second time all the same, and both mappings stay the same memory when the file loses its memory.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "file_region.h"
#include "lost_row.h"

namespace vmm {
namespace {

// Refuses mremap with an old size of 0, as QEMU's emulation of user programs does. False if the system refuses the
// filter.
bool RefuseDuplicates() {
  constexpr uint32_t kOldSize = offsetof(seccomp_data, args) + sizeof(uint64_t);
  constexpr bool kIsLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIsLittle ? kOldSize : kOldSize + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return false;
  int word = 0;
  return mremap(&word, 0, 4096, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM;
}

// An emulator refuses duplicates by itself, and may know no filters.
bool HasNoDuplicates() {
  void* const page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return RefuseDuplicates() || mremap(page, 0, 4096, MREMAP_MAYMOVE) == MAP_FAILED;
}

TEST("given no second mappings by mremap, when rows of a region in memory are mapped, then each is the row's memory") {
  CheckInChild([] {
    CHECK(HasNoDuplicates());
    Region region;
    CHECK(region.Create({0x1234, "{}", 2}).ok());
    CHECK(region.AllocateRow(0, kFirstShardRow + 1).ok());
    void* rows[2] = {};
    for (void*& row : rows) CHECK(region.MapRow(0, kFirstShardRow + 1, &row).ok());
    Word(rows[0], 7) = 5;
    Word(rows[1], 7) += 1;
    CHECK_EQ(Read(region.InShard(1, 7)), 6);
    Set(region.InShard(1, 7), 9);
    for (void* row : rows) CHECK_EQ(Word(row, 7).load(), 9);
    for (void* row : rows) {
      region.ForgetRow(row);
      region.UnmapRow(row, region.granule_bytes());
    }
  });
}

TEST("given no second mappings by mremap, when a region's file is cut, then the row's mappings are still the same memory") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  CheckInChild([] {
    CHECK(HasNoDuplicates());
    CheckMappingsOfLostRow(false);
  });
}

}  // namespace
}  // namespace vmm
