#include "target/backend/open_devices.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "target/backend/generic_device.h"

namespace nvmf::backend {
namespace {

std::string path_of(const DeviceSpec& spec) {
  return spec.kind == DeviceKind::Nvme ? generic_device_of(spec.path) : spec.path;
}

// The block device that is taken for one user alone: of /dev/ng0n1 it is /dev/nvme0n1. Empty: none.
std::string disk_of(const DeviceSpec& spec) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path path = fs::canonical(path_of(spec), error);
  const std::string name = path.filename().string();
  if (error || (spec.kind != DeviceKind::Nvme && spec.kind != DeviceKind::Block)) return {};
  const bool is_generic = spec.kind == DeviceKind::Nvme && name.starts_with("ng");
  return (is_generic ? path.parent_path() / ("nvme" + name.substr(2)) : path).string();
}

}  // namespace

std::optional<OpenDevices::Node> OpenDevices::node_of(const DeviceSpec& spec) {
  struct stat status {};
  if (spec.kind == DeviceKind::Memory || stat(path_of(spec).c_str(), &status) != 0) return std::nullopt;
  const uint32_t block_bytes = spec.kind == DeviceKind::File || spec.kind == DeviceKind::Dax ? spec.block_bytes : 0;
  return Node{spec.kind, block_bytes, status.st_dev, status.st_ino, status.st_rdev};
}

std::shared_ptr<Device> OpenDevices::open(const DeviceSpec& spec) {
  const std::optional<Node> node = node_of(spec);
  if (!node) return open_(spec);
  const std::string disk = disk_of(spec);
  {
    std::unique_lock lock(mutex_);
    was_opened_.wait(lock, [&] { return !opening_.contains(*node); });
    std::erase_if(open_devices_, [](const auto& one) { return one.second.device.expired(); });
    if (const auto found = open_devices_.find(*node); found != open_devices_.end())
      if (auto device = found->second.device.lock()) return device;
    opening_.insert(*node);
  }
  std::shared_ptr<Device> device;
  try {
    device = open_(spec);
  } catch (const std::system_error& error) {
    opened(*node, disk, nullptr);
    if (error.code().value() == EBUSY) explain_busy(spec, disk);
    throw;
  } catch (...) {
    opened(*node, disk, nullptr);
    throw;
  }
  opened(*node, disk, device);
  return device;
}

void OpenDevices::opened(const Node& node, const std::string& disk, const std::shared_ptr<Device>& device) {
  const std::lock_guard lock(mutex_);
  opening_.erase(node);
  if (device) open_devices_[node] = {device, disk};
  was_opened_.notify_all();
}

void OpenDevices::explain_busy(const DeviceSpec& spec, const std::string& disk) {
  const std::lock_guard lock(mutex_);
  for (const auto& [node, other] : open_devices_) {
    if (disk.empty() || other.disk != disk || node.kind == spec.kind || other.device.expired()) continue;
    const std::string key = node.kind == DeviceKind::Nvme ? "\"nvme\"" : "\"block\"";
    throw std::runtime_error(spec.path + ": another namespace is served from " + disk + " by the key " + key +
                             ": name this SSD by that key in all namespaces");
  }
}

}  // namespace nvmf::backend
