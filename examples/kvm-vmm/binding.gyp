{
  "targets": [
    {
      "target_name": "kvm_vmm",
      "sources": [
        "native/addon.cc",
        "native/block_queue.cc",
        "native/exit_handler.cc",
        "native/guest_memory.cc",
        "native/kvm_vcpu.cc",
        "native/pacer.cc",
        "native/simulated_guest.cc",
        "native/virtual_machine.cc"
      ],
      "include_dirs": ["../../include", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-fvisibility=hidden", "-Wall", "-Wextra"],
      "cflags_cc!": ["-fno-exceptions"],
      # If only a worker loaded the addon, it would be unloaded with the worker, but the signal handler stays installed.
      "ldflags": ["-Wl,-z,nodelete"]
    }
  ]
}
