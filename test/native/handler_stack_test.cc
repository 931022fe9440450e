// How much of an alternate stack the crash handler needs: a host's stack is left in place if it is large enough by
// crash/alternate_stack.cc.

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>

#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "kvm_bytes.h"
#include "profile/profile.h"

namespace vmm {
namespace {

// A store in which the handler has everything to do that it can have.
StoreSpec Everything() {
  SchemaBuilder schema;
  schema.Group("g", {Inc("i"), Distribution("h"), Latency("l")})
      .Group("vm", {Inc("exits"), Gauge("pages")})
      .PerDevice("vcpu", {Inc("exits")})
      .PerDevice("d", {Inc("i"), Distribution("h")})
      .PerDevice("e", {Inc("i"), Distribution("h")}, Aggregate::kNone);
  return WithKvm(schema.Build("everything"), "vm");
}

TEST("given an alternate stack of the host, when a thread dies on it, then a stack that counts as large enough is") {
  constexpr size_t kBytes = 256 << 10;
  constexpr unsigned char kUnused = 0x5a;
  auto* const stack =
      static_cast<unsigned char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  memset(stack, kUnused, kBytes);
  Scene scene(Everything());
  const KvmBytes kvm({{"exits"}, {"pages", kInstantFlags}});
  const Death death = InChild([&] {
    scene.Capture();
    size_t failed = 0;
    CHECK(scene.store->SampleKvm({{false, "", kvm.fd()}, {true, "0", kvm.fd()}}, &failed).ok());
    const Device* device = nullptr;
    for (const uint32_t group : {1u, 2u}) {
      for (const char* id : {"a", "b"}) CHECK(scene.store->AllocDevice(group, id, &device).ok());
    }
    ProfileSpec spec;
    spec.cells = {CellOf(scene.store->spec(), "g.i")};
    spec.interval_ns = 1'000'000;
    spec.header = "Time (ns)\tg.i\n";
    spec.path = scene.folder / "p";
    std::shared_ptr<Profile> profile;
    CHECK(scene.store->profiler().Start(std::move(spec), &profile).ok());
    kvm.Set("exits", 300);
    std::thread([&] {
      stack_t own = {};
      own.ss_sp = stack;
      own.ss_size = kBytes;
      CHECK_EQ(sigaltstack(&own, nullptr), 0);
      Fault();
    }).join();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  CHECK_EQ(scene.lines().count(), 1);
  size_t unused = 0;
  while (unused < kBytes && stack[unused] == kUnused) unused++;
  munmap(stack, kBytes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their frames are larger
  constexpr unsigned long kMinSigStackSize = 51;                     // AT_MINSIGSTKSZ, which older headers do not have
  // The frame that the kernel makes, and 12 KiB; 16 KiB at least.
  const size_t enough = std::max<size_t>(16 << 10, getauxval(kMinSigStackSize) + (12 << 10));
  if (!CHECK(kBytes - unused <= enough)) std::printf("  used %zu bytes, enough are %zu\n", kBytes - unused, enough);
#endif
}

}  // namespace
}  // namespace vmm
