// The text of an exposition: exact decimals, the values that are shown, and lines in portions.

#include <cstring>
#include <string>
#include <vector>

#include "base/raw_writer.h"
#include "check.h"
#include "exposition/decimal.h"
#include "exposition/text.h"

namespace vmm {
namespace {

std::string Decimal(uint64_t value, uint32_t decimals) {
  char bytes[kDecimalBytesMax];
  RawWriter out(bytes, sizeof(bytes));
  WriteDecimal(out, value, decimals);
  return out.overflowed() ? "overflowed" : std::string(bytes, out.size());
}

// A counter `c`, a latency without a count, and a group of devices with a counter, a gauge of which the lowest counts,
// and a minimum with its maximum.
std::shared_ptr<const MetricFamilies> Families() {
  auto families = std::make_shared<MetricFamilies>();
  const auto part = [&](const std::string& name, const std::string& further, const std::string& only, uint32_t cell) {
    families->parts.push_back({static_cast<uint32_t>(families->text.size()), static_cast<uint32_t>(name.size()),
                               static_cast<uint32_t>(further.size()), static_cast<uint32_t>(only.size()), cell, 0});
    for (const std::string& piece : {name, further, only})
      families->text.insert(families->text.end(), piece.begin(), piece.end());
  };
  part("c_total", "", "", 0);
  part("b_bucket", ",le=\"1.0\"} ", "{le=\"1.0\"} ", 1);
  part("b_bucket", ",le=\"+Inf\"} ", "{le=\"+Inf\"} ", 2);
  part("d_total", "", "", 0);
  part("d_low", "", "", 1);
  part("d_min", "", "", 2);
  families->families = {{0, 1, 0, 0}, {1, 2, 0, 0}, {3, 1, 1, 0}, {3, 1, 1, 1}, {4, 1, 1, 1}, {5, 1, 1, 0}, {5, 1, 1, 1}};
  families->owners.resize(2);
  families->owners[0].cells = 3;
  families->owners[0].buckets = {{1, 2}};
  families->owners[1].cells = 4;
  families->owners[1].CombineBy({Combine::kSum, Combine::kLowest, Combine::kMax, Combine::kMax});
  families->owners[1].minima = {2};
  families->text_bytes = families->text.size();
  families->text.resize(families->text_bytes + RawWriter::kPadding);
  return families;
}

// Devices `a`, a removed one, and `b`; the cells of the plain groups come first.
SourceSpec SpecOf(const std::shared_ptr<const MetricFamilies>& families, const std::string& label) {
  SourceSpec spec;
  spec.families = families;
  const std::string plain = label.empty() ? " " : "{" + label + "} ";
  const std::string a = "{device=\"a\"} ", b = "{device=\"b\"} ";
  const std::string all = plain + a + b;
  spec.labels.assign(all.begin(), all.end());
  spec.plain_label_bytes = static_cast<uint32_t>(plain.size());
  spec.devices = {{0, 3, 0, static_cast<uint32_t>(a.size())}, {0, 7, 1, 0}, {0, 11, 0, static_cast<uint32_t>(b.size())}};
  spec.cells = 15;
  return spec;
}

const std::vector<uint64_t> kTotals = {5,   1,          2, /* a */ 10, 7, ~uint64_t{30}, 90, /* removed */ 100, 1, ~uint64_t{1},
                                       200, /* b */ 20, 9, 0,          0};
const std::string kText =
    "c_total{vm=\"x\"} 5\nb_bucket{vm=\"x\",le=\"1.0\"} 1\nb_bucket{vm=\"x\",le=\"+Inf\"} 3\nd_total{device=\"a\"} "
    "10\nd_total{device=\"b\"} 20\n"
    "d_total{vm=\"x\"} 130\nd_low{vm=\"x\"} 7\nd_min{device=\"a\"} 30\nd_min{device=\"b\"} 0\nd_min{vm=\"x\"} 30\n";

ExpositionTextSpec TextOf(std::vector<std::shared_ptr<const ExpositionSource>> sources) {
  ExpositionTextSpec spec;
  spec.rows.assign(sources.size(), 0);
  spec.sources = std::move(sources);
  spec.places = {0, 1, 2, 3, 4, 5, 6};
  spec.header_ends.assign(7, 0);
  return spec;
}

std::shared_ptr<const ExpositionText> Text(ExpositionTextSpec spec) {
  const std::vector<const uint64_t*> totals(spec.sources.size(), kTotals.data());
  return std::make_shared<const ExpositionText>(std::move(spec), totals);
}

std::string Written(ExpositionReading text, size_t bytes) {
  std::string all;
  do {
    std::vector<char> memory(bytes);  // of exactly that size, so that the sanitizer sees a byte too many
    const size_t written = text.Write(memory.data(), memory.size());
    all.append(memory.data(), written);
    if (written == 0 && text.needed() > bytes) bytes = text.needed();
  } while (text.needed() > 0);
  return all;
}

TEST("given whole numbers of a small unit, when they are written as decimals, then they are exact") {
  CHECK_EQ(Decimal(0, 6), "0");
  CHECK_EQ(Decimal(41, 6), "0.000041");
  CHECK_EQ(Decimal(1'500'000, 6), "1.5");
  CHECK_EQ(Decimal(2'000'000, 6), "2");
  CHECK_EQ(Decimal(UINT64_MAX, 0), "18446744073709551615");
  CHECK_EQ(Decimal(UINT64_MAX, 6), "18446744073709.551615");
  CHECK_EQ(Decimal(UINT64_MAX, 19), "1.8446744073709551615");
  CHECK_EQ(Decimal(1, 19), "0.0000000000000000001");
}

TEST("given a source, when it is filled and written, then aggregates, minima and buckets are right, each time") {
  const auto source = std::make_shared<ExpositionSource>(SpecOf(Families(), "vm=\"x\""));
  CHECK(source->families().IsValid());
  CHECK(source->IsValid());
  const auto text = Text(TextOf({source}));
  CHECK(text->IsValid());
  CHECK_EQ(text->bytes(), source->values() * sizeof(uint64_t));
  CHECK_EQ(Written(ExpositionReading(text), 4096), kText);
  CHECK_EQ(Written(ExpositionReading(text), 4096), kText);
}

TEST("given portions of any length, when a text is written, then it is the same, and no line is torn") {
  const auto source = std::make_shared<ExpositionSource>(SpecOf(Families(), "vm=\"x\""));
  const auto text = Text(TextOf({source}));
  for (size_t bytes = 0; bytes < 400; bytes++) CHECK_EQ(Written(ExpositionReading(text), bytes), kText);
}

TEST("given sources without labels and of two schemas, when they are written together, then each family has its header") {
  const auto families = Families();
  const auto plain = std::make_shared<ExpositionSource>(SpecOf(families, ""));
  ExpositionTextSpec spec = TextOf({plain, plain});
  spec.rows = {0, 1};
  spec.places = {0, 1, -1, 0};  // the second source lacks the first family
  const std::string headers = "# c\n# b\n";
  spec.headers.assign(headers.begin(), headers.end());
  spec.header_ends = {4, 8};
  const auto text = Text(std::move(spec));
  CHECK(text->IsValid());
  CHECK_EQ(Written(ExpositionReading(text), 64),
           "# c\nc_total 5\n# b\nb_bucket{le=\"1.0\"} 1\nb_bucket{le=\"+Inf\"} 3\nc_total 5\n");
}

TEST("given a text that is gone in the middle of a reading, when the reading goes on, then it is over") {
  auto text = Text(TextOf({std::make_shared<ExpositionSource>(SpecOf(Families(), "vm=\"x\""))}));
  ExpositionReading reading(text);
  char memory[128];
  CHECK(reading.Write(memory, sizeof(memory)) > 0);
  CHECK(reading.needed() > 0);
  text.reset();
  CHECK_EQ(reading.Write(memory, sizeof(memory)), 0);
  CHECK_EQ(reading.needed(), 0);
}

TEST("given a source whose devices do not fit into its values, then it is not valid") {
  const auto is_valid = [&](auto change) {
    SourceSpec spec = SpecOf(Families(), "");
    change(spec);
    return ExpositionSource(spec).IsValid();
  };
  CHECK(is_valid([](SourceSpec&) {}));
  CHECK(!is_valid([](SourceSpec& spec) { spec.cells = 14; }));
  CHECK(!is_valid([](SourceSpec& spec) { spec.devices[0].group = 1; }));
  CHECK(!is_valid([](SourceSpec& spec) { spec.devices[1].first_cell = UINT32_MAX; }));
  CHECK(!is_valid([](SourceSpec& spec) { spec.plain_label_bytes++; }));
  CHECK(!is_valid([](SourceSpec& spec) { spec.labels.pop_back(); }));
}

}  // namespace
}  // namespace vmm
