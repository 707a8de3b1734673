// Asks open devices, each on a thread of its own, for what may have changed of them: the kernel tells nobody. Control
// thread, which never waits for one that does not answer.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "target/backend/device.h"
#include "target/daemon/patient_work.h"

namespace nvmf::daemon {

class DeviceLooks {
 public:
  explicit DeviceLooks(boost::asio::io_context& io, std::chrono::milliseconds patience = std::chrono::seconds(1))
      : work_(io), patience_(patience) {}

  // Brings DeviceInfo of the devices up to date. Takes no longer than the patience with all of them: what comes later
  // is taken by a later call, and a device that has not answered yet is not asked again.
  boost::asio::awaitable<void> measure(std::vector<std::weak_ptr<backend::Device>> devices);

 private:
  struct Look;

  // Takes the result of a look at the device if it is there. True: the device is being asked still.
  bool is_asked(const std::weak_ptr<backend::Device>& device);
  boost::asio::awaitable<void> ask(std::weak_ptr<backend::Device> device, std::chrono::milliseconds patience);

  PatientWork work_;
  const std::chrono::milliseconds patience_;
  std::vector<std::shared_ptr<Look>> late_;
};

}  // namespace nvmf::daemon
