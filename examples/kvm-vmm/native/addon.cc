// The addon `kvm_vmm.node`: two functions, `kvmProblem()` and `start(options, onWake)`. vmm.ts has their types.
//
// Thread-safety: JS threads only. A virtual machine belongs to the thread that started it.
// Lifetime:      per machine: a VirtualMachine that its JS functions share, the thread-safe function with which the
//                vCPU thread wakes JavaScript, and the environment's cleanup hook, which ends the vCPU thread before
//                the environment is torn down. Per process: only the handler of the kick signal (kvm_vcpu.cc).

#include <napi.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "metrics.gen.h"
#include "virtual_machine.h"

namespace kvm_vmm {
namespace {

// A virtual machine as JavaScript sees it.
struct Running {
  std::unique_ptr<VirtualMachine> machine;
  napi_threadsafe_function wake = nullptr;
  napi_env env = nullptr;
  bool stopped = false;
};

void StopWithEnvironment(void* running) { static_cast<Running*>(running)->machine->Stop(); }

// takeEvents(): the new events, as 32-bit words.
Napi::Value TakeEvents(const Napi::CallbackInfo& info, Running* running) {
  std::vector<Event> events;
  running->machine->mailbox().TakeEvents([&events](const Event& event) { events.push_back(event); });
  Napi::Uint32Array words = Napi::Uint32Array::New(info.Env(), events.size() * kEventWords);
  if (!events.empty()) std::memcpy(words.Data(), events.data(), events.size() * sizeof(Event));
  return words;
}

// endReason(): once it has returned a reason, the next takeEvents() returns the last events.
Napi::Value EndReason(const Napi::CallbackInfo& info, Running* running) {
  const std::string* reason = running->machine->mailbox().EndReason();
  return reason != nullptr ? Napi::String::New(info.Env(), *reason).As<Napi::Value>() : info.Env().Undefined();
}

// On the JS thread, after a wake-up.
void CallOnWake(napi_env env, napi_value on_wake, void* context, void*) {
  if (env == nullptr || (*static_cast<std::shared_ptr<Running>*>(context))->stopped) return;
  const Napi::HandleScope scope(env);
  if (napi_call_function(env, Napi::Env(env).Undefined(), on_wake, 0, nullptr, nullptr) != napi_pending_exception) return;
  napi_value error;  // a device has thrown: becomes an uncaught exception
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void FreeContext(napi_env, void* context, void*) { delete static_cast<std::shared_ptr<Running>*>(context); }

// stop(): joins the vCPU thread. takeEvents() still returns the events that came before.
Napi::Value Stop(const Napi::CallbackInfo& info, Running* running) {
  if (running->stopped) return info.Env().Undefined();
  running->stopped = true;
  running->machine->Stop();
  napi_remove_env_cleanup_hook(running->env, StopWithEnvironment, running);
  napi_release_threadsafe_function(running->wake, napi_tsfn_release);  // no thread is left that would wake JavaScript
  return info.Env().Undefined();
}

// wakeMe(): asks for a call of onWake at the next event.
Napi::Value WakeMe(const Napi::CallbackInfo& info, Running* running) {
  if (!running->stopped) running->machine->mailbox().WakeMe();
  return info.Env().Undefined();
}

// The slot of a request that waits for the device, in JavaScript. Throws for any other slot.
BlockSlot* SlotAtDevice(const Napi::CallbackInfo& info, Running* running) {
  const uint32_t index = info[0].As<Napi::Number>().Uint32Value();
  BlockSlot* slot = index < kQueueSize ? &running->machine->mailbox().slots[index] : nullptr;
  // Acquire: pairs with the release in BlockQueue::Take, which publishes the request.
  if (slot == nullptr || slot->state.load(std::memory_order_acquire) != BlockSlot::kAtDevice) {
    throw Napi::RangeError::New(info.Env(), "no request is waiting in slot " + std::to_string(index));
  }
  return slot;
}

Napi::Value WrittenData(const Napi::CallbackInfo& info, Running* running) {
  const BlockSlot* slot = SlotAtDevice(info, running);
  return Napi::Buffer<uint8_t>::Copy(info.Env(), slot->data.data(), slot->bytes);
}

// complete(slot, data): `data` is the data that was read, empty after a write, or undefined for a failure.
Napi::Value Complete(const Napi::CallbackInfo& info, Running* running) {
  BlockSlot* slot = SlotAtDevice(info, running);
  slot->failed = info[1].IsUndefined();
  if (!slot->failed) {
    const auto data = info[1].As<Napi::Uint8Array>();
    if (data.ByteLength() > slot->bytes) throw Napi::RangeError::New(info.Env(), "more data than the request has room for");
    std::memcpy(slot->data.data(), data.Data(), data.ByteLength());
  }
  slot->state.store(BlockSlot::kDone, std::memory_order_release);  // publishes the data to BlockQueue::Deliver
  return info.Env().Undefined();
}

// kvmDescriptors(): { vm, vcpu }; undefined if the guest does not run on KVM.
Napi::Value KvmDescriptors(const Napi::CallbackInfo& info, Running* running) {
  const KvmVcpu* vcpu = running->machine->vcpu();
  if (vcpu == nullptr) return info.Env().Undefined();
  Napi::Object descriptors = Napi::Object::New(info.Env());
  descriptors["vm"] = vcpu->vm_fd();
  descriptors["vcpu"] = vcpu->vcpu_fd();
  return descriptors;
}

// input(bytes): returns how many bytes fitted into the receive buffer of the serial port.
Napi::Value Input(const Napi::CallbackInfo& info, Running* running) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  size_t taken = 0;
  while (taken < bytes.ByteLength() && running->machine->mailbox().serial_input.Push(bytes.Data()[taken])) ++taken;
  return Napi::Number::New(info.Env(), static_cast<double>(taken));
}

Napi::Object MethodsOf(Napi::Env env, const std::shared_ptr<Running>& running) {
  Napi::Object methods = Napi::Object::New(env);
  const auto add = [&](const char* name, Napi::Value (*method)(const Napi::CallbackInfo&, Running*)) {
    const auto call = [running, method](const Napi::CallbackInfo& info) { return method(info, running.get()); };
    methods[name] = Napi::Function::New(env, call, name);
  };
  add("stop", Stop);
  add("takeEvents", TakeEvents);
  add("endReason", EndReason);
  add("wakeMe", WakeMe);
  add("kvmDescriptors", KvmDescriptors);
  add("input", Input);
  add("writtenData", WrittenData);
  add("complete", Complete);
  add("overflow", [](const Napi::CallbackInfo& info, Running* r) -> Napi::Value {
    r->machine->mailbox().RequestOverflow();
    return info.Env().Undefined();
  });
  add("setSectors", [](const Napi::CallbackInfo& info, Running* r) -> Napi::Value {
    // Relaxed: a register publishes nothing but itself.
    r->machine->mailbox().sectors.store(info[0].As<Napi::Number>().Uint32Value(), std::memory_order_relaxed);
    return info.Env().Undefined();
  });
  return methods;
}

Napi::Value Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto given = info[0].As<Napi::Object>();
  VirtualMachineOptions options;
  options.memory_file = given.Get("memoryFile").As<Napi::String>();
  options.disk = given.Get("disk").As<Napi::String>();
  options.exits_per_second = given.Get("exitsPerSecond").As<Napi::Number>();
  options.simulate = given.Get("simulate").As<Napi::Boolean>();

  vmm_metrics_store store;
  // Behind the groups of the header, the schema may have those of KVM.
  const std::string difference = metrics::attach(env, given.Get("metrics"), &store, VMM_METRICS_BEGINNING);
  if (!difference.empty()) throw Napi::Error::New(env, "metrics: " + difference);

  auto running = std::make_shared<Running>();
  running->env = env;
  // The vCPU thread calls this only between Start and the end of Stop, while `running` and `wake` exist.
  running->machine = std::make_unique<VirtualMachine>(
      store, [r = running.get()] { napi_call_threadsafe_function(r->wake, nullptr, napi_tsfn_nonblocking); });
  auto context = std::make_unique<std::shared_ptr<Running>>(running);
  const napi_status made = napi_create_threadsafe_function(env, info[1], nullptr, Napi::String::New(env, "kvm_vmm events"), 0, 1,
                                                           nullptr, FreeContext, context.get(), CallOnWake, &running->wake);
  if (made != napi_ok) throw Napi::Error::New(env);
  context.release();  // FreeContext owns it

  const std::string problem = running->machine->Start(options);
  if (!problem.empty()) {
    running->stopped = true;
    running->machine->Stop();
    napi_release_threadsafe_function(running->wake, napi_tsfn_release);
    throw Napi::Error::New(env, problem);
  }
  // Cleanup hooks run in reverse order, so this hook runs before the environment's own teardown. No wake-up comes
  // later.
  napi_add_env_cleanup_hook(env, StopWithEnvironment, running.get());
  return MethodsOf(env, running);
}

Napi::Value KvmProblemForJs(const Napi::CallbackInfo& info) {
  const std::string problem = KvmProblem();
  return problem.empty() ? info.Env().Undefined() : Napi::String::New(info.Env(), problem).As<Napi::Value>();
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["kvmProblem"] = Napi::Function::New(env, KvmProblemForJs, "kvmProblem");
  exports["start"] = Napi::Function::New(env, Start, "start");
  return exports;
}

NODE_API_MODULE(kvm_vmm, Init)

}  // namespace kvm_vmm
