// ForkMark and ForkGeneration: a forked child is not the same process as its parent, even if it shares the parent's
// memory. forked_child_test.cc tests a child that has its parent's process id.

#include "base/fork.h"

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "child.h"

namespace vmm {
namespace {

TEST("given a mark, when it is checked, then only the process that set it last is the same process") {
  ForkMark mark;
  CHECK(!mark.IsSameProcess());
  mark.Set();
  CHECK(mark.IsSameProcess());
  CheckInChild([&] {
    CHECK(!mark.IsSameProcess());
    mark.Set();
    CHECK(mark.IsSameProcess());
    CheckInChild([&] { CHECK(!mark.IsSameProcess()); });
    CHECK(mark.IsSameProcess());
  });
  CHECK(mark.IsSameProcess());
}

TEST("given a child of vfork(), which shares its parent's memory, when it checks the mark, then it is not the same process") {
  ForkMark mark;
  mark.Set();
  const pid_t child = vfork();
  if (child == 0) _exit(mark.IsSameProcess() ? 1 : 0);
  int how = 0;
  CHECK_EQ(waitpid(child, &how, 0), child);
  CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  CHECK(mark.IsSameProcess());
}

TEST("given a chain of forks, when each process reads its generation, then all generations differ, and none is 0") {
  const uint32_t first = ForkGeneration::Own();
  CHECK(first != 0);
  CHECK_EQ(ForkGeneration::Own(), first);
  CHECK(ForkGeneration::IsOwn(first));
  CHECK(!ForkGeneration::IsOwn(0));
  CheckInChild([&] {
    CHECK(!ForkGeneration::IsOwn(first));
    const uint32_t second = ForkGeneration::Own();
    CHECK(second != first && second != 0);
    CHECK(!ForkGeneration::IsOwn(first));
    CHECK(ForkGeneration::IsOwn(second));
    CheckInChild([&] {
      CHECK(!ForkGeneration::IsOwn(first));
      CHECK(!ForkGeneration::IsOwn(second));
      const uint32_t third = ForkGeneration::Own();
      CHECK(third != first && third != second && third != 0);
    });
    CHECK(ForkGeneration::IsOwn(second));
  });
  CHECK(ForkGeneration::IsOwn(first));
}

}  // namespace
}  // namespace vmm
