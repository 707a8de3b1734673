// Host Behavior Support (feature 16h) and what it changes: NVMe Base 2.0, section 5.27.1.18.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint8_t kFid = NVME_FEAT_FID_HOST_BEHAVIOR;

Answer set_behavior(Host& host, size_t byte, uint8_t value) {
  Bytes data(512);
  data[byte] = std::byte{value};
  return host.admin.send(command(nvme_admin_set_features, 0, kFid), data);
}

uint8_t acre_of(Host& host, uint8_t sel = NVME_GET_FEATURES_SEL_CURRENT) {
  const Answer answer =
      host.admin.send(command(nvme_admin_get_features, 0, kFid | uint32_t{sel} << 8), Bytes(512, std::byte{0xee}));
  REQUIRE(answer.ok());
  for (size_t byte = 1; byte < 512; ++byte) REQUIRE(answer.data[byte] == std::byte{0});
  return std::to_integer<uint8_t>(answer.data[0]);
}

// What the host hears of a read that the disk fails.
Answer failed_read(Host& host, core::Status failure) {
  host.world.disk_1.answer = failure;
  return host.io(1).send(command(nvme_cmd_read, 1), Bytes(512));
}

// The Command Retry Delay of such a read.
unsigned retry_delay(Host& host, core::Status failure) {
  const Answer answer = failed_read(host, failure);
  CHECK(answer.status == code(failure));
  return answer.retry_delay;
}

// Command Interrupted is not for a host without ACRE: it is told another status that lets it try again.
void check_not_interrupted(Host& host) {
  const Answer answer = failed_read(host, NVME_SC_CMD_INTERRUPTED);
  CHECK(answer.status == NVME_SC_NS_NOT_READY);
  CHECK_FALSE(answer.do_not_retry);
  CHECK(answer.retry_delay == 0);
}

TEST_CASE("host sets ACRE: it reads it back, and other hosts' are their own") {
  World world;
  Host host(world);
  Host other(world);
  host.bring_up();
  other.bring_up();
  CHECK(acre_of(host) == 0);
  CHECK(set_behavior(host, 0, 1).ok());
  CHECK(acre_of(host) == 1);
  CHECK(acre_of(host, NVME_GET_FEATURES_SEL_DEFAULT) == 0);
  CHECK(acre_of(other) == 0);
  CHECK(host.get_feature(kFid, NVME_GET_FEATURES_SEL_SUPPORTED).result == 1 << 2);
  CHECK(set_behavior(host, 0, 0).ok());
  CHECK(acre_of(host) == 0);
}

TEST_CASE("a command fails for a while: a host with ACRE is told after how long it is worth repeating") {
  World world;
  Host host(world);
  host.bring_up(1);
  check_not_interrupted(host);
  REQUIRE(set_behavior(host, 0, 1).ok());
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(retry_delay(host, NVME_SC_CMD_INTERRUPTED) == 1);
  CHECK(id.crdt1 == 1);  // 100 ms
  CHECK(retry_delay(host, NVME_SC_NS_NOT_READY) == 2);
  CHECK(id.crdt2 == 10);
  CHECK(retry_delay(host, core::media_error(NVME_SC_READ_ERROR)) == 0);
  REQUIRE(host.connect_io(2).ok());
  const Answer answer = host.io(2).send(command(nvme_cmd_read, 77), Bytes(512));
  CHECK(answer.status == NVME_SC_INVALID_NS);
  CHECK(answer.retry_delay == 0);
}

TEST_CASE("host connects a queue after it has set ACRE: it holds there, too") {
  World world;
  Host host(world);
  host.bring_up();
  REQUIRE(set_behavior(host, 0, 1).ok());
  REQUIRE(host.connect_io(1).ok());
  CHECK(retry_delay(host, NVME_SC_CMD_INTERRUPTED) == 1);
}

TEST_CASE("host resets its controller: ACRE is as in the beginning") {
  World world;
  Host host(world);
  host.bring_up();
  REQUIRE(set_behavior(host, 0, 1).ok());
  host.enable(0);
  host.enable();
  CHECK(acre_of(host) == 0);
  CHECK_FALSE(host.admin.queue.advanced_command_retry.load());
  REQUIRE(host.connect_io(1).ok());
  check_not_interrupted(host);
}

TEST_CASE("host sets what no controller here can do, or what is reserved: Invalid Field, and nothing has changed") {
  World world;
  Host host(world);
  host.bring_up();
  REQUIRE(set_behavior(host, 0, 1).ok());
  CHECK(set_behavior(host, 0, 2).status == NVME_SC_INVALID_FIELD);
  CHECK(set_behavior(host, 1, 1).status == NVME_SC_INVALID_FIELD);  // ETDAS
  CHECK(set_behavior(host, 2, 1).status == NVME_SC_INVALID_FIELD);  // LBAFEE
  const Answer last = set_behavior(host, 511, 1);
  CHECK(last.status == NVME_SC_INVALID_FIELD);
  CHECK(last.do_not_retry);
  CHECK(acre_of(host) == 1);
}

}  // namespace
}  // namespace nvmf::test
