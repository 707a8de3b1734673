#include "target/backend/open_devices.h"

#include <sys/stat.h>

namespace nvmf::backend {

std::optional<OpenDevices::Node> OpenDevices::node_of(const DeviceSpec& spec) {
  struct stat status {};
  if (spec.kind == DeviceKind::Memory || stat(spec.path.c_str(), &status) != 0) return std::nullopt;
  const uint32_t block_bytes = spec.kind == DeviceKind::File ? spec.block_bytes : 0;
  return Node{spec.kind, block_bytes, status.st_dev, status.st_ino, status.st_rdev};
}

std::shared_ptr<Device> OpenDevices::open(const DeviceSpec& spec) {
  const std::optional<Node> node = node_of(spec);
  if (!node) return open_(spec);
  {
    std::unique_lock lock(mutex_);
    was_opened_.wait(lock, [&] { return !opening_.contains(*node); });
    std::erase_if(open_devices_, [](const auto& one) { return one.second.expired(); });
    if (const auto found = open_devices_.find(*node); found != open_devices_.end())
      if (auto device = found->second.lock()) return device;
    opening_.insert(*node);
  }
  std::shared_ptr<Device> device;
  try {
    device = open_(spec);
  } catch (...) {
    opened(*node, nullptr);
    throw;
  }
  opened(*node, device);
  return device;
}

void OpenDevices::opened(const Node& node, const std::shared_ptr<Device>& device) {
  const std::lock_guard lock(mutex_);
  opening_.erase(node);
  if (device) open_devices_[node] = device;
  was_opened_.notify_all();
}

}  // namespace nvmf::backend
