// A virtual machine on /dev/kvm, for tests of KVM's statistics; and watches by native code.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "addon.h"
#include "tiny_vm.h"

namespace {

std::unique_ptr<vmm::TinyVm> g_vm;
std::atomic<bool> g_is_running{false};
std::vector<std::thread> g_threads;

napi_value Number(napi_env env, int number) {
  napi_value value;
  napi_create_int32(env, number, &value);
  return value;
}

// makeVm(vcpus): why this machine cannot run a VM; empty if it can.
napi_value MakeVm(napi_env env, napi_callback_info info) {
  const std::string problem = vmm::TinyVm::Problem();
  if (problem.empty()) g_vm = std::make_unique<vmm::TinyVm>(static_cast<int>(NumberArgument(env, info, 0)));
  return Text(env, problem.c_str());
}

// vmDescriptor(vcpu): the descriptor of that vCPU; of the VM for -1.
napi_value VmDescriptor(napi_env env, napi_callback_info info) {
  const int vcpu = static_cast<int>(NumberArgument(env, info, 0));
  return Number(env, vcpu < 0 ? g_vm->vm() : g_vm->vcpu(vcpu));
}

// runVcpu(vcpu, exits): runs it on this thread. 1: it has made that many exits.
napi_value RunVcpu(napi_env env, napi_callback_info info) {
  const int vcpu = static_cast<int>(NumberArgument(env, info, 0));
  return Number(env, g_vm->Run(vcpu, static_cast<uint64_t>(NumberArgument(env, info, 1))));
}

// startVcpus(count): runs vCPUs 0 to count - 1, each on a thread of its own, until stopVcpus().
napi_value StartVcpus(napi_env env, napi_callback_info info) {
  g_is_running = true;
  for (int i = 0; i < static_cast<int>(NumberArgument(env, info, 0)); i++) {
    g_threads.emplace_back([i] {
      while (g_is_running && g_vm->Run(i, 1)) {
      }
    });
  }
  return Number(env, 0);
}

napi_value StopVcpus(napi_env env, napi_callback_info) {
  g_is_running = false;
  for (std::thread& thread : g_threads) thread.join();
  g_threads.clear();
  return Number(env, 0);
}

napi_value DropVm(napi_env env, napi_callback_info) {
  g_vm.reset();
  return Number(env, 0);
}

// watchKvm(descriptor, vcpu): the status as text. An empty text stands for the VM.
napi_value WatchKvm(napi_env env, napi_callback_info info) {
  const std::string vcpu = StringArgument(env, info, 1);
  const int descriptor = static_cast<int>(NumberArgument(env, info, 0));
  return Text(env, vmm_metrics_status_text(
                       vmm_metrics_watch_kvm(&AttachedStore(), descriptor, vcpu.empty() ? nullptr : vcpu.data(), vcpu.size())));
}

// withoutKvmStatistics(): from now on, the kernel answers this process as one that has no statistics descriptors. True
// if the system accepts the filter.
napi_value WithoutKvmStatistics(napi_env env, napi_callback_info) {
  constexpr uint32_t kCheckExtension = 0xae03, kGetStatsFd = 0xaece;
  const auto load = [](size_t offset) { return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); };
  sock_filter filter[] = {
      load(offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
      load(offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCheckExtension, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kGetStatsFd, 2, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),  // no error, and the result 0: the kernel has no such capability
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
  };
  const sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  return Number(env, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

}  // namespace

void DefineKvm(napi_env env, napi_value exports) {
  Define(env, exports, "makeVm", MakeVm);
  Define(env, exports, "vmDescriptor", VmDescriptor);
  Define(env, exports, "runVcpu", RunVcpu);
  Define(env, exports, "startVcpus", StartVcpus);
  Define(env, exports, "stopVcpus", StopVcpus);
  Define(env, exports, "dropVm", DropVm);
  Define(env, exports, "watchKvm", WatchKvm);
  Define(env, exports, "withoutKvmStatistics", WithoutKvmStatistics);
}
