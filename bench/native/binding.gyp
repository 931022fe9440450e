{
  "targets": [
    {
      "target_name": "vmm_bench",
      "sources": [
        "abi1_writers.cc",
        "addon.cc",
        "appends.cc",
        "kvm.cc",
        "stopwatch.cc",
        "writers.cc",
        "yardstick.cc",
        # What is measured without a store around it.
        "<!@(ls ../../native/base/*.cc ../../native/region/*.cc ../../native/kvm/*.cc)"
      ],
      "include_dirs": ["../../include", "../../native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags": ["-Wall", "-Wextra", "-O2"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17", "-fexceptions"]
    },
    {
      "target_name": "bare_crash",
      "type": "executable",
      "sources": ["bare_crash.cc"],
      "include_dirs": ["../../native"],
      "cflags": ["-Wall", "-Wextra", "-O2"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17"]
    }
  ]
}
