// FirstDifference: the schema that generated code was made for, against the schema of a store.

#include "store/schema_facts.h"

#include <vector>

#include "check.h"

namespace vmm {
namespace {

StoreSpec SpecOfStore() {
  StoreSpec spec;
  spec.schema_text =
      R"x([["time","utcTimestampMs()"],["g","group()"],["g.i","inc()"],["g.l","latency(counted)"],)x"
      R"x(["d","perDevice(aggregate: true)"],["d.i","inc()"],["d.s","store()"],["h","group()"],["h.i","inc(onPanic: true)"],)x"
      R"x(["h.i of KVM","exits"],["option id","\"g.i\",\"x\" \\"],["option file","not given"]])x";
  spec.metrics = {{"g.i", 0, 0}, {"g.l", 2, 1}, {"h.i", 0, 5}};
  spec.group_names = {"d"};
  spec.group_metrics = {{{"i", 0, 0}, {"s", 1, 1}}};
  return spec;
}

std::vector<vmm_metrics_fact> Same() {
  constexpr uint32_t kNone = VMM_METRICS_NO_CELL;
  return {{"time", "utcTimestampMs()", kNone},
          {"g", "group()", kNone},
          {"g.i", "inc()", 0},
          {"g.l", "latency(counted)", 1},
          {"d", "perDevice(aggregate: true)", kNone},
          {"d.i", "inc()", 0},
          {"d.s", "store()", 1},
          {"h", "group()", kNone},
          {"h.i", "inc(onPanic: true)", 5}};
}

std::string Difference(const std::vector<vmm_metrics_fact>& facts, vmm_metrics_match match = VMM_METRICS_WHOLE) {
  return FirstDifference(SpecOfStore(), facts.data(), facts.size(), match);
}

TEST("given the facts of the schema of a store, when they are compared with that store, then there is no difference") {
  CHECK_EQ(Difference(Same()), "");
  CHECK_EQ(Difference(Same(), VMM_METRICS_BEGINNING), "");
}

TEST("given facts that differ in one thing, when they are compared, then that thing is named") {
  std::vector<vmm_metrics_fact> facts = Same();
  facts[8].cell = 4;
  CHECK_EQ(Difference(facts),
           "h.i has cell 5 in the store and cell 4 in the generated header, which another version of vmm-metrics wrote");
  facts = Same();
  facts[6].cell = 2;
  CHECK_EQ(Difference(facts),
           "d.s has cell 1 in the store and cell 2 in the generated header, which another version of vmm-metrics wrote");
  facts = Same();
  facts[4].fact = "group()";
  CHECK_EQ(Difference(facts), "d is perDevice(aggregate: true) in the store and group() in the generated header");
  facts = Same();
  facts[2].path = "g.j";
  CHECK_EQ(Difference(facts), "g.j is missing in the store");
  facts = Same();
  facts.erase(facts.begin() + 3);
  CHECK_EQ(Difference(facts), "g.l is missing in the generated header");
  CHECK_EQ(Difference(facts, VMM_METRICS_BEGINNING), "g.l is missing in the generated header");
  facts = Same();
  std::swap(facts[5], facts[6]);
  CHECK_EQ(Difference(facts), "the store has d.i where the generated header has d.s");
}

TEST("given facts that end early, when they are compared, then only a whole match is a difference") {
  std::vector<vmm_metrics_fact> facts = Same();
  facts.resize(7);
  CHECK_EQ(Difference(facts), "h is missing in the generated header");
  CHECK_EQ(Difference(facts, VMM_METRICS_BEGINNING), "");
  CHECK_EQ(Difference({}), "time is missing in the generated header");
  CHECK_EQ(Difference({}, VMM_METRICS_BEGINNING), "");
  facts = Same();
  facts.push_back({"z", "group()", VMM_METRICS_NO_CELL});
  CHECK_EQ(Difference(facts, VMM_METRICS_BEGINNING), "z is missing in the store");
}

TEST("given any damage of the text of a store's schema, when facts are compared, then the comparison ends") {
  for (size_t length = 0; length < SpecOfStore().schema_text.size(); length++) {
    StoreSpec spec = SpecOfStore();
    spec.schema_text.resize(length);
    const std::vector<vmm_metrics_fact> facts = Same();
    FirstDifference(spec, facts.data(), facts.size(), VMM_METRICS_WHOLE);
  }
  CHECK(true);
}

}  // namespace
}  // namespace vmm
