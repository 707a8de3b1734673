// How many controllers a subsystem makes, and which identifiers they get: NVMe Base 2.0, section 3.1.1.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

TEST_CASE("two targets serve one subsystem: each hands out identifiers of its own range") {
  World world;
  core::Subsystem& shared = world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:shared",
                                                        .serial = "SN-0009",
                                                        .model = "Example disks",
                                                        .ports = {1},
                                                        .allow_any_host = true,
                                                        .allowed_hosts = {},
                                                        .cntlid_min = 100,
                                                        .cntlid_max = 101});
  Host first(world), second(world), third(world);
  first.bring_up(0, shared.nqn());
  CHECK(first.controller().cntlid() == 100);
  const auto id = first.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(id.cntlid == 100);
  CHECK((id.cmic & NVME_CTRL_CMIC_MULTI_PORT) != 0);
  CHECK(second.connect(shared.nqn()).result == 101);
  CHECK(third.connect(shared.nqn()).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  first.admin.close();
  Host fourth(world);
  CHECK(fourth.connect(shared.nqn()).result == 100);
}

TEST_CASE("a host connects more often than one host may: Controller Busy; another host connects") {
  World world;
  core::Subsystem& limited = world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:limited",
                                                         .serial = "SN-0009",
                                                         .model = "Example disks",
                                                         .ports = {1},
                                                         .allow_any_host = true,
                                                         .allowed_hosts = {},
                                                         .max_controllers_per_host = 2});
  Host first(world), second(world), third(world);
  Host other(world, "nqn.2024-01.org.example:other-host");
  CHECK(first.connect(limited.nqn()).ok());
  CHECK(second.connect(limited.nqn()).ok());
  const Answer refused = third.connect(limited.nqn());
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(refused.do_not_retry);
  CHECK(other.connect(limited.nqn()).ok());
  first.admin.close();
  Host fourth(world);
  CHECK(fourth.connect(limited.nqn()).ok());
}

}  // namespace
}  // namespace nvmf::test
