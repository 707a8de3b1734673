// Error events, and their entries in the error log: NVMe Base 2.0, sections 5.2 and 5.16.1.2.
#include "target/core/datapath/device_error.h"

#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::DeviceError;
using core::DeviceErrors;

constexpr uint64_t kPersistentInternalError = 0x010300;  // error, information, log page 01h
constexpr uint64_t kTransientInternalError = 0x010400;
constexpr Status kInternal = NVME_SC_INTERNAL;
constexpr Status kNotReady = NVME_SC_NS_NOT_READY;

nvme_error_log_page newest_error(Host& host, bool retain = false) {
  return host.log_page(NVME_LOG_LID_ERROR, 64, 0, retain).as<nvme_error_log_page>();
}

TEST_CASE("a disk fails: its command's status, the event for every host, and an entry of no command") {
  World world;
  Host host(world);
  Host other(world, "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555");
  other.hostid = {0x43};
  host.bring_up(1);
  other.bring_up();
  const size_t awaited = host.await_event();
  const size_t of_other = other.await_event();
  int expected = 0;
  uint64_t event = 0;
  SUBCASE("with an internal error: transient") {
    expected = NVME_SC_INTERNAL;
    event = kTransientInternalError;
  }
  SUBCASE("because it is gone: persistent") {
    expected = NVME_SC_NS_NOT_READY;
    event = kPersistentInternalError;
  }
  world.disk_3.answer = expected;
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).status == expected);
  CHECK(host.admin.take(awaited).result == event);
  CHECK(other.admin.take(of_other).result == event);

  const nvme_error_log_page entry = newest_error(other);
  CHECK(entry.error_count == 1);
  CHECK(entry.sqid == 0xffff);
  CHECK(entry.cmdid == 0xffff);
  CHECK((entry.status_field >> 1) == expected);
  CHECK(entry.parm_error_location == 0xffff);
  CHECK(entry.nsid == 3);
  CHECK(newest_error(host).error_count == 2);
  REQUIRE_FALSE(world.events.empty());
  CHECK(world.events.back().find("namespace 3 of " + std::string(World::kNqn)) != std::string::npos);
}

TEST_CASE("a medium fails, or a command is wrong: no event") {
  World world;
  Host host(world);
  host.bring_up(1);
  const size_t awaited = host.await_event();
  world.disk_1.answer = core::media_error(NVME_SC_READ_ERROR);
  CHECK_FALSE(host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  CHECK_FALSE(host.io(1).send(command(nvme_cmd_read, 1, World::kBlocks), Bytes(512)).ok());
  CHECK_FALSE(host.admin.answered(awaited));
}

TEST_CASE("error events cannot be disabled, and wait until the host has read the error log") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == 0);
  const size_t first = host.await_event();
  const size_t second = host.await_event();
  world.subsystem.device_failed(1, DeviceError::Transient);
  world.subsystem.device_failed(1, DeviceError::Persistent);
  CHECK(host.admin.take(first).result == kTransientInternalError);
  CHECK_FALSE(host.admin.answered(second));
  CHECK(newest_error(host, true).error_count == 2);
  CHECK_FALSE(host.admin.answered(second));
  newest_error(host);
  CHECK(host.admin.take(second).result == kPersistentInternalError);
}

TEST_CASE("hosts that do not see the namespace are not told") {
  World world;
  Host host(world);
  host.bring_up();
  host.controller().deny(3, core::kHidden);
  const size_t awaited = host.await_event();
  world.subsystem.device_failed(3, DeviceError::Transient);
  CHECK_FALSE(host.admin.answered(awaited));
  CHECK(newest_error(host).error_count == 0);
  world.subsystem.device_failed(99, DeviceError::Transient);  // has gone meanwhile
  CHECK_FALSE(host.admin.answered(awaited));
}

TEST_CASE("a disk that fails all the time is reported now and then; that it is gone, at once") {
  core::Mailbox control;
  std::vector<DeviceError> reports;
  DeviceErrors errors(&control, [&](DeviceError error) { reports.push_back(error); });
  constexpr uint64_t kStart = 5;
  errors.note(kInternal, kStart);
  errors.note(kInternal, kStart + 1);
  errors.note(kNotReady, kStart + 2);  // while the first is on its way: it is for the next time
  control.receive();
  CHECK(reports == std::vector{DeviceError::Transient});
  errors.note(kInternal, kStart + DeviceErrors::kIntervalNs - 1);
  control.receive();
  CHECK(reports.size() == 1);
  errors.note(kNotReady, kStart + DeviceErrors::kIntervalNs - 1);
  control.receive();
  CHECK(reports.back() == DeviceError::Persistent);
  errors.note(kNotReady.do_not_retry(), kStart + 2 * DeviceErrors::kIntervalNs);
  control.receive();
  CHECK(reports.size() == 3);
}

}  // namespace
}  // namespace nvmf::test
