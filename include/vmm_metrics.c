/* Every function of vmm_metrics.h as a symbol, for languages that cannot use inline functions of C: compile this file, and
 * link it into your own library. The symbols are hidden, so that two libraries of one process never share them. */
#define VMM_METRICS_API __attribute__((visibility("hidden")))
#include "vmm_metrics.h"
