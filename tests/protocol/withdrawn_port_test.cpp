// A port before it is drained: hosts that use ANA are told that their namespaces change there, and then that they are
// inaccessible (NVMe Base 2.0, section 8.1), and are disconnected when they know.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kAnaNotices = NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE;
constexpr int kTransition = code(core::path_error(NVME_SC_ANA_TRANSITION));
constexpr int kInaccessible = code(core::path_error(NVME_SC_ANA_INACCESSIBLE));

Answer read_ana_log(Host& host) { return host.log_page(NVME_LOG_LID_ANA, 1024); }
core::AnaState first_state(const Answer& log) { return static_cast<core::AnaState>(log.as<uint8_t>(16 + 16)); }
Answer read_block(Host& host) { return host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)); }

// A host that uses ANA on both ports, as Linux with multipathing does.
struct TwoPaths {
  World world;
  Host by_port_1{world, World::kHostNqn, 1};
  Host by_port_2{world, World::kHostNqn, 2};
  size_t event = 0;

  TwoPaths() {
    for (Host* host : {&by_port_1, &by_port_2}) {
      host->bring_up(1);
      host->set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices);
      REQUIRE(read_ana_log(*host).ok());
    }
    event = by_port_1.await_event();
  }
};

TEST_CASE(
    "a port is withdrawn: its hosts are told of each step, use the other port, and have moved when they have read") {
  using core::Withdrawal;
  struct Step {
    Withdrawal withdrawal;
    int status;
    core::AnaState state;
  };
  TwoPaths paths;
  CHECK(paths.world.target.have_hosts_moved(1));
  for (const Step& step : {Step{Withdrawal::Changing, kTransition, core::AnaState::Change},
                           Step{Withdrawal::Withdrawn, kInaccessible, core::AnaState::Inaccessible}}) {
    paths.world.target.withdraw_port(1, step.withdrawal);
    CHECK(paths.by_port_1.admin.answered(paths.event));
    const Answer refused = read_block(paths.by_port_1);
    CHECK(refused.status == step.status);
    CHECK_FALSE(refused.do_not_retry);
    CHECK(read_block(paths.by_port_2).ok());
    CHECK_FALSE(paths.world.target.have_hosts_moved(1));
    CHECK(first_state(read_ana_log(paths.by_port_1)) == step.state);
    CHECK(paths.world.target.have_hosts_moved(1));
    CHECK(first_state(read_ana_log(paths.by_port_2)) == core::AnaState::Optimized);
    paths.event = paths.by_port_1.await_event();
  }
  paths.world.target.withdraw_port(1, Withdrawal::Changing);
  CHECK_MESSAGE(!paths.by_port_1.admin.answered(paths.event), "it does not come back a step");
  CHECK(read_block(paths.by_port_1).status == kInaccessible);
}

TEST_CASE("a port is withdrawn no more: groups have the states that they were set to, hosts are told") {
  TwoPaths paths;
  paths.world.subsystem.set_ana_state(1, 1, core::AnaState::NonOptimized);
  read_ana_log(paths.by_port_1);
  paths.world.target.withdraw_port(1, core::Withdrawal::Withdrawn);
  CHECK(paths.by_port_1.admin.answered(paths.by_port_1.await_event()));
  read_ana_log(paths.by_port_1);
  const size_t event = paths.by_port_1.await_event();
  CHECK_FALSE(paths.by_port_1.admin.answered(event));
  paths.world.target.withdraw_port(1, core::Withdrawal::No);
  CHECK(paths.by_port_1.admin.answered(event));
  CHECK(first_state(read_ana_log(paths.by_port_1)) == core::AnaState::NonOptimized);
  CHECK(read_block(paths.by_port_1).ok());
}

TEST_CASE("a host that does not use ANA is served until its connection ends: the status would be an I/O error to it") {
  World world;
  Host host(world);
  host.bring_up(1);
  world.target.withdraw_port(1, core::Withdrawal::Withdrawn);
  CHECK(read_block(host).ok());
  CHECK(world.target.have_hosts_moved(1));
}

TEST_CASE("a port has controllers until their last queue has closed") {
  TwoPaths paths;
  Host discovery(paths.world);
  discovery.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(paths.world.target.controllers_on(1) == 2);
  paths.by_port_1.controller().fail("drained");
  paths.by_port_1.admin.close();
  CHECK(paths.world.target.controllers_on(1) == 2);
  paths.by_port_1.io(1).close();
  CHECK(paths.world.target.controllers_on(1) == 1);
  CHECK(paths.world.target.controllers_on(2) == 1);
}

}  // namespace
}  // namespace nvmf::test
