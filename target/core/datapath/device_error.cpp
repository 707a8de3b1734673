#include "target/core/datapath/device_error.h"

#include <optional>

namespace nvmf::core {
namespace {

// Status Code Type and Status Code.
constexpr int kCode = 0x7ff;

// None: the error concerns the command or the medium.
std::optional<DeviceError> device_error(Status status) {
  switch (status.value() & kCode) {
    case NVME_SC_INTERNAL:
      return DeviceError::Transient;
    case NVME_SC_NS_NOT_READY:
      return DeviceError::Persistent;
    default:
      return std::nullopt;
  }
}

}  // namespace

void DeviceErrors::note(Status status, uint64_t now_ns) {
  const auto error = device_error(status);
  if (!error || !is_due(*error, now_ns)) return;
  if (on_its_way_.load(std::memory_order_acquire)) return;  // pairs with the release in deliver()
  noted_ = true;
  noted_ns_ = now_ns;
  noted_error_ = *error;
  reported_ = *error;
  on_its_way_.store(true, std::memory_order_relaxed);
  message_.deliver = deliver;
  message_.context = this;
  if (control_ == nullptr) return deliver(message_);
  control_->send(message_);
}

bool DeviceErrors::is_due(DeviceError error, uint64_t now_ns) const {
  return !noted_ || noted_error_ != error || now_ns - noted_ns_ >= kIntervalNs;
}

void DeviceErrors::deliver(Message& message) {
  auto& errors = *static_cast<DeviceErrors*>(message.context);
  const DeviceError error = errors.reported_;
  errors.on_its_way_.store(false, std::memory_order_release);
  errors.report_(error);
}

}  // namespace nvmf::core
