// Opens devices and files on other threads, many at once: one that is busy, slow or dead keeps neither the control
// thread nor the others from going on. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "target/backend/device.h"
#include "target/backend/open_devices.h"
#include "target/daemon/file_lock.h"
#include "target/daemon/patient_work.h"

namespace nvmf::daemon {

// There is nothing at the path, or no SSD with the serial number.
class DeviceAbsent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Opening it takes longer than the patience with each device.
class DeviceSilent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A device, and for a file the lock that keeps other daemons from it.
struct OpenedDevice {
  std::shared_ptr<backend::Device> device;
  std::shared_ptr<FileLock> lock{};
  std::string identity{};  // identity_of()
  std::string storage{};   // DeviceInfo::storage; of several paths to one file, the one without links
};

struct DeviceOpenerOptions {
  // On a thread of its own. May throw. What is open already is shared.
  std::function<std::shared_ptr<backend::Device>(const backend::DeviceSpec&)> open =
      [devices = std::make_shared<backend::OpenDevices>()](const backend::DeviceSpec& spec) {
        return devices->open(spec);
      };
  std::chrono::milliseconds patience{8000};  // with each device
  std::string root = "/";                    // where sysfs is: SSDs are found there by their serial number
};

class DeviceOpener {
 public:
  explicit DeviceOpener(boost::asio::io_context& io, DeviceOpenerOptions options = {});

  // A device that was given up has answered after all, or has failed: the next open() of it does not wait.
  std::function<void()> on_late;

  // Throws std::exception with a message for the operator: DeviceAbsent, DeviceSilent, or what opening throws. After
  // DeviceSilent the opening goes on, and a later call takes what comes of it.
  boost::asio::awaitable<OpenedDevice> open(backend::DeviceSpec spec);
  // Closes on another thread what has come late and was not asked for again.
  void close_unwanted();
  // Closes a device on another thread: that may block, too.
  void close(OpenedDevice opened);

 private:
  struct Opening;

  std::shared_ptr<Opening> take(const backend::DeviceSpec& spec);

  boost::asio::io_context& io_;
  DeviceOpenerOptions options_;
  PatientWork work_;
  std::shared_ptr<ImageLocks> image_locks_ = std::make_shared<ImageLocks>();
  std::vector<std::shared_ptr<Opening>> late_;  // given up, perhaps done by now
};

}  // namespace nvmf::daemon
