// Devices that are slow, dead or absent: nobody waits for them longer than the patience, and they keep neither each
// other nor the control thread from going on. Each test would never end, or not as it does, if they did.
#include "target/daemon/device_opener.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/backend/fake_sysfs.h"

namespace nvmf::daemon {
namespace {

using Task = boost::asio::awaitable<void>;
using std::chrono::hours;
using std::chrono::milliseconds;

// Disks that do not answer until the test says so. A thread that closes one may outlive the test.
class SlowDisks : public std::enable_shared_from_this<SlowDisks> {
 public:
  class Disk : public backend::Device {
   public:
    Disk(std::shared_ptr<SlowDisks> disks, const backend::DeviceSpec& spec) : disks_(std::move(disks)) {
      info_.storage = spec.path;
      info_.serial = "S0";
    }
    ~Disk() override { disks_->count(disks_->closed_); }
    std::unique_ptr<core::IoChannel> open_channel(backend::UringEngine&) override { return nullptr; }

   private:
    const std::shared_ptr<SlowDisks> disks_;
  };

  std::unique_ptr<backend::Device> open(const backend::DeviceSpec& spec) {
    wait_for_answer();
    if (spec.path == "/dev/zero") throw std::runtime_error("broken");
    return std::make_unique<Disk>(shared_from_this(), spec);
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    changed_.notify_all();
  }
  void await_questions(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ == count; });
  }
  void await_closings(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ == count; });
  }

 private:
  void wait_for_answer() {
    count(asked_);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_; });
  }
  void count(size_t& counter) {
    const std::lock_guard lock(mutex_);
    ++counter;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t asked_ = 0;
  size_t closed_ = 0;
  bool answers_ = false;
};

struct Openings {
  explicit Openings(milliseconds patience)
      : opener(io, {.open = [disks = disks](const auto& spec) { return disks->open(spec); },
                    .patience = patience,
                    .root = sysfs.root()}) {}

  // /dev/null and its like are there, which is all that is asked of the path.
  void open(const std::string& path) { boost::asio::co_spawn(io, open_device(path), boost::asio::detached); }
  void open_serial(const std::string& serial) {
    boost::asio::co_spawn(io, open_device({}, serial), boost::asio::detached);
  }
  // An SSD with this serial number, whose generic device is /dev/null.
  void add_ssd(const std::string& serial) {
    sysfs.file("sys/devices/nvme0/serial", serial);
    sysfs.file("sys/devices/nvme0/null/dev", "242:0");
    sysfs.file("sys/devices/nvme0/nvmell/nsid", "1");
    sysfs.link("sys/class/nvme-generic/null", "sys/devices/nvme0/null");
  }
  Task open_device(std::string path, std::string serial = {}) {
    try {
      const backend::DeviceSpec spec{.kind = backend::DeviceKind::Nvme, .path = path, .serial = serial};
      const OpenedDevice opened = co_await opener.open(spec);
      outcomes.push_back("opened " + opened.device->info().storage);
    } catch (const DeviceAbsent& error) {
      outcomes.push_back(std::string("absent: ") + error.what());
    } catch (const std::exception& error) {
      outcomes.emplace_back(error.what());
    }
  }
  void run() {
    io.restart();
    io.run();
  }

  backend::test::FakeSysfs sysfs;
  std::shared_ptr<SlowDisks> disks = std::make_shared<SlowDisks>();  // threads may outlive the test
  boost::asio::io_context io;
  DeviceOpener opener;
  std::vector<std::string> outcomes;
};

TEST_CASE("64 devices are opened at the same time, and the control thread goes on meanwhile") {
  Openings test(hours(1));
  for (int i = 0; i < 64; ++i) test.open("/dev/null");
  boost::asio::post(test.io, [&] {
    test.disks->await_questions(64);
    test.disks->answer();
  });
  test.run();
  CHECK(test.outcomes == std::vector<std::string>(64, "opened /dev/null"));
}

TEST_CASE("more devices than there are threads: the others follow") {
  Openings test(hours(1));
  test.disks->answer();
  const size_t many = 3 * PatientWork::kMostAtOnce;
  for (size_t i = 0; i < many; ++i) test.open("/dev/null");
  test.run();
  CHECK(test.outcomes == std::vector<std::string>(many, "opened /dev/null"));
}

TEST_CASE("a device that does not answer is given up, and is there without waiting when it has answered") {
  Openings test(milliseconds(0));
  bool came_late = false;
  test.opener.on_late = [&] { came_late = true; };
  test.open("/dev/null");
  test.run();
  const std::string given_up = "/dev/null does not answer: opening it takes more than 0 s";
  CHECK(test.outcomes == std::vector{given_up});

  test.open("/dev/null");  // it is not opened a second time meanwhile
  test.run();
  CHECK(test.outcomes == std::vector{given_up, given_up});

  test.disks->answer();
  const auto work = boost::asio::make_work_guard(test.io);
  test.opener.on_late = [&] {
    came_late = true;
    test.io.stop();
  };
  test.run();
  CHECK(came_late);
  test.open("/dev/null");
  boost::asio::post(test.io, [&] { boost::asio::post(test.io, [&] { test.io.stop(); }); });
  test.run();
  CHECK(test.outcomes.back() == "opened /dev/null");
}

TEST_CASE("what comes late and is not wanted any more is closed") {
  Openings test(milliseconds(0));
  test.open("/dev/null");
  test.run();
  const auto work = boost::asio::make_work_guard(test.io);
  test.opener.on_late = [&] { test.io.stop(); };
  test.disks->answer();
  test.run();
  test.opener.close_unwanted();
  boost::asio::post(test.io, [&] { test.io.stop(); });
  test.run();
  test.disks->await_closings(1);
}

TEST_CASE("what opening a device throws is the answer; a path that leads nowhere is told apart") {
  Openings test(hours(1));
  test.disks->answer();
  test.open("/dev/no-such-device");
  test.run();
  test.open("/dev/zero");
  test.run();
  CHECK(test.outcomes == std::vector<std::string>{"absent: /dev/no-such-device does not exist", "broken"});
}

TEST_CASE("an SSD is opened by its serial number where sysfs has it, and is absent where not") {
  Openings test(hours(1));
  test.disks->answer();
  test.open_serial("S0");
  test.run();
  CHECK(test.outcomes.back() ==
        "absent: the SSD with serial number \"S0\" is not in this machine: plug it in, or correct the serial number");
  test.add_ssd("S0");
  test.open_serial("S0");
  test.run();
  CHECK(test.outcomes.back() == "opened /dev/null");
}

TEST_CASE("an SSD that took the place of the one that was looked for is not served as that") {
  Openings test(hours(1));
  test.disks->answer();
  test.add_ssd("S1");
  test.open_serial("S1");  // which the device, when it is opened, does not have
  test.run();
  CHECK(test.outcomes.back() ==
        "absent: /dev/null is the SSD with serial number \"S0\" now, not \"S1\" as when it was looked for");
}

TEST_CASE("an SSD that does not answer is named by its serial number") {
  Openings test(milliseconds(0));
  test.add_ssd("S0");
  test.open_serial("S0");
  test.run();
  CHECK(test.outcomes.back() == "the SSD with serial number \"S0\" does not answer: opening it takes more than 0 s");
  test.disks->answer();
}

TEST_CASE("the opener goes while a device still does not answer") {
  std::shared_ptr<SlowDisks> disks;
  {
    Openings test(milliseconds(0));
    disks = test.disks;
    test.open("/dev/null");
    test.run();
  }
  disks->answer();
}

}  // namespace
}  // namespace nvmf::daemon
