// A RegionFile gives a new region its file. The file is made under a temporary name and gets its own name, the path,
// when it is complete. Make locks the file. The lock lasts until the caller's descriptor and all mappings made from it
// are gone, including those that forked children inherited.
//
//   Make     checks the file that has the path now; makes and locks the temporary file
//   ...      the caller makes the region in it
//   Publish  moves the file that has the path now out of the way, and takes the path
//
// A file that is moved out of the way becomes `<path>.previous`. The file that had this name becomes
// `<path>.previous.2`, and so on, so no file is replaced. Which of these files are kept is decided later, in
// lib/region/generations.ts, by the process that has the path.
//
// Thread-safety:       one thread at a time; other threads and processes may make a file for the same path.
// Async-signal-safety: none.
// Lifetime:            the destructor removes a file that was not published. From Make on, the descriptor is the
//                      caller's.

#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace vmm {

// What happens to the file of a store that was closed, or whose process is dead.
enum class Previous : uint32_t {
  kKeep = 0,     // it is renamed to `<path>.previous`, and earlier files move on by one name
  kDiscard = 1,  // the new file replaces it
  kRefuse = 2    // it keeps the path, and nothing is opened
};

// How many `.previous` names there are. There are more names than files that are kept, since a renamed file also needs
// a name until it is decided whether to keep it.
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

  // The process id of the other process, in its own PID namespace; 0: not known.
  int32_t holder() const { return holder_; }

 private:
  // Opens the region file of this name and takes its lock. `*descriptor` is -1 when there is no file.
  Status TakeOver(const std::string& path, int* descriptor);
  Status TakeOverOnce(const std::string& path, int* descriptor, bool* is_to_repeat);
  Status MakeTemporary(int* descriptor);
  // The name of the `number`th earlier file: 1 is `<path>.previous`.
  std::string Generation(int number) const;
  // An error unless the earlier file may be renamed: it is a region file of this user, and its writer is gone.
  Status CheckMovable(int number);
  // Renames the file that has the path to `.previous`, and each earlier file to its next name. EEXIST: another process
  // used a name in the meantime.
  Status Keep();
  Status TakePath(bool is_taken);

  const std::string path_;
  const Previous previous_;
  std::string temporary_;
  bool is_published_ = false;
  int32_t holder_ = 0;
};

}  // namespace vmm
