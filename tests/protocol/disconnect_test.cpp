// Disconnect and the end of connections: NVMe Base 2.0, sections 3.3.2.4 and 6.4.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

TEST_CASE("host sends Disconnect on an I/O queue: success, the connection ends, the controller lives on") {
  World world;
  Host host(world);
  host.bring_up(2);
  CHECK(host.io(1).send(disconnect_command()).ok());
  CHECK(host.io(1).disconnected());
  CHECK(host.io(1).reason().find("Disconnect") != std::string::npos);
  CHECK(host.io(1).drops(command(nvme_cmd_flush, 1)));
  host.io(1).close();
  CHECK(host.io(2).send(command(nvme_cmd_flush, 1)).ok());
  Wire again(world, 1);
  const Bytes data = to_bytes(host.connect_data(World::kNqn, host.cntlid));
  CHECK(again.send(connect_command(1, kIoSqsize), data).ok());
}

TEST_CASE("host sends Disconnect on the admin queue: Invalid Queue Type") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer answer = host.admin.send(disconnect_command());
  CHECK(answer.status == specific(NVME_SC_DISCONNECT_INVALID_QTYPE));
  CHECK(answer.do_not_retry);
  CHECK_FALSE(host.admin.disconnected());
}

TEST_CASE("host sends Disconnect with an unknown record format: Incompatible Format") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.io(1).send(disconnect_command(1)).status == specific(NVME_SC_CONNECT_FORMAT));
  CHECK_FALSE(host.io(1).disconnected());
}

TEST_CASE("the admin connection ends: the I/O queues are disconnected, and the controller goes with the last of them") {
  World world;
  Host host(world);
  host.bring_up(2);
  host.admin.close();
  CHECK(host.io(1).disconnected());
  CHECK(host.io(2).disconnected());
  CHECK(host.io(1).drops(command(nvme_cmd_flush, 1)));
  host.io(1).close();
  CHECK(world.subsystem.find_controller(host.cntlid) != nullptr);
  host.io(2).close();
  CHECK(world.subsystem.controllers().empty());
}

TEST_CASE("host connects an I/O queue of a controller whose admin connection has ended: it may try again") {
  World world;
  Host host(world);
  host.bring_up(1);
  host.admin.close();
  const Answer busy = host.connect_io(2);
  CHECK(busy.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(busy.do_not_retry);
  host.io(1).close();
  const Answer answer = host.connect_io(2);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == (16 | 1 << 16));
}

TEST_CASE("an I/O connection ends: the host connects the queue again") {
  World world;
  Host host(world);
  host.bring_up(1);
  host.io(1).close();
  Wire again(world, 1);
  const Bytes data = to_bytes(host.connect_data(World::kNqn, host.cntlid));
  CHECK(again.send(connect_command(1, kIoSqsize), data).ok());
}

TEST_CASE("the connection ends before Connect: nothing to clean up") {
  World world;
  Wire admin(world, 0);
  admin.close();
  CHECK(world.subsystem.controllers().empty());
}

TEST_CASE("hosts come and go: no controller is left behind") {
  World world;
  for (int round = 0; round < 50; ++round) {
    Host host(world);
    host.bring_up(4);
    host.await_event();
  }
  CHECK(world.subsystem.controllers().empty());
}

}  // namespace
}  // namespace nvmf::test
