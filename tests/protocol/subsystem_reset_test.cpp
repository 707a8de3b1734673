// NVM Subsystem Reset: NVMe Base 2.0, sections 3.1.3.14 (NSSR) and 3.7.1.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kNssrs = uint64_t{1} << NVME_CAP_NSSRC_SHIFT;
constexpr uint32_t kNssro = 1u << NVME_CSTS_NSSRO_SHIFT;
constexpr uint32_t kReady = 1u << NVME_CSTS_RDY_SHIFT;
constexpr uint32_t kReset = 0x4e564d65;
constexpr char kOtherHost[] = "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555";

// A subsystem that hosts may reset, with two of them.
struct Resettable {
  World world;
  Host host{world};
  Host other{world, kOtherHost};
  Resettable() {
    world.subsystem.set_subsystem_reset(true);
    other.hostid = {0x43};
    host.bring_up(1);
    other.bring_up(1);
  }
  Answer write_nssr(uint64_t value) { return host.admin.send(property_set(NVME_REG_NSSR, value)); }
};

TEST_CASE("host resets a subsystem where nobody has allowed it: Invalid Field at the property's offset") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK((host.admin.send(property_get(NVME_REG_CAP, 1)).result & kNssrs) == 0);
  CHECK(host.admin.send(property_get(NVME_REG_NSSR)).status == NVME_SC_INVALID_FIELD);
  const Answer answer = host.admin.send(property_set(NVME_REG_NSSR, kReset));
  CHECK(answer.status == NVME_SC_INVALID_FIELD);
  CHECK(answer.do_not_retry);
  CHECK(host.controller().errors().entry(0).parm_error_location == 44);
  CHECK(host.admin.send(property_set(NVME_REG_CSTS, kNssro)).status == NVME_SC_INVALID_FIELD);
  CHECK_FALSE(host.admin.disconnected());
  CHECK(host.csts() == kReady);
}

TEST_CASE("host resets the subsystem: it is answered, then every association of the subsystem ends") {
  Resettable r;
  Host elsewhere(r.world, World::kHostNqn, 2);
  elsewhere.bring_up(0, World::kOtherNqn);
  CHECK((r.host.admin.send(property_get(NVME_REG_CAP, 1)).result & kNssrs) == kNssrs);
  CHECK(r.host.admin.send(property_get(NVME_REG_NSSR)).result == 0);
  CHECK(r.write_nssr(kReset).ok());
  for (Host* host : {&r.host, &r.other}) {
    CHECK(host->admin.disconnected());
    CHECK(host->io(1).disconnected());
    CHECK(host->io(1).drops(command(nvme_cmd_read, 1), Bytes(512)));
  }
  CHECK(r.other.admin.reason().find(World::kHostNqn) != std::string::npos);
  CHECK_FALSE(elsewhere.admin.disconnected());
  REQUIRE_FALSE(r.world.events.empty());
  CHECK(r.world.events.back().find("NVM Subsystem Reset of " + std::string(World::kNqn)) != std::string::npos);
}

TEST_CASE("after the reset hosts connect again, and find that it occurred until they clear it") {
  Resettable r;
  REQUIRE(r.write_nssr(kReset).ok());
  Host again(r.world);
  again.bring_up(1);
  CHECK(again.csts() == (kReady | kNssro));
  CHECK(again.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  CHECK(again.admin.send(property_set(NVME_REG_CSTS, kReady)).ok());
  CHECK(again.csts() == (kReady | kNssro));
  CHECK(again.admin.send(property_set(NVME_REG_CSTS, kNssro)).ok());
  CHECK(again.csts() == kReady);
  again.enable(0);
  CHECK(again.csts() == 0);
}

TEST_CASE("a host has cleared NSSRO: no later controller of it has the bit, other hosts' have, until the next reset") {
  Resettable r;
  REQUIRE(r.write_nssr(kReset).ok());
  r.host.admin.close();
  r.other.admin.close();
  Host again(r.world);
  again.bring_up();
  REQUIRE(again.admin.send(property_set(NVME_REG_CSTS, kNssro)).ok());
  Host later(r.world);
  later.bring_up();
  CHECK(later.csts() == kReady);
  Host stranger(r.world);
  stranger.hostid[0] = 0x77;
  stranger.bring_up();
  CHECK(stranger.csts() == (kReady | kNssro));
  stranger.admin.close();
  REQUIRE(later.admin.send(property_set(NVME_REG_NSSR, kReset)).ok());
  again.admin.close();
  later.admin.close();
  Host last(r.world);
  last.bring_up();
  CHECK(last.csts() == (kReady | kNssro));
}

TEST_CASE("host writes NSSR with anything but the signature: no effect") {
  Resettable r;
  for (const uint64_t value : {uint64_t{0}, uint64_t{kReset - 1}, uint64_t{0x656d564e}}) {
    CHECK(r.write_nssr(value).ok());
    CHECK_FALSE(r.host.admin.disconnected());
  }
  CHECK(r.host.admin.send(property_set(NVME_REG_NSSR, kReset, 1)).status == NVME_SC_INVALID_FIELD);
  CHECK_FALSE(r.other.admin.disconnected());
}

TEST_CASE("operator allows the reset while hosts are connected: controllers that come have it") {
  World world;
  Host host(world);
  host.bring_up();
  world.subsystem.set_subsystem_reset(true);
  CHECK(host.admin.send(property_set(NVME_REG_NSSR, kReset)).status == NVME_SC_INVALID_FIELD);
  Host later(world);
  later.bring_up();
  CHECK((later.admin.send(property_get(NVME_REG_CAP, 1)).result & kNssrs) == kNssrs);
  CHECK(later.csts() == kReady);
}

TEST_CASE("a discovery controller cannot be reset so") {
  Resettable r;
  Host host(r.world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(host.admin.send(property_set(NVME_REG_NSSR, kReset)).status == NVME_SC_INVALID_FIELD);
}

}  // namespace
}  // namespace nvmf::test
