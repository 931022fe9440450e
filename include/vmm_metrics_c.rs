//! The structs and functions of `vmm_metrics.h`, as C has them. `vmm_metrics.rs` is made of them; use that.
//!
//! - Thread-safety, async-signal-safety, memory ordering and lifetime: as in `vmm_metrics.h`.

use std::os::raw::{c_char, c_int, c_void};

#[repr(C)]
pub struct RawStore {
    pub abi: *const c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawMetric {
    pub offset: u64,
}

/// The cells of a metric, and the table that finds its buckets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawHistogram {
    pub cells: RawMetric,
    pub buckets: *const c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawDevice {
    pub group: u32,
    pub first_cell: u32,
}

#[repr(C)]
pub struct RawShard {
    pub own: *mut u8,
    pub shared: *mut u8,
    pub number: u32,
    pub cell_layout: u32,
    pub alternate_stack: *mut c_void,
}

pub const SHARED_SHARD: u32 = 0;
pub const OK: c_int = 0;

extern "C" {
    pub fn vmm_metrics_attach(env: *mut c_void, external: *mut c_void, fingerprint: u64, out: *mut RawStore) -> c_int;
    pub fn vmm_metrics_detach(store: *mut RawStore);
    pub fn vmm_metrics_status_text(status: c_int) -> *const c_char;
    pub fn vmm_metrics_find(store: *const RawStore, path: *const c_char, kind: c_int, out: *mut RawMetric) -> c_int;
    pub fn vmm_metrics_alloc_device(
        store: *const RawStore,
        group: *const c_char,
        id: *const c_char,
        id_bytes: usize,
        out: *mut RawDevice,
    ) -> c_int;
    pub fn vmm_metrics_release_device(store: *const RawStore, device: RawDevice) -> c_int;
    pub fn vmm_metrics_remove_device(store: *const RawStore, group: *const c_char, id: *const c_char, id_bytes: usize)
        -> c_int;
    pub fn vmm_metrics_watch_kvm(store: *const RawStore, fd: c_int, vcpu: *const c_char, vcpu_bytes: usize) -> c_int;
    pub fn vmm_metrics_find_in_device(
        store: *const RawStore,
        device: RawDevice,
        field: *const c_char,
        kind: c_int,
        out: *mut RawMetric,
    ) -> c_int;
    pub fn vmm_metrics_find_histogram(
        store: *const RawStore,
        device: *const RawDevice,
        name: *const c_char,
        out: *mut RawHistogram,
    ) -> c_int;
    pub fn vmm_metrics_claim(store: *const RawStore, out: *mut RawShard) -> c_int;
    pub fn vmm_metrics_give_back(store: *const RawStore, shard: *mut RawShard);
    pub fn vmm_metrics_shared_shard(store: *const RawStore, out: *mut RawShard);
    pub fn vmm_metrics_current(store: *const RawStore, out: *mut RawShard) -> c_int;
    pub fn vmm_metrics_handler_shard(store: *const RawStore, out: *mut RawShard);
    pub fn vmm_metrics_set(shard: *const RawShard, metric: RawMetric, value: u64);
    pub fn vmm_metrics_observe(shard: *const RawShard, metric: RawMetric, us: u64);
    pub fn vmm_metrics_observe_ns(shard: *const RawShard, metric: RawMetric, ns: u64);
    pub fn vmm_metrics_histogram_observe(shard: *const RawShard, histogram: RawHistogram, value: u64);
    pub fn vmm_metrics_histogram_observe_ns(shard: *const RawShard, histogram: RawHistogram, ns: u64);
    pub fn vmm_metrics_now_ns() -> u64;
}
