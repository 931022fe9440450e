//! The public header of vmm-metrics for Rust (1.63 or newer). Include this file as a module, with `vmm_metrics_c.rs`
//! beside it, and link `vmm_metrics.c`, which has the functions of the header as symbols; `examples/native-writers/rust`
//! does both.
//!
//! - Thread-safety: a `Store`, and metrics and devices of it, may be used by any thread. A `Shard` belongs to the thread
//!   that made it: it is neither `Send` nor `Sync`.
//! - Async-signal-safety: `inc`, `add`, `set`, `observe`, `observe_ns` and `Shard::in_handler` are safe.
//! - Memory ordering: relaxed. A metric publishes nothing but itself.
//! - Lifetime: the compiler checks that shards, devices and metrics do not outlive what they come from.

#![allow(dead_code)]

use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::{c_int, c_void};
use std::os::unix::io::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "vmm_metrics_c.rs"]
mod c;
use c::*;

/// What went wrong, with the name of what was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for Error {}

fn error(status: c_int, name: &str) -> Error {
    // The text of a status is a constant.
    let text = unsafe { CStr::from_ptr(vmm_metrics_status_text(status)) };
    Error(format!("{}: {}", name, text.to_string_lossy()))
}

fn found<T>(status: c_int, value: T) -> Result<T, c_int> {
    if status == OK {
        Ok(value)
    } else {
        Err(status)
    }
}

fn check(status: c_int, name: &str) -> Result<(), Error> {
    found(status, ()).map_err(|status| error(status, name))
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
        Of::find(self, None, path)
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

    /// Samples KVM's statistics of a VM or a vCPU from now on, as `metrics.sampleKvm()` does. `vcpu` is the id of the
    /// vCPU's device, which is made if it does not exist; without it, the values go to the VM's metrics. `fd` is a VM, a
    /// vCPU or a statistics descriptor; the store duplicates it. A later call for the same `vcpu` replaces it.
    pub fn watch_kvm(&self, fd: BorrowedFd<'_>, vcpu: Option<&str>) -> Result<(), Error> {
        self.set_kvm(fd.as_raw_fd(), vcpu)
    }

    /// Samples what `watch_kvm` has set there once more, and no longer after that.
    pub fn unwatch_kvm(&self, vcpu: Option<&str>) -> Result<(), Error> {
        self.set_kvm(-1, vcpu)
    }

    fn set_kvm(&self, fd: c_int, vcpu: Option<&str>) -> Result<(), Error> {
        // No id is not an empty id, which is an error.
        let (id, bytes) = vcpu.map_or((ptr::null(), 0), |id| (id.as_ptr().cast(), id.len()));
        let status = unsafe { vmm_metrics_watch_kvm(&self.raw, fd, id, bytes) };
        check(status, &vcpu.map_or("the VM".to_string(), |id| format!("vCPU {:?}", id)))
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
        Of::find(self.store, Some(self.raw), field)
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

/// A kind of metric: `Inc`, `Gauge`, `Latency`, or `Histogram`, which is a latency with a hidden histogram too.
pub trait Metric {
    #[doc(hidden)]
    type Raw: Copy;
    /// `device`: none for a plain group.
    #[doc(hidden)]
    fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr) -> Result<Self::Raw, c_int>;
}
pub struct Inc;
pub struct Gauge;
pub struct Latency;
pub struct Histogram;

impl Metric for Inc {
    type Raw = RawMetric;
    fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr) -> Result<RawMetric, c_int> {
        look_up(store, device, name, 0)
    }
}
impl Metric for Gauge {
    type Raw = RawMetric;
    fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr) -> Result<RawMetric, c_int> {
        look_up(store, device, name, 1)
    }
}
impl Metric for Latency {
    type Raw = RawMetric;
    fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr) -> Result<RawMetric, c_int> {
        look_up(store, device, name, 2)
    }
}
impl Metric for Histogram {
    type Raw = RawHistogram;
    fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr) -> Result<RawHistogram, c_int> {
        let device = device.as_ref().map_or(ptr::null(), |device| device as *const RawDevice);
        let mut raw = RawHistogram { cells: RawMetric { offset: 0 }, buckets: ptr::null() };
        found(unsafe { vmm_metrics_find_histogram(&store.raw, device, name.as_ptr(), &mut raw) }, raw)
    }
}

/// `kind` is a `vmm_metrics_kind`.
fn look_up(store: &Store, device: Option<RawDevice>, name: &CStr, kind: c_int) -> Result<RawMetric, c_int> {
    let mut raw = RawMetric { offset: 0 };
    let status = match device {
        None => unsafe { vmm_metrics_find(&store.raw, name.as_ptr(), kind, &mut raw) },
        Some(device) => unsafe { vmm_metrics_find_in_device(&store.raw, device, name.as_ptr(), kind, &mut raw) },
    };
    found(status, raw)
}

/// A metric of a store or of a device.
pub struct Of<'d, M: Metric> {
    raw: M::Raw,
    abi: *const c_void,
    from: PhantomData<(&'d (), M)>,
}
// A number, an address that is only compared, and a table that never changes and lives as long as its store.
unsafe impl<M: Metric> Send for Of<'_, M> {}
unsafe impl<M: Metric> Sync for Of<'_, M> {}
impl<M: Metric> Clone for Of<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: Metric> Copy for Of<'_, M> {}

impl<'d, M: Metric> Of<'d, M> {
    fn find(store: &'d Store, device: Option<RawDevice>, name: &str) -> Result<Of<'d, M>, Error> {
        match M::look_up(store, device, &c_string(name)?) {
            Ok(raw) => Ok(Of { raw, abi: store.raw.abi, from: PhantomData }),
            Err(status) => Err(error(status, name)),
        }
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
        timed(work, |ns| self.observe_ns(shard, ns))
    }
}

impl Of<'_, Histogram> {
    /// Records a value, in the unit of the histogram; that of a latency is the microsecond.
    pub fn observe(&self, shard: &Shard<'_>, value: u64) {
        self.check(shard);
        unsafe { vmm_metrics_histogram_observe(&shard.raw, self.raw, value) }
    }

    /// Records a duration, in a histogram of times. Its nanoseconds go to the buckets.
    pub fn observe_ns(&self, shard: &Shard<'_>, ns: u64) {
        self.check(shard);
        unsafe { vmm_metrics_histogram_observe_ns(&shard.raw, self.raw, ns) }
    }

    /// Runs `work` and records how long that took, in a histogram of times.
    pub fn time<T>(&self, shard: &Shard<'_>, work: impl FnOnce() -> T) -> T {
        timed(work, |ns| self.observe_ns(shard, ns))
    }
}

/// Runs `work`, and passes its duration in nanoseconds to `observe`.
fn timed<T>(work: impl FnOnce() -> T, observe: impl FnOnce(u64)) -> T {
    let start_ns = unsafe { vmm_metrics_now_ns() };
    let result = work();
    observe(unsafe { vmm_metrics_now_ns() } - start_ns);
    result
}
