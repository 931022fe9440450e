// KvmSamples, where the kernel copies a word byte by byte while KVM adds to it, and where a sample ends in a fault.

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <utility>

#include "check.h"
#include "child.h"
#include "kvm_bytes.h"
#include "kvm_scene.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace {

// When there is a counter here, the next pread tears its word, as if one was added in the middle of the copy.
std::atomic<uint64_t>* g_torn = nullptr;
int g_reads = 0;
// Whether the next pread ends in a fault, when the kernel has copied the bytes.
bool g_is_fatal = false;
// What happens next between the copy of the bytes and the return of pread, such as a signal handler.
std::function<void()> g_meanwhile;

}  // namespace

// Takes the place of the C library's function in this program.
extern "C" ssize_t pread(int fd, void* to, size_t bytes, off_t offset) {
  g_reads++;
  std::atomic<uint64_t>* const torn = std::exchange(g_torn, nullptr);
  const uint64_t before = torn == nullptr ? 0 : torn->fetch_add(1, std::memory_order_relaxed);
  const ssize_t got = syscall(SYS_pread64, fd, to, bytes, offset);
  if (std::exchange(g_is_fatal, false)) raise(SIGSEGV);
  if (const auto meanwhile = std::exchange(g_meanwhile, nullptr)) meanwhile();
  if (torn == nullptr) return got;
  for (char* at = static_cast<char*>(to); at < static_cast<char*>(to) + got; at += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    if (word == before + 1) *at = static_cast<char>(before);  // the lowest byte was copied before the add
  }
  return got;
}

namespace vmm {
namespace {

TEST("given a counter that carries in the middle of its copy, when it is sampled, then the cell has no more than was counted") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  for (const uint64_t before : {0xffull, 0x12ffull, 0xffffull, 0xffffffull}) {
    bytes.Set("exits", before);
    g_torn = &bytes.Word("exits");
    scene.samples.Sample();
    CHECK_EQ(scene.At(0), before + 1);
  }
}

TEST("given a counter that has not carried since the last sample, when it is sampled, then it is read once") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  bytes.Set("exits", 0x1200);
  CHECK(scene.Watch(bytes).ok());
  g_reads = 0;
  bytes.Set("exits", 0x12ff);
  scene.samples.Sample();
  CHECK_EQ(g_reads, 1);
  bytes.Set("exits", 0x1300);
  scene.samples.Sample();
  CHECK_EQ(g_reads, 3);
  CHECK_EQ(scene.At(0), 0x1300u);
}

TEST("given a sample that a newer one overtakes, when it goes on with its older numbers, then no counter goes back") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  bytes.Set("exits", 3);
  bytes.Set("wait_ns", 0x300);  // a copy that may be torn
  g_meanwhile = [&] {
    bytes.Set("exits", 9);
    bytes.Set("wait_ns", 0x900);
    scene.samples.Sample();
  };
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), 9u);
  CHECK_EQ(scene.At(2), 0x900u);
}

TEST("given a flush that is sampling KVM, when the process dies in the middle, then the last line has each count once") {
  const TemporaryFolder folder;
  const KvmBytes bytes({{"exits"}});
  const Death death = InChild([&] {
    Store* store = nullptr;
    OpenConflict conflict;
    Status status;
    size_t failed = 0;
    StoreSpec spec = WithKvm(SchemaBuilder().Group("vm", {Inc("exits")}).Build("dies"), "vm");
    if (!Store::Open(std::move(spec), &store, &conflict).ok()) _exit(1);
    if (store->flusher().Init((folder / "lines").c_str(), -1, &status) != InitResult::kDone) _exit(2);
    if (!store->CaptureSignals().ok() || !store->SampleKvm({{false, "", bytes.fd()}}, &failed).ok()) _exit(3);
    bytes.Set("exits", 500);
    store->Flush(&status);
    bytes.Set("exits", 1200);
    g_is_fatal = true;
    store->Flush(&status);
    _exit(4);
  });
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines(TextOf(folder / "lines"));
  if (!CHECK_EQ(lines.count(), 2u)) return;
  CHECK_EQ(lines.values[0].at("vm.exits"), 500u);
  CHECK_EQ(lines.values[1].at("vm.exits"), 700u);
}

}  // namespace
}  // namespace vmm
