// Reservations and write protection as the operator sees them, and ends them.
#include "target/daemon/namespace_states.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>

#include "config/edit.h"
#include "target/core/subsystem/reservation_store.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;

constexpr char kNqn[] = "nqn.2024-01.org.example:disks";
constexpr char kHost[] = "nqn.2014-08.org.nvmexpress:uuid:0A000000-0000-4000-8000-000000000001";
constexpr core::HostId kHostId = {0x0a, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1};

// What a host left behind.
struct Reservations : core::ReservationStore {
  core::ReservationState load(const std::string&, const core::NamespaceOptions&) override {
    return {.registrants = {{kHostId, 0xa11ce}}, .rtype = 1, .holder = kHostId, .generation = 7, .ptpl = true};
  }
  void save(const std::string&, const core::NamespaceOptions&, const core::ReservationState&,
            std::function<void(bool)> saved) override {
    saved(!full);
  }
  bool full = false;
};

struct Protections : core::WriteProtectionStore {
  core::WriteProtection load(const std::string&, const core::NamespaceOptions& ns) override {
    return ns.nsid == 2 ? core::WriteProtection::Permanent : core::WriteProtection::Protected;
  }
  void save(const std::string&, const core::NamespaceOptions&, core::WriteProtection,
            std::function<void(bool)> saved) override {
    saved(true);
  }
};

struct World {
  World() {
    target.reservation_store = &reservations;
    target.write_protection_store = &protections;
    core::Subsystem& subsystem = target.add_subsystem(
        {.nqn = kNqn, .serial = "S", .model = "M", .ports = {}, .allow_any_host = false, .allowed_hosts = {kHost}});
    for (const uint32_t nsid : {1U, 2U}) {
      core::NamespaceOptions options{.nsid = nsid, .block_count = 8};
      options.uuid[15] = static_cast<uint8_t>(nsid);
      subsystem.add_namespace(options);
    }
  }

  ConfigChange result_of(NamespaceStates::Change change) {
    ConfigChange result;
    std::exception_ptr failure;
    boost::asio::co_spawn(io, std::move(change), [&](std::exception_ptr thrown, ConfigChange made) {
      failure = thrown;
      result = std::move(made);
    });
    io.restart();
    io.run();
    if (failure) std::rethrow_exception(failure);
    return result;
  }

  boost::asio::io_context io;
  Reservations reservations;
  Protections protections;
  core::Target target{core::TargetOptions{}};
  Changes changes{io, [] {}};
  Events events{io};
  NamespaceStates states{io, target, changes, events};
};

TEST_CASE("operator sees the reservation of a host that is not connected, and ends it") {
  World world;
  const json seen = reservations_view(world.target);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == json{{"subsystem", kNqn},
                        {"nsid", 1},
                        {"type", "write-exclusive"},
                        {"generation", 7},
                        {"persists", true},
                        {"registrants",
                         {{{"host_id", "0a000000-0000-4000-8000-000000000001"},
                           {"hosts", {kHost}},
                           {"controllers", 0},
                           {"key", "0xa11ce"},
                           {"holder", true}}}}});
  CHECK_THROWS_AS(world.result_of(world.states.clear_reservation(kNqn, 1, false)), Refused);
  const ConfigChange change = world.result_of(world.states.clear_reservation(kNqn, 1, true));
  CHECK(change.changes ==
        std::vector<std::string>{"clear the reservation on namespace 1 of nqn.2024-01.org.example:disks: "
                                 "write-exclusive, held by " +
                                 std::string(kHost) + "; registered hosts: 1"});
  CHECK(reservations_view(world.target).size() == 1);
  CHECK_THROWS_AS(world.result_of(world.states.clear_reservation(kNqn, 1, false)), config::EditError);
  CHECK_THROWS_AS(world.result_of(world.states.clear_reservation(kNqn, 3, true)), config::EditError);
  CHECK_THROWS_AS(world.result_of(world.states.clear_reservation("nqn.2024-01.org.example:no", 1, true)),
                  config::EditError);

  world.reservations.full = true;
  CHECK_THROWS_WITH_AS(world.result_of(world.states.clear_reservation(kNqn, 2, true)),
                       doctest::Contains("could not be saved"), std::runtime_error);
  CHECK(reservations_view(world.target).size() == 1);
}

TEST_CASE("operator sees which namespaces hosts have protected, and ends what can be ended") {
  World world;
  CHECK(write_protection_view(world.target) ==
        json{{{"subsystem", kNqn}, {"nsid", 1}, {"state", "protected"}, {"read_only", false}},
             {{"subsystem", kNqn}, {"nsid", 2}, {"state", "permanent"}, {"read_only", false}}});
  CHECK(world.result_of(world.states.clear_write_protection(kNqn, 1)).changes.size() == 1);
  CHECK(write_protection_view(world.target).size() == 1);
  CHECK_THROWS_AS(world.result_of(world.states.clear_write_protection(kNqn, 1)), config::EditError);
  CHECK_THROWS_WITH_AS(world.result_of(world.states.clear_write_protection(kNqn, 2)),
                       doctest::Contains("nobody can end that"), Refused);
}

}  // namespace
}  // namespace nvmf::daemon
