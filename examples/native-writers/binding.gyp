{
  "target_defaults": {
    "include_dirs": ["../../include"],
    "defines": ["NAPI_VERSION=8"],
    "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow"],
    "cflags_c": ["-std=c11"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++17"]
  },
  "targets": [
    { "target_name": "c_writer", "sources": ["writer.c"] },
    { "target_name": "cpp_writer", "sources": ["writer.cc"] }
  ]
}
