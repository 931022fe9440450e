{
  "targets": [
    {
      "target_name": "vmm_metrics",
      "sources": [
        "native/alternate_stack.cc",
        "native/blocking_descriptor.cc",
        "native/capture.cc",
        "native/cells.cc",
        "native/copies.cc",
        "native/devices.cc",
        "native/directory.cc",
        "native/disposition.cc",
        "native/ending.cc",
        "native/flusher.cc",
        "native/handler.cc",
        "native/handler_chain.cc",
        "native/leaving.cc",
        "native/line.cc",
        "native/native_abi.cc",
        "native/node/addon.cc",
        "native/node/attachment.cc",
        "native/node/attachment_devices.cc",
        "native/node/format_table.cc",
        "native/node/profile_stop.cc",
        "native/node/region_access.cc",
        "native/node/store_spec.cc",
        "native/output_files.cc",
        "native/periodic.cc",
        "native/process_identity.cc",
        "native/process_mark.cc",
        "native/process_number.cc",
        "native/profile.cc",
        "native/profiler.cc",
        "native/program.cc",
        "native/recovery.cc",
        "native/region.cc",
        "native/region_file.cc",
        "native/region_guard.cc",
        "native/sibling.cc",
        "native/reservation.cc",
        "native/retirement.cc",
        "native/sink.cc",
        "native/sink_turn.cc",
        "native/store.cc",
        "native/store_devices.cc",
        "native/store_registry.cc"
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
