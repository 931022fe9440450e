#include "store/schema_facts.h"

#include <vector>

namespace vmm {

namespace {

struct Fact {
  std::string path;
  std::string fact;
  uint32_t cell = VMM_METRICS_NO_CELL;
};

// Reads the next string of JSON from `text`, and moves `*at` behind it. False: there is none. Paths and facts have
// nothing that JSON escapes. Only the options at the end do, and a string with an escape comes out as it is written.
bool NextString(const std::string& text, size_t* at, std::string* out) {
  const size_t begin = text.find('"', *at);
  if (begin == std::string::npos) return false;
  size_t end = begin + 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  if (end >= text.size()) return false;
  *out = text.substr(begin + 1, end - begin - 1);
  *at = end + 1;
  return true;
}

bool StartsWith(const std::string& text, const char* beginning) { return text.rfind(beginning, 0) == 0; }

// The facts of the store: those of its schema_text, and the cells of its metrics, which are in the same order.
std::vector<Fact> FactsOf(const StoreSpec& spec) {
  std::vector<Fact> facts;
  size_t next_static = 0;
  size_t next_in_group = 0;
  size_t groups = 0;  // how many groups of devices began
  bool is_in_devices = false;
  Fact fact;
  for (size_t at = 0; NextString(spec.schema_text, &at, &fact.path) && NextString(spec.schema_text, &at, &fact.fact);) {
    fact.cell = VMM_METRICS_NO_CELL;
    // What has a space in its path is no part of the schema, such as an option of open(). All of that comes last.
    if (fact.path.find(' ') != std::string::npos) break;
    if (StartsWith(fact.fact, "perDevice(")) {
      groups++;
      is_in_devices = true;
      next_in_group = 0;
    } else if (StartsWith(fact.fact, "group(")) {
      is_in_devices = false;
    } else if (fact.path.find('.') != std::string::npos) {
      const std::vector<NamedMetric>& metrics = is_in_devices ? spec.group_metrics[groups - 1] : spec.metrics;
      size_t& next = is_in_devices ? next_in_group : next_static;
      if (next < metrics.size()) fact.cell = metrics[next++].cell;
    }
    facts.push_back(fact);
  }
  return facts;
}

template <typename Facts>
bool Has(const Facts& facts, size_t count, const std::string& path) {
  for (size_t i = 0; i < count; i++) {
    if (facts[i].path == path) return true;
  }
  return false;
}

std::string CellText(uint32_t cell) { return cell == VMM_METRICS_NO_CELL ? "no cell" : "cell " + std::to_string(cell); }

}  // namespace

std::string FirstDifference(const StoreSpec& spec, const vmm_metrics_fact* facts, size_t count, vmm_metrics_match match) {
  const std::vector<Fact> ours = FactsOf(spec);
  for (size_t i = 0; i < count || (i < ours.size() && match == VMM_METRICS_WHOLE); i++) {
    const Fact* const a = i < ours.size() ? &ours[i] : nullptr;
    const vmm_metrics_fact* const b = i < count ? &facts[i] : nullptr;
    if (a != nullptr && b != nullptr && a->path == b->path) {
      if (a->fact != b->fact) return a->path + " is " + a->fact + " in the store and " + b->fact + " in the generated header";
      if (a->cell != b->cell) {
        return a->path + " has " + CellText(a->cell) + " in the store and " + CellText(b->cell) +
               " in the generated header, which another version of vmm-metrics wrote";
      }
      continue;
    }
    if (b != nullptr && !Has(ours, ours.size(), b->path)) return std::string(b->path) + " is missing in the store";
    if (a != nullptr && !Has(facts, count, a->path)) return a->path + " is missing in the generated header";
    return "the store has " + (a == nullptr ? "nothing" : a->path) + " where the generated header has " +
           (b == nullptr ? "nothing" : b->path);
  }
  return "";
}

}  // namespace vmm
