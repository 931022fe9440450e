//! A native writer in Rust: an addon for Node that counts on its own threads.

use std::os::raw::{c_char, c_void};
use std::ptr;

#[path = "../../../../include/vmm_metrics.rs"]
mod vmm_metrics;
use vmm_metrics::{Device, Error, Gauge, Histogram, Inc, Latency, Shard, Store};

fn run_vcpu(store: &Store, drive: &Device<'_>, times: u32) -> Result<(), Error> {
    let exits = store.find::<Inc>("vcpu.exit_io_out")?;
    let exit_time = store.find::<Latency>("vcpu.exit_io_out_agg")?;
    let halted = store.find::<Histogram>("vcpu.halt_agg")?;
    let state = store.find::<Gauge>("vcpu.state")?;
    let flushes = drive.find::<Inc>("flush_count")?;
    let sizes = drive.find::<Histogram>("flush_bytes")?;
    let shard = Shard::claim(store);
    state.set(&shard, 1);
    for i in 0..times {
        exit_time.time(&shard, || {
            exits.inc(&shard);
            halted.observe_ns(&shard, 1_000 * u64::from(i) + 999);
            if i % 10 == 0 {
                let current = Shard::current(store); // a device function needs no shard from its caller
                flushes.inc(&current);
                sizes.observe(&current, u64::from(i));
            }
        });
    }
    state.set(&shard, 0);
    Ok(())
}

/// # Safety
/// As `Store::attach`.
unsafe fn run(env: *mut c_void, external: *mut c_void, threads: u32, times: u32) -> Result<(), Error> {
    let store = Store::attach(env, external, 0)?;
    store.find::<Inc>("vcpu.exit_io_out")?;
    let drive = store.device("pmem", "drv0")?;
    std::thread::scope(|scope| {
        let vcpus: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_vcpu(&store, &drive, times))).collect();
        vcpus.into_iter().try_for_each(|vcpu| vcpu.join().expect("no vCPU panics"))
    })
}

// What this addon needs of Node-API.
type Callback = unsafe extern "C" fn(env: *mut c_void, info: *mut c_void) -> *mut c_void;
extern "C" {
    fn napi_get_cb_info(
        env: *mut c_void,
        info: *mut c_void,
        count: *mut usize,
        arguments: *mut *mut c_void,
        this: *mut *mut c_void,
        data: *mut *mut c_void,
    ) -> u32;
    fn napi_get_value_uint32(env: *mut c_void, value: *mut c_void, out: *mut u32) -> u32;
    fn napi_create_string_utf8(env: *mut c_void, text: *const c_char, bytes: usize, out: *mut *mut c_void) -> u32;
    fn napi_create_function(
        env: *mut c_void,
        name: *const c_char,
        name_bytes: usize,
        call: Callback,
        data: *mut c_void,
        out: *mut *mut c_void,
    ) -> u32;
    fn napi_set_named_property(env: *mut c_void, object: *mut c_void, name: *const c_char, value: *mut c_void) -> u32;
}

/// run(metrics.native, threads, times): "", or why nothing was counted.
unsafe extern "C" fn run_from_javascript(env: *mut c_void, info: *mut c_void) -> *mut c_void {
    let mut arguments = [ptr::null_mut(); 3];
    let mut count = arguments.len();
    let (mut threads, mut times) = (0, 0);
    napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), ptr::null_mut());
    napi_get_value_uint32(env, arguments[1], &mut threads);
    napi_get_value_uint32(env, arguments[2], &mut times);
    let said = match run(env, arguments[0], threads, times) {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    let mut text = ptr::null_mut();
    napi_create_string_utf8(env, said.as_ptr().cast(), said.len(), &mut text);
    text
}

/// # Safety
/// Node calls it, with the environment that loads the addon.
#[no_mangle]
pub unsafe extern "C" fn napi_register_module_v1(env: *mut c_void, exports: *mut c_void) -> *mut c_void {
    let name = b"run\0".as_ptr().cast();
    let mut function = ptr::null_mut();
    napi_create_function(env, name, 3, run_from_javascript, ptr::null_mut(), &mut function);
    napi_set_named_property(env, exports, name, function);
    exports
}
