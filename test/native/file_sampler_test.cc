// FileSampler: rows of values from region files of other processes, at the ticks of a grid.

#include "profile/file_sampler.h"

#include <string>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "file_region.h"

namespace vmm {
namespace {

constexpr uint64_t kFarNs = ~uint64_t{0};
constexpr uint64_t kMs = 1'000'000;

struct Sampled {
  ~Sampled() { close(descriptor); }

  SampledFile File(std::vector<SampledColumn> columns) const {
    SampledFile sampled;
    sampled.descriptor = descriptor;
    sampled.rows = {file.region.header().granule_bytes, file.region.header().chunks_offset};
    sampled.chunks = {0};
    sampled.columns = std::move(columns);
    return sampled;
  }
  void SetWord(uint32_t shard, uint32_t cell, uint64_t value) { Set(file.region.InShard(shard, cell), value); }

  FileRegion file;
  const int descriptor = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
};

SampledColumn ColumnOf(CellKind kind, uint32_t cell) { return {kind, 0, cell * 8, false, 0}; }

// What follows the time in each row.
std::vector<std::string> ValuesOf(const std::string& text) {
  std::vector<std::string> rows;
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    const size_t tab = text.find('\t', at);
    CHECK(tab < end);
    rows.push_back(text.substr(tab + 1, end - tab - 1));
  }
  return rows;
}

// Runs until something stops it. The text is that of all rows.
FileSampler::Stop Run(FileSampler& sampler, std::string* text, size_t room = 1 << 16, uint64_t pause_ns = kFarNs) {
  text->resize(room);
  size_t written = 0;
  const FileSampler::Stop stop = sampler.Run(pause_ns, text->data(), room, &written);
  text->resize(written);
  return stop;
}

TEST("given cells of every kind in several shards, when they are sampled, then a row has their values over all shards") {
  Sampled sampled;
  sampled.file.region.SetShardsUsed(3);
  sampled.SetWord(0, 0, 7);
  sampled.SetWord(1, 0, ~uint64_t{0});
  sampled.SetWord(2, 0, 10);
  sampled.SetWord(0, 1, 5);
  sampled.SetWord(1, 1, 900);  // of a gauge, only the shared shard counts
  sampled.SetWord(1, 2, ~uint64_t{30});
  sampled.SetWord(1, 3, 80);
  sampled.SetWord(2, 2, ~uint64_t{20});
  sampled.SetWord(2, 3, 40);
  sampled.SetWord(2, 5, ~uint64_t{0});  // a minimum of 2^64-1, as its complement
  SampledColumn gone = ColumnOf(CellKind::kInc, 0);
  gone.is_gone = true;
  gone.value = 12;
  FileSampler sampler(MonotonicNs() - 5 * kMs, kMs, 5);
  CHECK(
      sampler.SetFiles({sampled.File({ColumnOf(CellKind::kInc, 0), ColumnOf(CellKind::kStore, 1), gone}),
                        sampled.File({ColumnOf(CellKind::kMin, 2), ColumnOf(CellKind::kMax, 3), ColumnOf(CellKind::kMin, 4)})}));
  std::string text;
  CHECK_EQ(Run(sampler, &text), FileSampler::Stop::kOver);
  const std::vector<std::string> rows = ValuesOf(text);
  CHECK_EQ(rows.size(), 1);
  CHECK_EQ(rows[0], "16\t5\t12\t20\t80\t18446744073709551615");
}

TEST("given a grid, when ticks have passed, then they are missed, and each tick is a sample or missed") {
  Sampled sampled;
  const uint64_t begin_ns = MonotonicNs() - 1'000 * kMs;
  FileSampler sampler(begin_ns, kMs, 1'010);
  CHECK(sampler.SetFiles({sampled.File({ColumnOf(CellKind::kInc, 0)})}));
  std::string text;
  CHECK_EQ(Run(sampler, &text), FileSampler::Stop::kOver);
  CHECK_EQ(ValuesOf(text).size(), sampler.samples());
  CHECK_EQ(sampler.samples() + sampler.missed_ticks(), 1'010);
  CHECK(sampler.missed_ticks() >= 999);
  CHECK(MonotonicNs() >= begin_ns + 1'010 * kMs);
  CHECK_EQ(text.substr(0, text.find('\t')).size(), 10);  // 1,000 ms and more, in nanoseconds
}

TEST("given a thread that claims a shard, when the next sample is taken, then it has what the thread has counted") {
  Sampled sampled;
  sampled.file.region.SetShardsUsed(2);
  FileSampler sampler(MonotonicNs(), kMs, ~uint64_t{0} >> 24);
  CHECK(sampler.SetFiles({sampled.File({ColumnOf(CellKind::kInc, 0)})}));
  std::string text;
  CHECK_EQ(Run(sampler, &text, 100), FileSampler::Stop::kFull);
  sampled.SetWord(4, 0, 3);
  sampled.file.region.SetShardsUsed(5);
  CHECK_EQ(Run(sampler, &text, 100), FileSampler::Stop::kFull);
  CHECK_EQ(ValuesOf(text)[0], "3");
  sampled.SetWord(4, 0, 9);
  sampled.file.region.header().retired_epoch.store(1);
  CHECK_EQ(Run(sampler, &text), FileSampler::Stop::kChanged);
  CHECK_EQ(sampler.last().size(), 1);
  CHECK_EQ(sampler.last()[0], 3);  // not what was read after the change
}

TEST("given the time to pause, when it comes before the next tick, then no sample is taken") {
  Sampled sampled;
  FileSampler sampler(MonotonicNs(), 3'600'000 * kMs, 10);
  CHECK(sampler.SetFiles({sampled.File({ColumnOf(CellKind::kInc, 0)})}));
  std::string text;
  CHECK_EQ(Run(sampler, &text, 100, MonotonicNs() + kMs), FileSampler::Stop::kPaused);
  CHECK_EQ(text, "");
  CHECK_EQ(sampler.samples() + sampler.missed_ticks(), 0);
}

TEST("given a tick, when devices were retired or the file was cut, then somebody else takes the sample, which counts") {
  Sampled sampled;
  FileSampler sampler(MonotonicNs() - 20 * kMs, kMs, 20);
  CHECK(sampler.SetFiles({sampled.File({ColumnOf(CellKind::kInc, 0)})}));
  sampled.file.region.header().retired_epoch.store(1);
  std::string text;
  CHECK_EQ(Run(sampler, &text), FileSampler::Stop::kChanged);
  CHECK_EQ(text, "");
  CHECK_EQ(sampler.samples(), 0);
  sampler.Note(MonotonicNs());
  CHECK_EQ(sampler.samples(), 1);
  CHECK_EQ(sampler.missed_ticks(), 19);
  CHECK_EQ(Run(sampler, &text), FileSampler::Stop::kOver);

  FileSampler other(MonotonicNs() - kMs, kMs, 1);
  SampledFile file = sampled.File({ColumnOf(CellKind::kInc, 0)});
  file.retired_epoch = 1;
  CHECK(other.SetFiles({file}));
  sampled.file.Cut(4096);
  CHECK_EQ(Run(other, &text), FileSampler::Stop::kChanged);
}

TEST("given a file whose numbers are out of range, when it is to be sampled, then it is refused") {
  Sampled sampled;
  FileSampler sampler(MonotonicNs(), kMs, 1);
  const auto is_taken = [&](auto change) {
    SampledFile file = sampled.File({ColumnOf(CellKind::kInc, 511)});
    change(file);
    return sampler.SetFiles({file});
  };
  CHECK(is_taken([](SampledFile&) {}));
  CHECK(!is_taken([](SampledFile& file) { file.columns[0].at = file.rows.granule_bytes; }));
  CHECK(!is_taken([](SampledFile& file) { file.columns[0].at = ~0u - 7; }));
  CHECK(!is_taken([](SampledFile& file) { file.columns[0].at = 4; }));
  CHECK(!is_taken([](SampledFile& file) { file.columns[0].kind = CellKind::kMin; }));  // without its maximum
  CHECK(!is_taken([](SampledFile& file) { file.columns[0].chunk = 1; }));
  CHECK(!is_taken([](SampledFile& file) { file.chunks[0] = kMaxChunks; }));
  CHECK(!is_taken([](SampledFile& file) { file.rows.granule_bytes = 4095; }));
  CHECK(!is_taken([](SampledFile& file) { file.rows.chunks_offset = uint64_t{1} << 60; }));
}

}  // namespace
}  // namespace vmm
