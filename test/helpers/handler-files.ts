// The files of native/ that a signal handler can reach.

/**
 * The files that hold a function which `HandleSignal` calls, directly or through others. For headers that these files
 * include, inline functions count too. `test/async-signal-safety.test.ts` compares this list with the machine code;
 * `test/rooms.test.ts` follows the includes from here.
 */
export const HANDLER_FILES = [
  'base/raw_writer.cc',
  'crash/disposition.cc',
  'crash/handler.cc',
  'crash/handler_chain.cc',
  'flush/blocking_descriptor.cc',
  'flush/line.cc',
  'flush/line_sender.cc',
  'flush/line_writer.cc',
  'flush/recovery.cc',
  'flush/sink.cc',
  'flush/sink_turn.cc',
  'kvm/samples.cc',
  'profile/last_samples.cc',
  'profile/profile_output.cc',
  'region/collection.cc',
  'region/region.cc',
  'region/region_guard.cc',
  'region/region_repair.cc',
  'region/row_mappings.cc',
];
