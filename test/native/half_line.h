// A HalfLine is a store and its file. The file ends in half a line, since a limit on the file's size cut the line off.
//
// Thread-safety:       as Rig.
// Async-signal-safety: none.
// Lifetime:            used in a child, since a limit applies to the whole process.

#pragma once

#include <errno.h>
#include <stdio.h>

#include "check.h"
#include "resource_limit.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {

struct HalfLine {
  static constexpr size_t kBytes = 10;

  HalfLine() {
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitResource(RLIMIT_FSIZE, kBytes);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(rig.status.error, EFBIG);
  }
  void Unlimit() { LimitResource(RLIMIT_FSIZE, RLIM_INFINITY); }
  void Rename() { CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0); }

  TemporaryFolder folder;
  Rig rig{SmallSchema()};
};

}  // namespace vmm
