// The platforms that have a prebuilt addon, and what each prebuilt addon must be.

/** The newest glibc whose symbols a prebuilt addon may need: the glibc of RHEL 8 and Debian 10. */
export const GLIBC_MAX = '2.28';

/** The most bytes of one addon. */
export const BYTES_MAX = 400_000;

/**
 * The most bytes of all addons together, each compressed as in the package. The bound for the rest of the package is
 * in test/package/package.test.ts.
 */
export const PACKED_BYTES_MAX = 760_000;

/**
 * `file` is the path in prebuilds/, `triple` the target of zig, `machine` what the ELF header says, and `needs` the
 * libraries that the addon may load: those of the C library alone.
 */
export const TARGETS = [
  {
    file: 'linux-x64/vmm-metrics.glibc.node',
    triple: `x86_64-linux-gnu.${GLIBC_MAX}`,
    machine: 'Advanced Micro Devices X86-64',
    needs: ['libc.so.6', 'libm.so.6', 'libpthread.so.0', 'libdl.so.2', 'ld-linux-x86-64.so.2'],
  },
  { file: 'linux-x64/vmm-metrics.musl.node', triple: 'x86_64-linux-musl', machine: 'Advanced Micro Devices X86-64', needs: ['libc.so'] },
  {
    file: 'linux-arm64/vmm-metrics.glibc.node',
    triple: `aarch64-linux-gnu.${GLIBC_MAX}`,
    machine: 'AArch64',
    needs: ['libc.so.6', 'libm.so.6', 'libpthread.so.0', 'libdl.so.2', 'ld-linux-aarch64.so.1'],
  },
  { file: 'linux-arm64/vmm-metrics.musl.node', triple: 'aarch64-linux-musl', machine: 'AArch64', needs: ['libc.so'] },
];
