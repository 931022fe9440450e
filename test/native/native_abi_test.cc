// NativeAbi: include/vmm_metrics.h as another addon uses it, against the store behind it.

#include "store/native_abi.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include <cstddef>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "attached_store.h"
#include "check.h"

namespace vmm {
namespace {

TEST("given a store, when its table is read, then the table says its version, its size and the schema") {
  Attached attached;
  CHECK_EQ(attached.native.abi->table_version, 1);  // the only version that headers of ABI 1 accept
  CHECK_EQ(attached.native.abi->struct_bytes, sizeof(vmm_metrics_abi));
  CHECK_EQ(attached.native.abi->schema_fingerprint, attached.store->spec().schema_fingerprint);
}

TEST("given paths, when metrics are looked up, then each is found by name and kind, and a wrong one gets the reason") {
  Attached attached;
  const struct {
    const char* path;
    vmm_metrics_kind kind;
    vmm_metrics_status expected;
  } cases[] = {
      {"g.i", VMM_METRICS_INC, VMM_METRICS_OK},
      {"g.s", VMM_METRICS_STORE, VMM_METRICS_OK},
      {"g.l", VMM_METRICS_LATENCY, VMM_METRICS_OK},
      {"g.i", VMM_METRICS_STORE, VMM_METRICS_OTHER_KIND},
      {"g.l", VMM_METRICS_INC, VMM_METRICS_OTHER_KIND},
      {"g.x", VMM_METRICS_INC, VMM_METRICS_UNKNOWN_NAME},
      {"g", VMM_METRICS_INC, VMM_METRICS_UNKNOWN_NAME},
      {"g.i ", VMM_METRICS_INC, VMM_METRICS_UNKNOWN_NAME},
      {"", VMM_METRICS_INC, VMM_METRICS_UNKNOWN_NAME},
      {"d.i", VMM_METRICS_INC, VMM_METRICS_UNKNOWN_NAME},  // a metric of a device
      {nullptr, VMM_METRICS_INC, VMM_METRICS_BAD_ARGUMENT},
  };
  for (const auto& c : cases) {
    vmm_metrics_metric metric = {};
    CHECK_EQ(vmm_metrics_find(&attached.native, c.path, c.kind, &metric), c.expected);
  }
  CHECK_EQ(vmm_metrics_find(&attached.native, "g.i", VMM_METRICS_INC, nullptr), VMM_METRICS_BAD_ARGUMENT);
}

TEST("given metrics of each kind, when written through a claimed and through the shared shard, then the store has the values") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  const vmm_metrics_metric s = attached.Find("g.s", VMM_METRICS_STORE);
  const vmm_metrics_metric l = attached.Find("g.l", VMM_METRICS_LATENCY);
  vmm_metrics_shard own, shared;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &own), VMM_METRICS_OK);
  vmm_metrics_shared_shard(&attached.native, &shared);
  CHECK(own.number != VMM_METRICS_SHARED_SHARD);
  CHECK_EQ(shared.number, VMM_METRICS_SHARED_SHARD);
  CHECK(own.shared == shared.own);

  vmm_metrics_add(&own, i, 3);
  vmm_metrics_add(&shared, i, 4);
  CHECK_EQ(attached.Total("g.i"), 7);
  vmm_metrics_set(&own, s, 8);  // a store metric has one cell for all shards
  CHECK_EQ(attached.Total("g.s"), 8);
  vmm_metrics_set(&shared, s, 2);
  CHECK_EQ(attached.Total("g.s"), 2);

  const uint32_t cell = CellOf(attached.store->spec(), "g.l");
  const auto min = [&] { return MinimumOf(attached.store->cells().Total(cell), attached.store->cells().Total(cell + 1)); };
  CHECK_EQ(min(), 0);
  for (const uint64_t us : {30u, 20u, 40u}) vmm_metrics_observe(&own, l, us);
  for (const uint64_t us : {25u, 35u}) vmm_metrics_observe(&shared, l, us);
  CHECK_EQ(min(), 20);
  CHECK_EQ(attached.store->cells().Total(cell + 1), 40);
  CHECK_EQ(attached.store->cells().Total(cell + 2), 150);
  vmm_metrics_observe(&shared, l, 0);
  CHECK_EQ(min(), 0);
  vmm_metrics_observe(&own, l, ~uint64_t{0});
  CHECK_EQ(attached.store->cells().Total(cell + 1), ~uint64_t{0});
  CHECK_EQ(min(), 0);
  vmm_metrics_give_back(&attached.native, &own);
}

TEST("given the largest duration alone, when it is observed, then it is minimum and maximum") {
  Attached attached;
  const vmm_metrics_metric l = attached.Find("g.l", VMM_METRICS_LATENCY);
  vmm_metrics_shard shared;
  vmm_metrics_shared_shard(&attached.native, &shared);
  vmm_metrics_observe(&shared, l, ~uint64_t{0});
  const uint32_t cell = CellOf(attached.store->spec(), "g.l");
  CHECK_EQ(MinimumOf(attached.store->cells().Total(cell), attached.store->cells().Total(cell + 1)), ~uint64_t{0});
}

TEST(
    "given ids, when devices are allocated, then each id has one device, the one that JavaScript gets; a bad id gets the "
    "reason") {
  Attached attached;
  vmm_metrics_device first, again, in_javascript;
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "a", 1, &first), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "abc", 1, &again), VMM_METRICS_OK);  // an id of one byte
  CHECK_EQ(again.first_cell, first.first_cell);
  const Device* device = nullptr;
  CHECK(attached.store->AllocDevice(0, "b", &device).ok());
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "b", 1, &in_javascript), VMM_METRICS_OK);
  CHECK_EQ(in_javascript.first_cell, device->first_cell);

  const auto alloc = [&](const char* group, const char* id, size_t id_bytes) {
    vmm_metrics_device out = {};
    return vmm_metrics_alloc_device(&attached.native, group, id, id_bytes, &out);
  };
  CHECK_EQ(alloc("e", "a", 1), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(alloc("d", "", 0), VMM_METRICS_BAD_ID);
  CHECK_EQ(alloc("d", "a\0b", 3), VMM_METRICS_BAD_ID);
  CHECK_EQ(alloc("d", "\xed\xa0\x80", 3), VMM_METRICS_BAD_ID);
  CHECK_EQ(alloc("d", std::string(256, 'a').c_str(), 256), VMM_METRICS_BAD_ID);
  CHECK_EQ(alloc("d", "x", 1), VMM_METRICS_KEY_TAKEN);  // the key "d_x" is a group
  CHECK_EQ(alloc(nullptr, "a", 1), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(alloc("d", nullptr, 1), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "a", 1, nullptr), VMM_METRICS_BAD_ARGUMENT);
}

TEST("given a device, when its metrics are looked up, then each is found by name and kind, at the device's own cells") {
  Attached attached;
  vmm_metrics_device a, b;
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "a", 1, &a), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "b", 1, &b), VMM_METRICS_OK);
  vmm_metrics_metric in_a, in_b, none;
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, a, "i", VMM_METRICS_INC, &in_a), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, b, "i", VMM_METRICS_INC, &in_b), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, a, "i", VMM_METRICS_STORE, &none), VMM_METRICS_OTHER_KIND);
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, a, "d.i", VMM_METRICS_INC, &none), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, {2, 0}, "i", VMM_METRICS_INC, &none), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, a, nullptr, VMM_METRICS_INC, &none), VMM_METRICS_BAD_ARGUMENT);
  vmm_metrics_shard shared;
  vmm_metrics_shared_shard(&attached.native, &shared);
  vmm_metrics_add(&shared, in_a, 1);
  vmm_metrics_add(&shared, in_b, 2);
  CHECK_EQ(attached.store->cells().Total(a.first_cell), 1);
  CHECK_EQ(attached.store->cells().Total(b.first_cell), 2);
}

TEST("given a device that native code holds, when it is removed, then it keeps its cells until every hold was given back") {
  Attached attached;
  const auto alloc = [&] {
    vmm_metrics_device device = {};
    CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "a", 1, &device), VMM_METRICS_OK);
    return device;
  };
  const vmm_metrics_device held = alloc();
  CHECK_EQ(alloc().first_cell, held.first_cell);
  vmm_metrics_metric i;
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, held, "i", VMM_METRICS_INC, &i), VMM_METRICS_OK);
  vmm_metrics_shard shared;
  vmm_metrics_shared_shard(&attached.native, &shared);
  uint64_t added = 0;
  const auto come_and_go = [&] {
    for (int round = 0; round < 20; round++) {
      vmm_metrics_add(&shared, i, 1);
      added++;
      CHECK_EQ(vmm_metrics_remove_device(&attached.native, "d", "a", 1), VMM_METRICS_OK);
      CHECK_EQ(vmm_metrics_remove_device(&attached.native, "d", "a", 1), VMM_METRICS_UNKNOWN_NAME);
      const vmm_metrics_device other = alloc();
      CHECK(other.first_cell != held.first_cell);
      CHECK_EQ(vmm_metrics_release_device(&attached.native, other), VMM_METRICS_OK);
    }
  };
  come_and_go();
  CHECK_EQ(attached.store->cells().Total(held.first_cell), added);
  CHECK_EQ(vmm_metrics_release_device(&attached.native, held), VMM_METRICS_OK);
  come_and_go();
  CHECK_EQ(vmm_metrics_release_device(&attached.native, held), VMM_METRICS_OK);
  // Some later device must get the cells.
  bool is_anothers = false;
  for (int round = 0; round < 200; round++) {
    CHECK_EQ(vmm_metrics_remove_device(&attached.native, "d", "a", 1), VMM_METRICS_OK);
    const vmm_metrics_device other = alloc();
    is_anothers = is_anothers || other.first_cell == held.first_cell;
    CHECK_EQ(vmm_metrics_release_device(&attached.native, other), VMM_METRICS_OK);
  }
  CHECK(is_anothers);
  const Store::Snapshot snapshot = attached.store->TakeSnapshot();
  CHECK_EQ(snapshot.totals[attached.store->spec().kinds.size() + CellOf(attached.store->spec(), 0, "i")], added);

  CHECK_EQ(vmm_metrics_release_device(&attached.native, {0, 1'000'000}), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(vmm_metrics_release_device(&attached.native, {9, 0}), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(vmm_metrics_remove_device(&attached.native, "none", "a", 1), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(vmm_metrics_remove_device(&attached.native, "d", "", 0), VMM_METRICS_BAD_ID);
  CHECK_EQ(vmm_metrics_remove_device(&attached.native, "d", nullptr, 1), VMM_METRICS_BAD_ARGUMENT);
}

TEST("given a device that cannot be made, when code counts on it all the same, then the counts are in the group's aggregate") {
  Attached attached;
  const vmm_metrics_device none = {~0u, ~0u};
  vmm_metrics_device device = none;
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "", 0, &device), VMM_METRICS_BAD_ID);
  CHECK_EQ(device.group, 0);
  vmm_metrics_metric i;
  CHECK_EQ(vmm_metrics_find_in_device(&attached.native, device, "i", VMM_METRICS_INC, &i), VMM_METRICS_OK);
  vmm_metrics_shard shared;
  vmm_metrics_shared_shard(&attached.native, &shared);
  vmm_metrics_add(&shared, i, 3);
  const Store::Snapshot snapshot = attached.store->TakeSnapshot();
  CHECK_EQ(snapshot.totals[attached.store->spec().kinds.size() + CellOf(attached.store->spec(), 0, "i")], 3);
  CHECK(snapshot.ids[0].empty());
  CHECK_EQ(vmm_metrics_release_device(&attached.native, device), VMM_METRICS_BAD_ARGUMENT);
  device = none;
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "e", "a", 1, &device), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(device.group, none.group);
}

TEST("given no memory, when a device is allocated through the C interface, then VMM_METRICS_NO_SPACE, and no exception") {
  Attached attached;
  vmm_metrics_device device = {};
  const std::string id(255, 'a');
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", id.data(), ~size_t{0}, &device), VMM_METRICS_BAD_ID);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // the sanitizers would end the process
  rlimit before;
  getrlimit(RLIMIT_AS, &before);
  const rlimit none = {0, before.rlim_max};
  setrlimit(RLIMIT_AS, &none);
  vmm_metrics_status status = VMM_METRICS_OK;
  for (int i = 0; i < 200'000 && status == VMM_METRICS_OK; i++) {
    char name[16];
    const int bytes = std::snprintf(name, sizeof(name), "%d", i);
    status = vmm_metrics_alloc_device(&attached.native, "d", name, static_cast<size_t>(bytes), &device);
  }
  setrlimit(RLIMIT_AS, &before);
  CHECK_EQ(status, VMM_METRICS_NO_SPACE);
#endif
}

TEST("given devices beyond the first chunk, when a thread that claimed its shard before writes to them, then it counts") {
  Attached attached;
  vmm_metrics_shard own;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &own), VMM_METRICS_OK);
  for (int i = 0; i < 400; i++) {
    const std::string id = std::to_string(i);
    vmm_metrics_device device = {};
    vmm_metrics_metric latency = {};
    CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", id.data(), id.size(), &device), VMM_METRICS_OK);
    CHECK_EQ(vmm_metrics_find_in_device(&attached.native, device, "l", VMM_METRICS_LATENCY, &latency), VMM_METRICS_OK);
    vmm_metrics_observe(&own, latency, 5);
    const uint32_t cell = device.first_cell + CellOf(attached.store->spec(), 0, "l");
    CHECK_EQ(attached.store->cells().Total(cell), ~uint64_t{5});
    CHECK_EQ(attached.store->cells().Total(cell + 1), 5);
    CHECK_EQ(attached.store->cells().Total(cell + 2), 5);
  }
  CHECK(attached.store->cells().used() > attached.store->cells().region().chunk_cells());
  vmm_metrics_give_back(&attached.native, &own);
}

TEST("given more threads than shards, when all have claimed, then the last ones share shard 0, and every add counts") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  std::vector<vmm_metrics_shard> shards(kShards + 2);
  int shared = 0;
  for (vmm_metrics_shard& shard : shards) {
    CHECK_EQ(vmm_metrics_claim(&attached.native, &shard), VMM_METRICS_OK);
    if (shard.number == VMM_METRICS_SHARED_SHARD) shared++;
    vmm_metrics_add(&shard, i, 1);
  }
  CHECK_EQ(shared, 3);
  CHECK_EQ(attached.Total("g.i"), shards.size());
  for (vmm_metrics_shard& shard : shards) vmm_metrics_give_back(&attached.native, &shard);
  CHECK_EQ(attached.Total("g.i"), shards.size());
}

TEST("given a shard that was given back, when its handle is still used, then it stands for the shared shard, and does no harm") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  vmm_metrics_shard mine, others;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &mine), VMM_METRICS_OK);
  const uint32_t number = mine.number;
  vmm_metrics_give_back(&attached.native, &mine);
  CHECK_EQ(mine.number, VMM_METRICS_SHARED_SHARD);
  CHECK_EQ(vmm_metrics_claim(&attached.native, &others), VMM_METRICS_OK);
  CHECK_EQ(others.number, number);
  vmm_metrics_give_back(&attached.native, &mine);
  vmm_metrics_add(&mine, i, 1);
  vmm_metrics_shard third;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &third), VMM_METRICS_OK);
  CHECK(third.number != number);
  CHECK_EQ(attached.Total("g.i"), 1);
}

TEST("given a thread without an alternate stack, when it claims a shard, then it has one until it gives the shard back") {
  Attached attached;
  std::thread([&] {
    stack_t before, claimed, after;
    sigaltstack(nullptr, &before);
    vmm_metrics_shard shard;
    CHECK_EQ(vmm_metrics_claim(&attached.native, &shard), VMM_METRICS_OK);
    sigaltstack(nullptr, &claimed);
    vmm_metrics_give_back(&attached.native, &shard);
    sigaltstack(nullptr, &after);
    CHECK((before.ss_flags & SS_DISABLE) != 0);
    CHECK((claimed.ss_flags & SS_DISABLE) == 0);
    CHECK(claimed.ss_size >= 64 * 1024);
    CHECK(claimed.ss_size >= getauxval(51) + 32 * 1024);  // AT_MINSIGSTKSZ: the registers that the kernel saves
    CHECK((after.ss_flags & SS_DISABLE) != 0);
  }).join();
}

TEST(
    "given a thread with claims in two stores, when it gives them back in any order, then it keeps its alternate stack until the "
    "last") {
  Attached one;
  Attached other("another");
  for (const int first : {0, 1}) {
    std::thread([&] {
      vmm_metrics_shard shards[2];
      CHECK_EQ(vmm_metrics_claim(&one.native, &shards[0]), VMM_METRICS_OK);
      CHECK_EQ(vmm_metrics_claim(&other.native, &shards[1]), VMM_METRICS_OK);
      stack_t now;
      vmm_metrics_give_back(first == 0 ? &one.native : &other.native, &shards[first]);
      sigaltstack(nullptr, &now);
      CHECK((now.ss_flags & SS_DISABLE) == 0);
      CHECK(now.ss_size >= 64 * 1024);
      vmm_metrics_give_back(first == 0 ? &other.native : &one.native, &shards[1 - first]);
      sigaltstack(nullptr, &now);
      CHECK((now.ss_flags & SS_DISABLE) != 0);
    }).join();
  }
}

TEST("given a thread with an alternate stack of its own, when it claims a shard, then that stack is left alone") {
  Attached attached;
  std::thread([&] {
    std::vector<char> memory(64 * 1024);
    stack_t own = {};
    own.ss_sp = memory.data();
    own.ss_size = memory.size();
    CHECK_EQ(sigaltstack(&own, nullptr), 0);
    for (int i = 0; i < 2; i++) {
      vmm_metrics_shard shard;
      CHECK_EQ(vmm_metrics_claim(&attached.native, &shard), VMM_METRICS_OK);
      CHECK(shard.alternate_stack == nullptr);
      stack_t now;
      sigaltstack(nullptr, &now);
      CHECK(now.ss_sp == memory.data());
      vmm_metrics_give_back(&attached.native, &shard);
    }
    own.ss_flags = SS_DISABLE;
    sigaltstack(&own, nullptr);
  }).join();
}

TEST(
    "given a closed store, when native code goes on, then it may still add, and whatever would begin something new returns "
    "VMM_METRICS_CLOSED") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  vmm_metrics_shard shard;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &shard), VMM_METRICS_OK);
  attached.Close();
  vmm_metrics_add(&shard, i, 1);
  vmm_metrics_device device;
  vmm_metrics_shard late;
  CHECK_EQ(vmm_metrics_alloc_device(&attached.native, "d", "a", 1, &device), VMM_METRICS_CLOSED);
  CHECK_EQ(vmm_metrics_claim(&attached.native, &late), VMM_METRICS_CLOSED);
  CHECK_EQ(late.number, VMM_METRICS_SHARED_SHARD);  // the shared shard can still be used
  vmm_metrics_add(&late, i, 1);
  vmm_metrics_give_back(&attached.native, &late);
  CHECK_EQ(attached.native.abi->retain(attached.native.abi->store), VMM_METRICS_CLOSED);
  vmm_metrics_give_back(&attached.native, &shard);
  vmm_metrics_detach(&attached.native);
  vmm_metrics_detach(&attached.native);  // twice is harmless
}

TEST("given cells anywhere in a shard, when an offset is computed from the layout, then it is that of the region") {
  Attached attached;
  vmm_metrics_shard own;
  CHECK_EQ(vmm_metrics_claim(&attached.native, &own), VMM_METRICS_OK);
  const Region& region = attached.store->cells().region();
  for (const uint32_t cell : {0u, 1u, 511u, 512u, 513u, 8191u, 8192u, 100'000u, 2'097'151u}) {
    CHECK_EQ(vmm_metrics_offset(own.cell_layout, cell),
             region.OffsetOf(kFirstShardRow, cell) - region.OffsetOf(kFirstShardRow, 0));
  }
  CHECK_EQ(vmm_metrics_offset(165u << 8 | 16, 8193), uint64_t{165} * 65536 + 8);  // pages of 64 KiB
  vmm_metrics_give_back(&attached.native, &own);
}

TEST("given durations in nanoseconds, when they are observed, then extremes are rounded down, and the sum is right") {
  for (const bool is_own : {false, true}) {
    for (const uint64_t ns : {0u, 1u, 40u, 300u, 499u, 500u, 999u, 1'000u, 1'499u, 1'999u, 123'456'789u}) {
      Attached attached;
      const vmm_metrics_metric l = attached.Find("g.l", VMM_METRICS_LATENCY);
      const uint32_t cell = CellOf(attached.store->spec(), "g.l");
      vmm_metrics_shard shard;
      vmm_metrics_shared_shard(&attached.native, &shard);
      if (is_own) CHECK_EQ(vmm_metrics_claim(&attached.native, &shard), VMM_METRICS_OK);
      for (uint64_t count = 1; count <= 10'000; count++) {
        vmm_metrics_observe_ns(&shard, l, ns);
        const auto sum_ns = static_cast<int64_t>(attached.store->cells().Total(cell + 2) * 1'000);
        const int64_t error_ns = sum_ns - static_cast<int64_t>(count * ns);
        if (error_ns < -4'000 || error_ns > 4'000) CHECK_EQ(error_ns, 0);
      }
      CHECK_EQ(attached.store->cells().Total(cell + 1), ns / 1'000);
      CHECK_EQ(MinimumOf(attached.store->cells().Total(cell), attached.store->cells().Total(cell + 1)), ns / 1'000);
      CHECK_EQ(attached.store->cells().Total(cell + 3), 10'000);
      vmm_metrics_give_back(&attached.native, &shard);
    }
  }
}

TEST("given a shard whose bytes are 0, when code counts through it, then nothing happens") {
  Attached attached;
  const vmm_metrics_shard empty = {};
  vmm_metrics_add(&empty, attached.Find("g.i", VMM_METRICS_INC), 1);
  vmm_metrics_set(&empty, attached.Find("g.s", VMM_METRICS_STORE), 1);
  vmm_metrics_observe(&empty, attached.Find("g.l", VMM_METRICS_LATENCY), 1);
  vmm_metrics_observe_ns(&empty, attached.Find("g.l", VMM_METRICS_LATENCY), 1);
  CHECK_EQ(attached.Total("g.i"), 0);
}

TEST("given a name and a status, when they are explained, then the text has both, and never more than fits") {
  char text[64];
  vmm_metrics_explain(VMM_METRICS_CLOSED, "vcpu.exits", text, sizeof(text));
  CHECK_EQ(std::string(text), "vcpu.exits: the store is closed");
  for (size_t bytes = 1; bytes < sizeof(text); bytes++) {
    text[bytes] = 'x';
    vmm_metrics_explain(VMM_METRICS_CLOSED, "vcpu.exits", text, bytes);
    CHECK_EQ(std::string(text), std::string("vcpu.exits: the store is closed").substr(0, bytes - 1));
    CHECK_EQ(text[bytes], 'x');
  }
  text[0] = 'x';
  vmm_metrics_explain(VMM_METRICS_CLOSED, "vcpu.exits", text, 0);
  CHECK_EQ(text[0], 'x');
  vmm_metrics_explain(VMM_METRICS_UNKNOWN_NAME, nullptr, text, sizeof(text));
  CHECK_EQ(std::string(text).substr(0, 6), "NULL: ");
}

TEST("given every status, when its text is read, then all texts differ") {
  std::vector<std::string> texts;
  for (int status = VMM_METRICS_OK; status <= VMM_METRICS_BAD_ARGUMENT; status++) {
    const std::string text = vmm_metrics_status_text(static_cast<vmm_metrics_status>(status));
    for (const std::string& other : texts) CHECK(text != other);
    texts.push_back(text);
  }
  CHECK_EQ(vmm_metrics_status_text(static_cast<vmm_metrics_status>(99)), "unknown status");
}

}  // namespace
}  // namespace vmm
