// ANA states as an operator asks for them through the admin API, and sees them there.
#include "target/daemon/ana.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "target/daemon/ana_topology.h"

namespace nvmf::daemon {
namespace {

constexpr char kNqn[] = "nqn.2024-01.org.example:disks";

struct Served {
  core::Target target{core::TargetOptions{}};
  core::Subsystem& subsystem;

  Served() : subsystem(with_port(target).add_subsystem(options())) {
    subsystem.add_namespace({.nsid = 1, .block_count = 8, .ana_group = 2});
  }
  static core::Target& with_port(core::Target& target) {
    target.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
    return target;
  }
  static core::SubsystemOptions options() {
    core::SubsystemOptions options;
    options.nqn = kNqn;
    options.ports = {1};
    return options;
  }
};

config::Json wanted() { return {{"subsystem", kNqn}, {"group", 2U}, {"port", 1U}, {"state", "persistent-loss"}}; }

TEST_CASE("operator changes a state: it is shown of the groups that have namespaces") {
  Served served;
  CHECK(ana_states(served.subsystem) == nlohmann::json{{{"group", 2}, {"port", 1}, {"state", "optimized"}}});
  set_ana_state(served.target, wanted());
  CHECK(ana_states(served.subsystem) == nlohmann::json{{{"group", 2}, {"port", 1}, {"state", "persistent-loss"}}});
}

TEST_CASE("operator asks for what cannot be: refused, and nothing changes") {
  const struct {
    const char* key;
    nlohmann::json value;
  } mistakes[] = {{"subsystem", "nqn.2024-01.org.example:none"},
                  {"subsystem", "nqn.2014-08.org.nvmexpress.discovery"},
                  {"group", 0},
                  {"group", 129},
                  {"group", -1},
                  {"group", uint64_t{1} << 32U | 2U},
                  {"port", 2},
                  {"port", 65537},
                  {"port", "1"},
                  {"state", "optimised"},
                  {"state", 3}};
  Served served;
  for (const auto& mistake : mistakes) {
    CAPTURE(mistake.value.dump());
    config::Json request = wanted();
    request[mistake.key] = mistake.value;
    CHECK_THROWS(set_ana_state(served.target, request));
  }
  config::Json elsewhere = wanted();
  elsewhere["port"] = 2U;
  CHECK_THROWS_WITH_AS(set_ana_state(served.target, elsewhere),
                       (std::string("subsystem ") + kNqn + " is not on a port 2").c_str(), config::EditError);
  config::Json no_word = wanted();
  no_word["state"] = 3;
  CHECK_THROWS_WITH(set_ana_state(served.target, no_word), "\"state\" must be a string");
  CHECK_THROWS(set_ana_state(served.target, "{}"));
  CHECK_THROWS(set_ana_state(served.target, "not JSON"));
  CHECK((served.subsystem.ana().state(2, 1) == core::AnaState::Optimized));
}

TEST_CASE("ports that do not reach the CMB are distant, unless none does") {
  const std::vector<uint16_t> ports = {1, 2, 3};
  const auto distant = [&](std::vector<uint16_t> near) {
    return distant_ports(ports, [&](uint16_t port) { return std::ranges::find(near, port) != near.end(); });
  };
  CHECK(distant({2}) == std::vector<uint16_t>{1, 3});
  CHECK(distant({1, 3}) == std::vector<uint16_t>{2});
  CHECK(distant({1, 2, 3}).empty());
  CHECK(distant({}).empty());
}

}  // namespace
}  // namespace nvmf::daemon
