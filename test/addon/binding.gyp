{
  "targets": [
    {
      "target_name": "vmm_test",
      "sources": ["addon.cc", "confined.cc", "deaths.cc", "handlers.cc", "kvm.cc", "ledger.cc", "storm.cc", "turnover.cc", "writers.cc", "header_is_c.c"],
      "include_dirs": ["../../include", "../native"],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-Wall", "-Wextra", "-O2", "-g"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-exceptions"],
      "cflags_cc": ["-std=c++17", "-fexceptions"],
      "cflags_c": ["-std=gnu11"]
    },
    {
      "target_name": "abi1_writer",
      "sources": ["abi1_writer.cc"],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-Wall", "-Wextra", "-O2", "-g"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17"]
    },
    {
      "target_name": "slow_write",
      "sources": ["slow_write.cc"],
      "cflags": ["-Wall", "-Wextra", "-O2", "-g"]
    },
    {
      "target_name": "handler_watch",
      "sources": ["handler_watch.cc"],
      "include_dirs": ["../native"],
      "cflags": ["-Wall", "-Wextra", "-O2", "-g"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17"]
    }
  ]
}
