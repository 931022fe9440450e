// A RegionFile is the named file behind a region: made under a temporary name, locked as long as anybody has it open or
// mapped, and given its own name when it is complete.
//
//   Make     looks at what has the name; makes and locks the temporary file
//   ...      the region is made in it
//   Publish  moves what has the name out of the way, and takes it
//
// What is moved out of the way becomes `<path>.previous`, that `<path>.previous.2`, and so on: nothing is replaced.
// Whoever has the path looks which of them need not be kept (lib/region/generations.ts): they belong to the file that
// has the path.
//
// Thread-safety:       one thread at a time; other threads and processes may do the same for the same path.
// Async-signal-safety: none.
// Lifetime:            what was not published is removed with the object. The descriptor is the caller's, from Make on.

#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace vmm {

// What becomes of the file of a process that is dead, or has closed its store.
enum class Previous : uint32_t {
  kKeep = 0,     // it is renamed to `<path>.previous`, and those before it move on by one name
  kDiscard = 1,  // it is replaced
  kRefuse = 2    // it stays, and nothing is opened
};

// How many names there are for what is kept. More than are kept for long: what was moved and not looked at yet needs a
// name too.
constexpr int kGenerationNames = 32;

class RegionFile {
 public:
  RegionFile(std::string path, Previous previous) : path_(std::move(path)), previous_(previous) {}
  ~RegionFile();
  RegionFile(const RegionFile&) = delete;
  RegionFile& operator=(const RegionFile&) = delete;

  // kBusy: a process uses the file, and holder() says which. kWrongFile: the file must not be replaced.
  Status Make(int* descriptor);
  Status Publish();

  // As the other process sees itself; 0: it is not known.
  int32_t holder() const { return holder_; }

 private:
  // Opens what has that name, and takes its lock. -1 in `*descriptor`: there is nothing.
  Status TakeOver(const std::string& path, int* descriptor);
  Status TakeOverOnce(const std::string& path, int* descriptor, bool* again);
  Status MakeTemporary(int* descriptor);
  // The name of what was kept `number` times: 1 is `.previous`.
  std::string Generation(int number) const;
  // Whether that may have another name: it is a region of ours, and its writer is gone.
  Status IsMovable(int number);
  // Renames what has the path to `.previous`, and whatever is in the way to the next name. EEXIST: there is something
  // new.
  Status Keep();
  Status TakeName(bool is_there);

  const std::string path_;
  const Previous previous_;
  std::string temporary_;
  bool is_published_ = false;
  int32_t holder_ = 0;
};

}  // namespace vmm
