{
  "targets": [
    {
      "target_name": "vmm_metrics",
      "sources": [
        "native/base/fork.cc",
        "native/base/process_identity.cc",
        "native/crash/alternate_stack.cc",
        "native/crash/capture.cc",
        "native/crash/disposition.cc",
        "native/crash/handler.cc",
        "native/crash/handler_chain.cc",
        "native/crash/sibling.cc",
        "native/flush/blocking_descriptor.cc",
        "native/flush/devices.cc",
        "native/flush/flusher.cc",
        "native/flush/leaving.cc",
        "native/flush/line.cc",
        "native/flush/line_finishers.cc",
        "native/flush/program.cc",
        "native/flush/recovery.cc",
        "native/flush/retirement.cc",
        "native/flush/sink.cc",
        "native/flush/sink_turn.cc",
        "native/node/addon.cc",
        "native/node/attachment.cc",
        "native/node/attachment_devices.cc",
        "native/node/format_table.cc",
        "native/node/profile_stop.cc",
        "native/node/region_access.cc",
        "native/node/store_spec.cc",
        "native/profile/last_samples.cc",
        "native/profile/profile.cc",
        "native/profile/profile_output.cc",
        "native/profile/profile_outputs.cc",
        "native/profile/profiler.cc",
        "native/profile/sampler.cc",
        "native/profile/spinning_cpu.cc",
        "native/region/cells.cc",
        "native/region/directory.cc",
        "native/region/region.cc",
        "native/region/region_file.cc",
        "native/region/region_guard.cc",
        "native/region/region_repair.cc",
        "native/region/reservation.cc",
        "native/region/row_mappings.cc",
        "native/store/copies.cc",
        "native/store/ending.cc",
        "native/store/native_abi.cc",
        "native/store/periodic.cc",
        "native/store/store.cc",
        "native/store/store_devices.cc",
        "native/store/store_registry.cc"
      ],
      "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      # swallow: in a worker that is being terminated no exception can be thrown into JavaScript; to throw it into C++ instead would
      # end the process.
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags": ["-Wall", "-Wextra", "-fvisibility=hidden", "-O2"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-fvisibility=hidden"],
      # now: a handler must not be the first to call a function, since binding it takes locks. nodelete: an addon that only a
      # worker loaded is unloaded with it, and a handler in unmapped memory kills the process.
      "ldflags": ["-Wl,-z,now", "-Wl,-z,nodelete", "-Wl,-z,relro"]
    }
  ]
}
