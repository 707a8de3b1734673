// The devices that are open, each of them once: a block device or SSD is taken for one user alone (O_EXCL), and the
// namespaces of several subsystems that lie on it share that one. Any thread.
#pragma once

#include <sys/types.h>

#include <compare>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "target/backend/device.h"

namespace nvmf::backend {

class OpenDevices {
 public:
  using Open = std::function<std::unique_ptr<Device>(const DeviceSpec&)>;

  // `open`: what opens a device that is not open yet.
  explicit OpenDevices(Open open = open_device) : open_(std::move(open)) {}

  // The device that is open already, when what `spec` names now is the same node or file, and is to be used in the same
  // way; else a new one. Waits while another thread opens it. Throws as open_device(), and std::runtime_error when an
  // SSD is open already in the other of its two ways, Nvme and Block.
  std::shared_ptr<Device> open(const DeviceSpec& spec);

 private:
  // A device that was unplugged and plugged in again has a new node, even at the same path.
  struct Node {
    DeviceKind kind;
    uint32_t block_bytes;
    dev_t file_system;
    ino_t inode;
    dev_t device;  // 0: a regular file
    auto operator<=>(const Node&) const = default;
  };

  // None: nothing is there, or what is there is not shared (memory).
  static std::optional<Node> node_of(const DeviceSpec& spec);
  void opened(const Node& node, const std::string& disk, const std::shared_ptr<Device>& device);
  // The disk is taken. Throws when that is by a device of another kind here.
  void explain_busy(const DeviceSpec& spec, const std::string& disk);

  struct Opened {
    std::weak_ptr<Device> device;
    std::string disk;  // disk_of()
  };

  const Open open_;
  std::mutex mutex_;
  std::condition_variable was_opened_;
  std::set<Node> opening_;
  std::map<Node, Opened> open_devices_;
};

}  // namespace nvmf::backend
