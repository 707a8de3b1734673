#include "target/backend/open_devices.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <latch>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/unit/backend/support.h"
#include "tests/unit/scratch.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;

namespace {

class NoDevice final : public Device {
 public:
  std::unique_ptr<nvmf::core::IoChannel> open_channel(UringEngine&) override { return nullptr; }
};

// Counts what is opened.
struct Counted {
  std::atomic<int> opened{0};
  OpenDevices devices{[this](const DeviceSpec& spec) -> std::unique_ptr<Device> {
    ++opened;
    if (spec.path.ends_with("broken")) throw std::runtime_error("broken");
    return std::make_unique<NoDevice>();
  }};
};

DeviceSpec file(const std::string& path, uint32_t block_bytes = 512) {
  return {.kind = DeviceKind::File, .path = path, .size_bytes = 0, .block_bytes = block_bytes};
}

}  // namespace

TEST_CASE("A device that is open is shared by all who open it, by whatever path") {
  Counted counted;
  const TemporaryFile one(4096), other(4096);
  const std::string link = one.path() + "-link";
  std::filesystem::create_symlink(one.path(), link);
  const auto first = counted.devices.open(file(one.path()));
  CHECK(counted.devices.open(file(one.path())) == first);
  CHECK(counted.devices.open(file(link)) == first);
  CHECK(counted.devices.open(file(other.path())) != first);
  CHECK(counted.opened == 2);
  std::filesystem::remove(link);
}

TEST_CASE("What is used in another way is opened by itself; memory is each one's own") {
  Counted counted;
  const TemporaryFile one(4096);
  const auto first = counted.devices.open(file(one.path()));
  CHECK(counted.devices.open(file(one.path(), 4096)) != first);
  CHECK(counted.devices.open({.kind = DeviceKind::Block, .path = one.path()}) != first);
  const DeviceSpec memory{.kind = DeviceKind::Memory, .path = "", .size_bytes = 4096};
  CHECK(counted.devices.open(memory) != counted.devices.open(memory));
}

TEST_CASE("The last one who lets go closes it; it is opened again then") {
  Counted counted;
  const TemporaryFile one(4096);
  auto first = counted.devices.open(file(one.path()));
  auto second = counted.devices.open(file(one.path()));
  first.reset();
  CHECK(counted.devices.open(file(one.path())) == second);
  CHECK(counted.opened == 1);
  second.reset();
  counted.devices.open(file(one.path()));
  CHECK(counted.opened == 2);
}

TEST_CASE("Another file or node at the same path is another device") {
  Counted counted;
  const TemporaryFile one(4096), other(4096);
  const auto first = counted.devices.open(file(one.path()));
  std::filesystem::rename(other.path(), one.path());
  CHECK(counted.devices.open(file(one.path())) != first);
}

TEST_CASE("What cannot be opened keeps nobody else from trying") {
  Counted counted;
  const TemporaryFile one(4096);
  const std::string broken = one.path() + "broken";
  std::filesystem::copy(one.path(), broken);
  CHECK_THROWS(counted.devices.open(file(broken)));
  CHECK_THROWS(counted.devices.open(file(broken)));
  CHECK(counted.opened == 2);
  std::filesystem::remove(broken);
  CHECK_THROWS(counted.devices.open(file("/nowhere/at-all/broken")));
}

TEST_CASE("An SSD that is open in one way is busy in the other: the message says why") {
  const nvmf::Scratch scratch;
  const std::string generic = scratch.path() + "/ng0n1", block = scratch.path() + "/nvme0n1";
  for (const std::string& path : {generic, block}) std::ofstream(path) << "x";
  bool is_busy = false;
  OpenDevices devices([&](const DeviceSpec& spec) -> std::unique_ptr<Device> {
    if (is_busy) throw std::system_error(EBUSY, std::generic_category(), spec.path);
    return std::make_unique<NoDevice>();
  });
  const DeviceSpec nvme{.kind = DeviceKind::Nvme, .path = generic};
  const DeviceSpec disk{.kind = DeviceKind::Block, .path = block};
  auto open = devices.open(nvme);
  is_busy = true;
  CHECK_THROWS_WITH(devices.open(disk), (block + ": another namespace is served from " + block +
                                         " by the key \"nvme\": name this SSD by that key in all namespaces")
                                            .c_str());
  open.reset();
  CHECK_THROWS_AS(devices.open(disk), std::system_error);  // by somebody else
}

TEST_CASE("Two threads that open a device at once get the same one") {
  const TemporaryFile one(4096);
  std::latch inside(1), go_on(1);
  std::atomic<int> opened{0};
  OpenDevices devices([&](const DeviceSpec&) -> std::unique_ptr<Device> {
    ++opened;
    inside.count_down();
    go_on.wait();
    return std::make_unique<NoDevice>();
  });
  std::shared_ptr<Device> first, second;
  std::thread slow([&] { first = devices.open(file(one.path())); });
  inside.wait();
  std::thread late([&] { second = devices.open(file(one.path())); });
  go_on.count_down();
  slow.join();
  late.join();
  CHECK(first);
  CHECK(first == second);
  CHECK(opened == 1);
}
