// Half lines, each with the store that wrote it. A HalfLine is in a file whose size limit cut it off. A HalfSentLine is
// in a pipe that has room for no more.
//
// Thread-safety:       as Rig.
// Async-signal-safety: none.
// Lifetime:            a HalfLine is used in a child, since a limit applies to the whole process.

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

struct HalfSentLine {
  HalfSentLine() {
    CHECK(rig.Init(folder / "fifo"));
    rig.Add("g.i", 5);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(rig.status.error, EAGAIN);
    CHECK_EQ(rig.Pending("g.i"), 5);
  }

  TemporaryFolder folder;
  Fifo fifo{folder / "fifo"};
  Rig rig{WideSchema()};
};

}  // namespace vmm
