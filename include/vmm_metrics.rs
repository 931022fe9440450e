//! The public header of vmm-metrics for Rust (1.63 or newer). Include this file as a module, and link `vmm_metrics.c`,
//! which has the functions of the header as symbols; `examples/native-writers/rust` does both.
//!
//! - Thread-safety: a `Store`, and metrics and devices of it, may be used by any thread. A `Shard` belongs to the thread
//!   that made it: it is neither `Send` nor `Sync`.
//! - Async-signal-safety: `inc`, `add`, `set`, `observe_ns` and `Shard::in_handler` are safe.
//! - Memory ordering: relaxed. A metric publishes nothing but itself.
//! - Lifetime: the compiler checks that shards, devices and metrics do not outlive what they come from.

#![allow(dead_code)]

use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

#[repr(C)]
struct RawStore {
    abi: *const c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawMetric {
    offset: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawDevice {
    group: u32,
    first_cell: u32,
}

#[repr(C)]
struct RawShard {
    own: *mut u8,
    shared: *mut u8,
    number: u32,
    cell_layout: u32,
    alternate_stack: *mut c_void,
}

const SHARED_SHARD: u32 = 0;
const OK: c_int = 0;

extern "C" {
    fn vmm_metrics_attach(env: *mut c_void, external: *mut c_void, fingerprint: u64, out: *mut RawStore) -> c_int;
    fn vmm_metrics_detach(store: *mut RawStore);
    fn vmm_metrics_status_text(status: c_int) -> *const c_char;
    fn vmm_metrics_find(store: *const RawStore, path: *const c_char, kind: c_int, out: *mut RawMetric) -> c_int;
    fn vmm_metrics_alloc_device(
        store: *const RawStore,
        group: *const c_char,
        id: *const c_char,
        id_bytes: usize,
        out: *mut RawDevice,
    ) -> c_int;
    fn vmm_metrics_release_device(store: *const RawStore, device: RawDevice) -> c_int;
    fn vmm_metrics_remove_device(store: *const RawStore, group: *const c_char, id: *const c_char, id_bytes: usize) -> c_int;
    fn vmm_metrics_find_in_device(
        store: *const RawStore,
        device: RawDevice,
        field: *const c_char,
        kind: c_int,
        out: *mut RawMetric,
    ) -> c_int;
    fn vmm_metrics_claim(store: *const RawStore, out: *mut RawShard) -> c_int;
    fn vmm_metrics_give_back(store: *const RawStore, shard: *mut RawShard);
    fn vmm_metrics_shared_shard(store: *const RawStore, out: *mut RawShard);
    fn vmm_metrics_current(store: *const RawStore, out: *mut RawShard) -> c_int;
    fn vmm_metrics_handler_shard(store: *const RawStore, out: *mut RawShard);
    fn vmm_metrics_set(shard: *const RawShard, metric: RawMetric, value: u64);
    fn vmm_metrics_observe(shard: *const RawShard, metric: RawMetric, us: u64);
    fn vmm_metrics_observe_ns(shard: *const RawShard, metric: RawMetric, ns: u64);
    fn vmm_metrics_now_ns() -> u64;
}

/// What went wrong, with the name of what was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for Error {}

fn check(status: c_int, name: &str) -> Result<(), Error> {
    if status == OK {
        return Ok(());
    }
    // The text of a status is a constant.
    let text = unsafe { CStr::from_ptr(vmm_metrics_status_text(status)) };
    Err(Error(format!("{}: {}", name, text.to_string_lossy())))
}

fn c_string(name: &str) -> Result<CString, Error> {
    CString::new(name).map_err(|_| Error(format!("{:?}: a name must not contain NUL", name)))
}

/// An attachment to a store. Dropping it detaches.
pub struct Store {
    raw: RawStore,
}
// The functions of the table may be called by any thread.
unsafe impl Send for Store {}
unsafe impl Sync for Store {}

impl Store {
    /// Attaches to the store of `external`, which is `metrics.native`. `fingerprint` identifies the schema; 0 accepts
    /// any schema.
    ///
    /// # Safety
    /// `env` is a `napi_env`, `external` a `napi_value` of it, and this is the JS thread of that environment.
    pub unsafe fn attach(env: *mut c_void, external: *mut c_void, fingerprint: u64) -> Result<Store, Error> {
        let mut raw = RawStore { abi: ptr::null() };
        check(vmm_metrics_attach(env, external, fingerprint, &mut raw), "metrics")?;
        Ok(Store { raw })
    }

    /// Looks up a metric of a plain group by its path, such as `"vcpu.exit_io_out"`; the kind is that of the result.
    pub fn find<M: Metric>(&self, path: &str) -> Result<Of<'_, M>, Error> {
        let mut raw = RawMetric { offset: 0 };
        let name = c_string(path)?;
        check(unsafe { vmm_metrics_find(&self.raw, name.as_ptr(), M::KIND, &mut raw) }, path)?;
        Ok(Of::new(self, raw))
    }

    /// Finds the device `id` of `group`, or makes it.
    pub fn device(&self, group: &str, id: &str) -> Result<Device<'_>, Error> {
        let mut raw = RawDevice { group: 0, first_cell: 0 };
        let name = c_string(group)?;
        let status = unsafe { vmm_metrics_alloc_device(&self.raw, name.as_ptr(), id.as_ptr().cast(), id.len(), &mut raw) };
        check(status, &format!("{} {:?}", group, id))?;
        Ok(Device { store: self, raw })
    }

    /// Takes the device `id` of `group` out of the line.
    pub fn remove_device(&self, group: &str, id: &str) -> Result<(), Error> {
        let name = c_string(group)?;
        let status = unsafe { vmm_metrics_remove_device(&self.raw, name.as_ptr(), id.as_ptr().cast(), id.len()) };
        check(status, &format!("{} {:?}", group, id))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        unsafe { vmm_metrics_detach(&mut self.raw) }
    }
}

/// A device. Dropping it releases it: then its cells may become those of another device once it is removed.
pub struct Device<'s> {
    store: &'s Store,
    raw: RawDevice,
}

impl Device<'_> {
    /// Looks up a metric of this device by its name, such as `"read_count"`.
    pub fn find<M: Metric>(&self, field: &str) -> Result<Of<'_, M>, Error> {
        let mut raw = RawMetric { offset: 0 };
        let name = c_string(field)?;
        let status = unsafe { vmm_metrics_find_in_device(&self.store.raw, self.raw, name.as_ptr(), M::KIND, &mut raw) };
        check(status, field)?;
        Ok(Of::new(self.store, raw))
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        unsafe { vmm_metrics_release_device(&self.store.raw, self.raw) };
    }
}

/// The cells that one thread counts into.
pub struct Shard<'s> {
    raw: RawShard,
    store: &'s Store,
    is_claimed: bool,
    of_this_thread: PhantomData<*mut ()>,
}

impl<'s> Shard<'s> {
    fn with(store: &'s Store, is_claimed: bool, get: impl FnOnce(*mut RawShard) -> c_int) -> Shard<'s> {
        let null = ptr::null_mut();
        let mut raw = RawShard { own: null, shared: null, number: 0, cell_layout: 0, alternate_stack: ptr::null_mut() };
        get(&mut raw); // after a failure it is the shared shard
        Shard { raw, store, is_claimed, of_this_thread: PhantomData }
    }

    /// Claims a shard for this thread. Dropping the `Shard` gives it back.
    pub fn claim(store: &'s Store) -> Shard<'s> {
        Shard::with(store, true, |out| unsafe { vmm_metrics_claim(&store.raw, out) })
    }

    /// This thread's shard: claimed by the first call on the thread, and given back when the thread ends.
    pub fn current(store: &'s Store) -> Shard<'s> {
        Shard::with(store, false, |out| unsafe { vmm_metrics_current(&store.raw, out) })
    }

    /// For signal handlers: the shard that the interrupted thread has from `current`, else the shared shard.
    pub fn in_handler(store: &'s Store) -> Shard<'s> {
        Shard::with(store, false, |out| unsafe {
            vmm_metrics_handler_shard(&store.raw, out);
            OK
        })
    }

    /// Whether this is the shared shard, whose adds are atomic and cost more.
    pub fn is_shared(&self) -> bool {
        self.raw.number == SHARED_SHARD
    }
}

impl Drop for Shard<'_> {
    fn drop(&mut self) {
        if self.is_claimed {
            unsafe { vmm_metrics_give_back(&self.store.raw, &mut self.raw) }
        }
    }
}

/// A kind of metric: `Inc`, `Gauge` or `Latency`.
pub trait Metric {
    #[doc(hidden)]
    const KIND: c_int;
}
pub struct Inc;
pub struct Gauge;
pub struct Latency;
impl Metric for Inc {
    const KIND: c_int = 0;
}
impl Metric for Gauge {
    const KIND: c_int = 1;
}
impl Metric for Latency {
    const KIND: c_int = 2;
}

/// A metric of a store or of a device.
pub struct Of<'d, M> {
    raw: RawMetric,
    abi: *const c_void,
    from: PhantomData<(&'d (), M)>,
}
// A number, and an address that is only compared.
unsafe impl<M> Send for Of<'_, M> {}
unsafe impl<M> Sync for Of<'_, M> {}
impl<M> Clone for Of<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Of<'_, M> {}

impl<'d, M> Of<'d, M> {
    fn new(store: &Store, raw: RawMetric) -> Of<'d, M> {
        Of { raw, abi: store.raw.abi, from: PhantomData }
    }

    /// The offset is one of this store only.
    #[inline(always)]
    fn check(&self, shard: &Shard<'_>) {
        assert!(shard.store.raw.abi == self.abi, "the shard and the metric are of different stores");
    }
}

impl Of<'_, Inc> {
    #[inline]
    pub fn inc(&self, shard: &Shard<'_>) {
        self.add(shard, 1);
    }

    #[inline]
    pub fn add(&self, shard: &Shard<'_>, n: u64) {
        self.check(shard);
        let cell = unsafe { shard.raw.own.add(self.raw.offset as usize) }.cast::<u64>();
        if shard.is_shared() {
            // Relaxed: the cell publishes nothing.
            unsafe { &*cell.cast::<AtomicU64>() }.fetch_add(n, Ordering::Relaxed);
        } else {
            unsafe { add_own(cell, n) };
        }
    }
}

/// As `vmm_metrics_add_own_` in vmm_metrics_write.h: a signal on this thread cannot split the add.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn add_own(cell: *mut u64, n: u64) {
    std::arch::asm!("add qword ptr [{cell}], {n}", cell = in(reg) cell, n = in(reg) n, options(nostack));
}
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn add_own(cell: *mut u64, n: u64) {
    (*cell.cast::<AtomicU64>()).fetch_add(n, Ordering::Relaxed); // publishes nothing
}

impl Of<'_, Gauge> {
    pub fn set(&self, shard: &Shard<'_>, value: u64) {
        self.check(shard);
        unsafe { vmm_metrics_set(&shard.raw, self.raw, value) }
    }
}

impl Of<'_, Latency> {
    pub fn observe(&self, shard: &Shard<'_>, us: u64) {
        self.check(shard);
        unsafe { vmm_metrics_observe(&shard.raw, self.raw, us) }
    }

    pub fn observe_ns(&self, shard: &Shard<'_>, ns: u64) {
        self.check(shard);
        unsafe { vmm_metrics_observe_ns(&shard.raw, self.raw, ns) }
    }

    /// Runs `work` and records how long that took.
    pub fn time<T>(&self, shard: &Shard<'_>, work: impl FnOnce() -> T) -> T {
        let start_ns = unsafe { vmm_metrics_now_ns() };
        let result = work();
        self.observe_ns(shard, unsafe { vmm_metrics_now_ns() } - start_ns);
        result
    }
}
