// Connect: NVMe Base 2.0, section 6.3.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kInData = uint64_t{1} << 16;

Answer connect_with(Host& host, const nvmf_connect_data& data) {
  return host.admin.send(connect_command(0, kAdminSqsize), to_bytes(data));
}

TEST_CASE("host sends Connect to an NVM subsystem: target answers with the controller's identifier") {
  World world;
  Host host(world);
  const Answer answer = host.connect();
  CHECK(answer.status == 0);
  CHECK(answer.result == 1);
  CHECK(answer.sqhd == 1);
  CHECK(answer.sqid == 0);
  CHECK(host.admin.queue.connected);
  CHECK(host.admin.queue.size == 32);
  CHECK(world.subsystem.controllers().size() == 1);
  CHECK(world.events.back().find(World::kHostNqn) != std::string::npos);
}

TEST_CASE("host sends anything before Connect: Command Sequence Error") {
  World world;
  Wire admin(world, 0);
  Wire io(world, 1);
  CHECK(admin.send(command(nvme_admin_identify, 0, 1), Bytes(4096)).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(admin.send(property_get(NVME_REG_CAP, 1)).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(io.send(command(nvme_cmd_read, 1), Bytes(512)).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(io.send(disconnect_command()).status == NVME_SC_CMD_SEQ_ERROR);
}

TEST_CASE("host sends Connect twice on one queue: Command Sequence Error") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.connect().status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).ok());
}

TEST_CASE("host sends Connect with an unknown record format: Connect Incompatible Format") {
  World world;
  Host host(world);
  const Answer answer = host.admin.send(connect_command(0, 31, 0, 0, 1), to_bytes(host.connect_data(World::kNqn)));
  CHECK(answer.status == specific(NVME_SC_CONNECT_FORMAT));
  CHECK(answer.do_not_retry);
}

TEST_CASE("host sends Connect with another queue's identifier: Connect Invalid Parameters at QID") {
  World world;
  Host host(world);
  const Answer answer = host.admin.send(connect_command(1, 31), to_bytes(host.connect_data(World::kNqn)));
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == 42);
}

TEST_CASE("host sends Connect with SQSIZE zero or above the queue's depth: Connect Invalid Parameters at SQSIZE") {
  World world;
  Host host(world);
  for (const uint16_t sqsize_z : {0, 32, 0xffff}) {
    const Answer answer = host.admin.send(connect_command(0, sqsize_z), to_bytes(host.connect_data(World::kNqn)));
    CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
    CHECK(answer.result == 44);
  }
}

TEST_CASE("host sends Connect to a subsystem that is not there: Connect Invalid Parameters at SUBNQN, may be retried") {
  World world;
  Host host(world);
  const Answer answer = host.connect("nqn.2024-01.org.example:nothing");
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == (256 | kInData));
  CHECK_FALSE(answer.do_not_retry);
  CHECK(world.events.back().find("no subsystem") != std::string::npos);
}

TEST_CASE("host sends Connect to a subsystem of another port: Connect Invalid Parameters at SUBNQN") {
  World world;
  Host here(world, World::kHostNqn, 1);
  CHECK(here.connect(World::kOtherNqn).result == (256 | kInData));
  Host there(world, World::kHostNqn, 2);
  CHECK(there.connect(World::kOtherNqn).ok());
}

TEST_CASE("host that is not allowed sends Connect: Connect Invalid Host") {
  World world;
  Host host(world, "nqn.2024-01.org.example:stranger", 2);
  const Answer answer = host.connect(World::kOtherNqn);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_HOST));
  CHECK(answer.do_not_retry);
  CHECK(world.events.back().find("the host may not connect to the subsystem") != std::string::npos);
  CHECK(world.events.back().find("subsystem " + world.other_subsystem.nqn() + ", port 2: ") != std::string::npos);
  CHECK(world.events.back().find("nvmf-p2p add host") != std::string::npos);
}

uint64_t refused(const World& world, core::ConnectRefusal reason) {
  return world.target.counters.refused_connects[static_cast<size_t>(reason)];
}

TEST_CASE("Connects are counted: the controllers made, and each refusal by its reason") {
  using core::ConnectRefusal;
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(world.target.counters.controllers_made == 1);
  CHECK(world.target.counters.refused_connects == decltype(core::TargetCounters::refused_connects){});

  Host(world).connect("nqn.2024-01.org.example:nothing");
  CHECK(refused(world, ConnectRefusal::UnknownSubsystem) == 1);
  Host(world, "nqn.2024-01.org.example:stranger", 2).connect(World::kOtherNqn);
  CHECK(refused(world, ConnectRefusal::HostNotAllowed) == 1);
  Host stranger(world);
  connect_with(stranger, stranger.connect_data(World::kNqn, 7));
  CHECK(refused(world, ConnectRefusal::InvalidParameter) == 1);
  Wire twin(world, 1);
  twin.send(connect_command(1, kIoSqsize), to_bytes(host.connect_data(World::kNqn, host.cntlid)));
  CHECK(refused(world, ConnectRefusal::Sequence) == 1);
  world.subsystem.set_max_controllers(1, 1);
  Host(world).connect();
  CHECK(refused(world, ConnectRefusal::NoController) == 1);
  CHECK(world.target.counters.controllers_made == 1);
}

TEST_CASE("host sends Connect with NQNs that do not end within 256 bytes: Connect Invalid Parameters") {
  World world;
  Host host(world);
  nvmf_connect_data data = host.connect_data(World::kNqn);
  SUBCASE("host NQN") {
    std::memset(data.hostnqn, 'n', sizeof(data.hostnqn));
    CHECK(connect_with(host, data).result == (512 | kInData));
  }
  SUBCASE("subsystem NQN") {
    std::memset(data.subsysnqn, 'n', sizeof(data.subsysnqn));
    CHECK(connect_with(host, data).result == (256 | kInData));
  }
}

TEST_CASE("host sends no NQN, or none that is one: it may connect where any host may, and that is logged once") {
  World world;
  for (const std::string& nqn : {std::string(), std::string("host"), std::string(224, 'n'), std::string("\xff\xfe")}) {
    CAPTURE(nqn);
    Host host(world, nqn);
    host.bring_up(1);
    CHECK(host.controller().host().nqn == nqn);
    CHECK(host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
    Host discovering(world, nqn);
    discovering.bring_up(0, nvme::kDiscoveryNqn);
  }
  const auto told = [](const std::string& event) {
    return event.find("has sent no valid host NQN") != std::string::npos;
  };
  CHECK(std::ranges::count_if(world.events, told) == 1);
}

TEST_CASE("host sends no NQN to a subsystem that names its hosts: Connect Invalid Host, and the event tells why") {
  World world;
  Host host(world, "", 2);
  const Answer answer = host.connect(World::kOtherNqn);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_HOST));
  CHECK(answer.do_not_retry);
  CHECK(world.events.back().find("/etc/nvme/hostnqn") != std::string::npos);
}

TEST_CASE("operator removes a subsystem: hosts that come again are told not to retry, until it is there again") {
  World world;
  Host host(world, World::kHostNqn, 2);
  host.bring_up(1, World::kOtherNqn);
  world.target.remove_subsystem(world.other_subsystem);
  const Answer io =
      host.io(2).send(connect_command(2, kIoSqsize), to_bytes(host.connect_data(World::kOtherNqn, host.cntlid)));
  CHECK(io.do_not_retry);
  host.io(1).close();
  host.admin.close();
  const Answer gone = Host(world, World::kHostNqn, 2).connect(World::kOtherNqn);
  CHECK(gone.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(gone.result == (256 | kInData));
  CHECK(gone.do_not_retry);
  world.target.add_subsystem({.nqn = World::kOtherNqn,
                              .serial = "SN-0002",
                              .model = "Example",
                              .ports = {2},
                              .allow_any_host = true,
                              .allowed_hosts = {}});
  CHECK(Host(world, World::kHostNqn, 2).connect(World::kOtherNqn).ok());
}

TEST_CASE("host sends Connect with a host NQN that would drive a terminal: the event line shows it harmless") {
  World world;
  Host host(world, "nqn.2024\x1b[31m\nevil");
  CHECK(host.connect().ok());
  CHECK(world.events.back().find("nqn.2024\\x1b[31m\\x0aevil") != std::string::npos);
}

TEST_CASE("host sends Connect with a zero host identifier: Connect Invalid Parameters at HOSTID") {
  World world;
  Host host(world);
  nvmf_connect_data data = host.connect_data(World::kNqn);
  data.hostid[0] = 0;
  const Answer answer = connect_with(host, data);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == (0 | kInData));
}

TEST_CASE("host asks for a static controller: Connect Invalid Parameters at CNTLID") {
  World world;
  Host host(world);
  for (const int cntlid : {0, 1, 0xfffe}) {
    const Answer answer = connect_with(host, host.connect_data(World::kNqn, static_cast<uint16_t>(cntlid)));
    CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
    CHECK(answer.result == (16 | kInData));
  }
  CHECK(host.connect().ok());
}

TEST_CASE("host describes less than Connect's data: Data SGL Length Invalid") {
  World world;
  Host host(world);
  CHECK(host.admin.send(connect_command(0, 31), Bytes(1023)).status == NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("more hosts connect than the subsystem takes: Connect Controller Busy, until one leaves") {
  World world;
  Host a(world), b(world), c(world), d(world);
  CHECK(a.connect().ok());
  CHECK(b.connect().ok());
  CHECK(c.connect().ok());
  const Answer busy = d.connect();
  CHECK(busy.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(busy.do_not_retry);
  b.admin.close();
  CHECK(d.connect().ok());
}

TEST_CASE("controller identifiers begin where the operator or chance has put the first, and go round") {
  World world;
  const auto options = [](uint16_t first) {
    return core::SubsystemOptions{.nqn = "nqn.2024-01.org.example:third",
                                  .serial = "SN-0003",
                                  .model = "Example",
                                  .ports = {1},
                                  .allow_any_host = true,
                                  .allowed_hosts = {},
                                  .cntlid_min = 100,
                                  .cntlid_max = 102,
                                  .cntlid_first = first};
  };
  CHECK_THROWS(world.target.add_subsystem(options(99)));
  CHECK_THROWS(world.target.add_subsystem(options(103)));
  for (const auto& [first, expected] : {std::pair<uint16_t, uint16_t>{0, 100}, {100, 100}, {102, 102}}) {
    core::Subsystem& subsystem = world.target.add_subsystem(options(first));
    {
      Host one(world), two(world);
      CHECK(one.connect(subsystem.nqn()).result == expected);
      CHECK(two.connect(subsystem.nqn()).result == (expected == 102 ? 100 : 101));
    }
    world.target.remove_subsystem(subsystem);
  }
}

TEST_CASE("controller identifiers are unique and not reused soon") {
  World world;
  Host first(world);
  CHECK(first.connect().result == 1);
  for (uint64_t expected = 2; expected < 6; ++expected) {
    Host next(world);
    CHECK(next.connect().result == expected);
  }
}

TEST_CASE("host disables SQ flow control: SQHD is FFFFh from the response to Connect on") {
  World world;
  Host host(world);
  const Answer answer = host.admin.send(connect_command(0, 31, 0, nvme::kCattrDisableSqFlowControl),
                                        to_bytes(host.connect_data(World::kNqn)));
  CHECK(answer.ok());
  CHECK(answer.sqhd == 0xffff);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).sqhd == 0xffff);
}

TEST_CASE("SQHD wraps at the queue's size") {
  World world;
  Host host(world);
  CHECK(host.admin.send(connect_command(0, 3), to_bytes(host.connect_data(World::kNqn))).sqhd == 1);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).sqhd == 2);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).sqhd == 3);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).sqhd == 0);
  CHECK(host.admin.send(property_get(NVME_REG_VS)).sqhd == 1);
}

TEST_CASE("host connects an I/O queue: target answers with the same controller identifier") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer answer = host.connect_io(1);
  CHECK(answer.ok());
  CHECK(answer.result == host.cntlid);
  CHECK(answer.sqid == 1);
  CHECK(host.io(1).queue.size == 128);
  CHECK(host.io(1).queue.admission.load() == core::Admission::Admitted);
}

TEST_CASE("host connects an I/O queue with its data in the capsule") {
  World world;
  Host host(world);
  host.bring_up();
  Sqe sqe = connect_command(1, kIoSqsize);
  sqe.sgl1.identifier = 0x01;  // data block, offset
  sqe.sgl1.specific[1] = 4;    // 1,024 bytes
  CHECK(host.io(1).send(sqe, {}, to_bytes(host.connect_data(World::kNqn, host.cntlid))).ok());
}

TEST_CASE("host connects an I/O queue that does not match its controller: Connect Invalid Parameters") {
  World world;
  Host host(world);
  host.bring_up();
  nvmf_connect_data data = host.connect_data(World::kNqn, host.cntlid);
  uint64_t at = 0;
  SUBCASE("no such controller: may be retried, the host should start over") {
    data.cntlid = 77;
    at = 16;
  }
  SUBCASE("another host NQN") {
    set_nqn(data.hostnqn, "nqn.2024-01.org.example:stranger");
    at = 512;
  }
  SUBCASE("another host identifier") {
    data.hostid[15] = 1;
    at = 0;
  }
  SUBCASE("another subsystem") {
    set_nqn(data.subsysnqn, "nqn.2024-01.org.example:nothing");
    at = 256;
  }
  const Answer answer = host.io(1).send(connect_command(1, kIoSqsize), to_bytes(data));
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == (at | kInData));
  CHECK_FALSE(answer.do_not_retry);
  CHECK_FALSE(host.io(1).queue.connected);
}

TEST_CASE(
    "host connects an I/O queue before it enabled the controller: Command Sequence Error, then it may try again") {
  World world;
  Host host(world);
  REQUIRE(host.connect().ok());
  CHECK(host.connect_io(1).status == NVME_SC_CMD_SEQ_ERROR);
  host.enable();
  CHECK(host.connect_io(1).ok());
}

TEST_CASE("host connects more I/O queues than it was granted: Connect Invalid Parameters at QID") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010001).ok());
  CHECK(host.connect_io(1).ok());
  CHECK(host.connect_io(2).ok());
  const Answer answer = host.connect_io(3);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == 42);
}

TEST_CASE("host connects an I/O queue that exists: Command Sequence Error, and the first lives on") {
  World world;
  Host host(world);
  host.bring_up(1);
  Wire twin(world, 1);
  const Answer answer = twin.send(connect_command(1, kIoSqsize), to_bytes(host.connect_data(World::kNqn, host.cntlid)));
  CHECK(answer.status == NVME_SC_CMD_SEQ_ERROR);
  twin.close();
  CHECK(host.io(1).send(command(nvme_cmd_flush, 1)).ok());
}

TEST_CASE("host connects an I/O queue to the discovery subsystem: Connect Invalid Parameters at QID") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer answer = host.connect_io(1);
  CHECK(answer.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(answer.result == 42);
}

TEST_CASE("host asks for more entries than an I/O queue may have: Connect Invalid Parameters at SQSIZE") {
  World world;
  Host host(world);
  host.bring_up();
  const Bytes data = to_bytes(host.connect_data(World::kNqn, host.cntlid));
  CHECK(host.io(1).send(connect_command(1, 128), data).result == 44);
  CHECK(host.io(1).send(connect_command(1, 127), data).ok());
}

}  // namespace
}  // namespace nvmf::test
