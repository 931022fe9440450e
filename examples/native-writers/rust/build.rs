//! Compiles vmm_metrics.c, which has the functions of the public header as symbols. NODE_INCLUDE_DIR is the folder of
//! node_api.h; without it, the folder beside the `node` of the PATH.

use std::env;
use std::process::Command;

fn main() {
    let headers = env::var("NODE_INCLUDE_DIR").unwrap_or_else(|_| beside_node());
    let object = format!("{}/vmm_metrics.o", env::var("OUT_DIR").unwrap());
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_string());
    let mut words = compiler.split(' ');
    let status = Command::new(words.next().unwrap())
        .args(words)
        .args(["-std=c11", "-O2", "-fPIC", "-c", "../../../include/vmm_metrics.c", "-o", &object, "-I", &headers])
        .status()
        .expect("the C compiler runs");
    assert!(status.success(), "vmm_metrics.c does not compile");
    println!("cargo:rustc-link-arg-cdylib={}", object);
    for file in ["vmm_metrics.c", "vmm_metrics.h", "vmm_metrics_write.h", "vmm_metrics_histogram.h"] {
        println!("cargo:rerun-if-changed=../../../include/{}", file);
    }
    println!("cargo:rerun-if-env-changed=NODE_INCLUDE_DIR");
}

fn beside_node() -> String {
    let program = "const path = require('path'); path.resolve(process.execPath, '../../include/node')";
    let output = Command::new("node").args(["-p", program]).output().expect("node runs");
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}
