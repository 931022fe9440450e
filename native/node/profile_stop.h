// A profile as JavaScript holds it, and stopProfiling(), which ends the profile and returns a promise.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.
// Lifetime:            a started profile keeps its store's memory.

#pragma once

#include <memory>
#include <utility>

#include "node/node_addon_api.h"
#include "profile/profile.h"
#include "store/store.h"

namespace vmm {

// A profile that JavaScript may stop at any time, even after the store was closed.
struct StartedProfile {
  Store* store;  // this object holds a reference
  std::shared_ptr<Profile> profile;

  StartedProfile(Store* its_store, std::shared_ptr<Profile> its_profile) : store(its_store), profile(std::move(its_profile)) {}
  StartedProfile(const StartedProfile& other) : store(other.store), profile(other.profile) { store->Retain(); }
  StartedProfile& operator=(const StartedProfile&) = delete;
  ~StartedProfile() { store->Unreference(); }
};

// stopProfiling(started): ends the sampling at once, and returns a promise of the profile's figures.
Napi::Value StopProfiling(const Napi::CallbackInfo& info);

}  // namespace vmm
