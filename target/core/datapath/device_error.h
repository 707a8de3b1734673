// Reports internal errors of a namespace's device from a reactor to the control thread, which notifies the hosts: NVMe
// Base 2.0, section 5.2 (Error events). Errors of the medium are reported by the commands' status only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "target/core/datapath/status.h"
#include "target/core/reactor/mailbox.h"

namespace nvmf::core {

enum class DeviceError : uint8_t {
  Transient,   // it failed internally, or does not answer
  Persistent,  // the device is gone
};

// The reports of a namespace's views (IoNamespace) on one thread. A device that fails all commands is reported at
// intervals, not for each command.
class DeviceErrors {
 public:
  static constexpr uint64_t kIntervalNs = 10'000'000'000;

  // `report` is called on the control thread, whose mailbox is given; null: everything runs on one thread.
  DeviceErrors(Mailbox* control, std::function<void(DeviceError)> report)
      : control_(control), report_(std::move(report)) {}
  DeviceErrors(const DeviceErrors&) = delete;
  DeviceErrors& operator=(const DeviceErrors&) = delete;

  // The views' thread: a command has ended with this status. `now_ns` of the steady clock.
  void note(Status status, uint64_t now_ns);

 private:
  bool is_due(DeviceError error, uint64_t now_ns) const;
  static void deliver(Message& message);

  // The views' thread.
  bool noted_ = false;
  uint64_t noted_ns_ = 0;
  DeviceError noted_error_ = DeviceError::Transient;

  Mailbox* control_;
  std::function<void(DeviceError)> report_;
  DeviceError reported_ = DeviceError::Transient;  // the error in the message
  std::atomic<bool> on_its_way_{false};
  Message message_;
};

}  // namespace nvmf::core
