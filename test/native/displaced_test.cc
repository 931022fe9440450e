// A captured signal that is displaced: when flushes notice that another handler has replaced ours.

#include <signal.h>

#include <string>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "host_handler.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// A captured store with a sink, and a host that replaces the handler of SIGILL.
class Scene {
 public:
  Scene() {
    StoreSpec spec = SchemaBuilder().Group("logger", {Inc("errors")}).Build("displaced");
    spec.error_cell = CellOf(spec, "logger.errors");
    OpenConflict conflict;
    Status status;
    CHECK(Store::Open(std::move(spec), &store_, &conflict).ok());
    CHECK_EQ(store_->flusher().Init((folder_ / "f").c_str(), -1, &status), InitResult::kDone);
    CHECK(store_->CaptureSignals().ok());
  }
  ~Scene() {
    if (store_ != nullptr) Close();
    signal(SIGILL, SIG_DFL);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  static void Displace() {
    InstallHandler(SIGILL, [](int) {});
  }
  void Flush() {
    Status status;
    CHECK_EQ(store_->Flush(&status), FlushResult::kOut);
  }
  void Close() { std::exchange(store_, nullptr)->Detach(true); }
  Store* store() { return store_; }
  // The number of errors that the lines report.
  uint64_t Errors() const { return Lines(TextOf(folder_ / "f")).Sum("logger.errors"); }

 private:
  TemporaryFolder folder_;
  Store* store_ = nullptr;
};

TEST("given a signal that is displaced after the capture, when the first flush comes, then its line says so, and no other") {
  Scene scene;
  Scene::Displace();
  scene.Flush();
  CHECK_EQ(scene.Errors(), 1);
  for (int i = 0; i < 3; i++) scene.Flush();
  CHECK_EQ(scene.Errors(), 1);
}

TEST("given flushes all the while, when a signal is displaced, then after some of them a line says so, once") {
  Scene scene;
  scene.Flush();
  Scene::Displace();
  const int64_t end_ms = MonotonicMs() + kChildLimitMs;
  while (scene.Errors() == 0 && MonotonicMs() < end_ms) {
    scene.Flush();
    SleepUs(1'000);
  }
  scene.Flush();
  CHECK_EQ(scene.Errors(), 1);
}

TEST("given a flush that has just looked, when a signal is displaced and the store is captured again, then nothing is said") {
  Scene scene;
  scene.Flush();
  Scene::Displace();
  CHECK(scene.store()->CaptureSignals().ok());
  scene.Flush();
  CHECK_EQ(scene.Errors(), 0);
  Scene::Displace();
  CHECK(scene.store()->CaptureSignals().ok());
  Scene::Displace();
  scene.Flush();  // the first flush after a capture
  CHECK_EQ(scene.Errors(), 1);
}

TEST("given a flush that has just looked, when a signal is displaced and the store closes, then the last line says so") {
  Scene scene;
  scene.Flush();
  Scene::Displace();
  scene.Close();
  CHECK_EQ(scene.Errors(), 1);
}

TEST("given a flush that has just looked, when a signal is displaced and the process exits, then the last line says so") {
  Scene scene;
  scene.Flush();
  Scene::Displace();
  scene.store()->EndWithProcess(0);
  CHECK_EQ(scene.Errors(), 1);
}

}  // namespace
}  // namespace vmm
