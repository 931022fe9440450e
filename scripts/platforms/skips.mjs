// Native tests that an emulated platform cannot run, each with its reason. `part` is a part of the test's sentence.

export const SKIPS = [
  {
    program: 'forked_child_test',
    part: 'in a PID namespace of its own',
    reason: 'QEMU ignores MADV_WIPEONFORK, so a child with the number of its parent looks like the parent',
  },
  {
    program: 'handler_test',
    part: 'makes only the documented calls',
    reason: 'QEMU refuses seccomp filters',
  },
  { program: 'handler_test', part: 'given a seccomp filter', reason: 'QEMU refuses seccomp filters' },
  {
    program: 'kvm_statistics_test',
    part: 'given descriptors of other things',
    reason: 'QEMU answers ENOSYS to an ioctl() that it does not know, and the kernel ENOTTY',
  },
  {
    program: 'memory_limits_test',
    part: 'locks future memory without a limit',
    reason: 'QEMU does not lock future memory for the program',
  },
  {
    program: 'memory_limits_test',
    part: 'many chunks, when the mappings are counted',
    reason: 'QEMU writes a file of its own when a program opens /proc/self/stat, and a limit on file sizes forbids that',
  },
  {
    program: 'memory_limits_test',
    part: 'a row that was never given memory is touched',
    reason: 'QEMU writes a file of its own when a program opens /proc/self/stat, and a limit on file sizes forbids that',
  },
  {
    program: 'memory_limits_test',
    part: 'locks future memory and has a limit on that',
    reason: 'QEMU makes a new mapping where a mapping grows, so the unused address space of a region counts as locked',
  },
  {
    program: 'memory_limits_test',
    part: 'locks no memory',
    reason: 'QEMU does not map memory twice, so a region needs files as large as its memory, and a limit on file sizes forbids them',
  },
  {
    program: 'memory_limits_test',
    part: 'given locked memory at its limit',
    reason: "QEMU's own memory counts against the limit",
  },
  { program: 'periodic_test', part: 'when its signal mask is read', reason: 'QEMU keeps signal 64 for itself' },
  {
    program: 'process_identity_test',
    part: 'given a process that has just begun',
    reason: "QEMU's /proc/self/stat has no start time",
  },
  {
    program: 'recovery_test',
    part: 'when the next process is killed before its write',
    reason: 'QEMU refuses seccomp filters',
  },
  {
    program: 'region_loss_test',
    part: 'when a fatal signal interrupts it',
    reason: 'QEMU does not map memory twice, so the repair makes another call than the one that the test interrupts',
  },
  {
    program: 'region_loss_test',
    part: 'given a forked child, when it counts',
    reason: "QEMU ignores MADV_DONTFORK, so the child has the parent's file mapped and keeps it locked",
  },
  {
    program: 'region_test',
    part: 'that must not make files',
    reason: 'QEMU does not map memory twice, so a region needs a file that a limit on file sizes forbids',
  },
  { program: 'region_test', part: 'short of address space', reason: 'QEMU does not keep RLIMIT_AS' },
  {
    program: 'sink_turn_test',
    part: 'given one sink reached in different ways',
    reason: 'QEMU does not know TIOCGDEV, which tells which terminal /dev/tty is',
  },
];
