// Signal handlers of other software: a crash reporter that hands on, a handler that repairs the fault, and the current
// disposition of a signal.

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "addon.h"
#include "division.h"

namespace {

const char kReported[] = "reported\n";
struct sigaction g_before_reporter[65];

// Does what crash reporters do: reports, restores the earlier handler, and hands on to it.
void Report(int signal, siginfo_t* info, void* context) {
  if (write(STDOUT_FILENO, kReported, sizeof(kReported) - 1) < 0) return;
  const struct sigaction& before = g_before_reporter[signal];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    struct sigaction by_default = {};
    by_default.sa_handler = SIG_DFL;
    sigaction(signal, &by_default, nullptr);
    raise(signal);
  }
}

// Does what some hosts do: hands on, but stays installed.
struct sigaction g_before_above[65];
void Above(int signal, siginfo_t* info, void* context) {
  if (write(STDOUT_FILENO, "above\n", 6) < 0) return;
  const struct sigaction& before = g_before_above[signal];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
}

// A host's handler that ends the process in its own way.
void Exit(int, siginfo_t*, void*) { exit(7); }

// A host's handler that needs more stack than an alternate stack has.
void UseLargeFrame(int, siginfo_t*, void*) {
  volatile char frame[200 * 1024];
  for (size_t i = 0; i < sizeof(frame); i += 512) frame[i] = 1;
  if (write(STDOUT_FILENO, "large\n", 6) < 0) return;
}

napi_value Install(napi_env env, napi_callback_info info, void (*handler)(int, siginfo_t*, void*), struct sigaction* before,
                   int flags = SA_ONSTACK) {
  struct sigaction ours = {};
  ours.sa_sigaction = handler;
  ours.sa_flags = SA_SIGINFO | flags;
  const int signal = static_cast<int>(NumberArgument(env, info, 0));
  sigaction(signal, &ours, before == nullptr ? nullptr : &before[signal]);
  return nullptr;
}

napi_value InstallReporter(napi_env env, napi_callback_info info) { return Install(env, info, Report, g_before_reporter); }

napi_value InstallMender(napi_env env, napi_callback_info info) { return Install(env, info, vmm::SkipDivision, nullptr); }

napi_value InstallAbove(napi_env env, napi_callback_info info) { return Install(env, info, Above, g_before_above); }

napi_value InstallExiter(napi_env env, napi_callback_info info) { return Install(env, info, Exit, nullptr); }

napi_value InstallLarge(napi_env env, napi_callback_info info) { return Install(env, info, UseLargeFrame, nullptr, 0); }

napi_value Divide(napi_env, napi_callback_info) {
  vmm::DivideByZero();
  return nullptr;
}

napi_value Breakpoint(napi_env, napi_callback_info) {
#if defined(__x86_64__)
  asm volatile("int3");
#endif
  return nullptr;
}

// setIgnored(signal)
napi_value SetIgnored(napi_env env, napi_callback_info info) {
  signal(static_cast<int>(NumberArgument(env, info, 0)), SIG_IGN);
  return nullptr;
}

napi_value SetDefault(napi_env env, napi_callback_info info) {
  signal(static_cast<int>(NumberArgument(env, info, 0)), SIG_DFL);
  return nullptr;
}

// disposition(signal): 'default', 'ignored' or 'function'.
napi_value Disposition(napi_env env, napi_callback_info info) {
  struct sigaction now;
  sigaction(static_cast<int>(NumberArgument(env, info, 0)), nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) != 0) return Text(env, "function");
  return Text(env, now.sa_handler == SIG_DFL ? "default" : now.sa_handler == SIG_IGN ? "ignored" : "function");
}

// signalMain(signal, afterMs): sends the signal to the main thread only, from another thread. The caller does not wait.
napi_value SignalMain(napi_env env, napi_callback_info info) {
  const int signal = static_cast<int>(NumberArgument(env, info, 0));
  const unsigned int us = static_cast<unsigned int>(NumberArgument(env, info, 1) * 1000);
  std::thread([signal, us] {
    usleep(us);
    syscall(SYS_tgkill, getpid(), getpid(), signal);
  }).detach();
  return nullptr;
}

// forkAndCrash(how): forks a child that dies; returns the signal that ended the child.
napi_value ForkAndCrash(napi_env env, napi_callback_info info) {
  const std::string how = StringArgument(env, info, 0);
  const pid_t child = fork();
  if (child == 0) {
    Die(how);
    _exit(3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  napi_value signal;
  napi_create_int32(env, WIFSIGNALED(status) ? WTERMSIG(status) : -1, &signal);
  return signal;
}

// forkAndSleep(ms): forks a child that sleeps for `ms`; returns its process id.
napi_value ForkAndSleep(napi_env env, napi_callback_info info) {
  const unsigned int us = static_cast<unsigned int>(NumberArgument(env, info, 0) * 1000);
  const pid_t child = fork();
  if (child == 0) {
    usleep(us);
    _exit(0);
  }
  napi_value number;
  napi_create_int32(env, child, &number);
  return number;
}

}  // namespace

void DefineHandlers(napi_env env, napi_value exports) {
  Define(env, exports, "installReporter", InstallReporter);
  Define(env, exports, "installMender", InstallMender);
  Define(env, exports, "installAbove", InstallAbove);
  Define(env, exports, "installExiter", InstallExiter);
  Define(env, exports, "installLarge", InstallLarge);
  Define(env, exports, "signalMain", SignalMain);
  Define(env, exports, "divide", Divide);
  Define(env, exports, "breakpoint", Breakpoint);
  Define(env, exports, "setIgnored", SetIgnored);
  Define(env, exports, "setDefault", SetDefault);
  Define(env, exports, "disposition", Disposition);
  Define(env, exports, "forkAndCrash", ForkAndCrash);
  Define(env, exports, "forkAndSleep", ForkAndSleep);
}
