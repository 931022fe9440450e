// Options for the sanitizers. A sanitizer must not take the fatal signals and the alternate stacks, which crash capture
// needs. After a report in a child, it must not go on, since the child's exit code would not show the report. Builds
// without a sanitizer do not call these functions.

extern "C" const char* __asan_default_options() {
  return "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_sigtrap=0:use_sigaltstack=0";
}

extern "C" const char* __tsan_default_options() {
  return "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_sigtrap=0:use_sigaltstack=0:"
         "halt_on_error=1:second_deadlock_stack=1";
}

extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }
