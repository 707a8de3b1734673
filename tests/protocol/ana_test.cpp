// Asymmetric Namespace Access: NVMe Base 2.0, sections 8.1, 5.16.1.10 and 5.2.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::AnaState;

constexpr uint64_t kAnaChanged = 0x0c0302;  // notice, Asymmetric Namespace Access Change, log page 0Ch
constexpr uint32_t kAnaNotices = NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE;
constexpr uint64_t kNamespaceChanged = 0x040002;
constexpr uint32_t kNamespaceNotices = NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES;
constexpr uint8_t kGroupsOnly = NVME_LOG_ANA_LSP_RGO_GROUPS_ONLY;
constexpr int path(int sc) { return code(core::path_error(sc)); }

constexpr struct {
  AnaState state;
  int status;  // of commands that need the namespace
} kStates[] = {{AnaState::Optimized, NVME_SC_SUCCESS},
               {AnaState::NonOptimized, NVME_SC_SUCCESS},
               {AnaState::Inaccessible, path(NVME_SC_ANA_INACCESSIBLE)},
               {AnaState::PersistentLoss, path(NVME_SC_ANA_PERSISTENT_LOSS)},
               {AnaState::Change, path(NVME_SC_ANA_TRANSITION)}};

// What a descriptor of the log page says.
struct Group {
  uint32_t id;
  uint64_t changes;
  AnaState state;
  std::vector<uint32_t> nsids;
};

struct AnaLog {
  uint64_t changes = 0;
  std::vector<Group> groups;
};

Answer read_log(Host& host, uint8_t lsp = 0, bool retain = false) {
  Sqe sqe = get_log_page(NVME_LOG_LID_ANA, 1024, 0, retain);
  sqe.cdw10 |= uint32_t{lsp} << 8;
  return host.admin.send(sqe, Bytes(1024));
}

AnaLog parsed(const Answer& answer) {
  REQUIRE(answer.ok());
  AnaLog log{.changes = answer.as<uint64_t>(), .groups = {}};
  size_t offset = 16;
  for (uint16_t i = 0; i < answer.as<uint16_t>(8); ++i) {
    Group group{answer.as<uint32_t>(offset), answer.as<uint64_t>(offset + 8),
                static_cast<AnaState>(answer.as<uint8_t>(offset + 16)), std::vector<uint32_t>(0)};
    const auto count = answer.as<uint32_t>(offset + 4);
    offset += 32;
    for (uint32_t n = 0; n < count; ++n, offset += 4) group.nsids.push_back(answer.as<uint32_t>(offset));
    log.groups.push_back(group);
  }
  return log;
}

// A world whose namespace 2 is in ANA group 5.
struct TwoGroups : World {
  TwoGroups() { subsystem.add_namespace({.nsid = 2, .block_count = kBlocks, .ana_group = 5}); }
};

TEST_CASE("host identifies the controller: ANA reporting, every state, namespaces that may change their group") {
  World world;
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK((id.cmic & NVME_CTRL_CMIC_MULTI_ANA_REPORTING) != 0);
  CHECK((id.oaes & NVME_CTRL_OAES_ANA) != 0);
  CHECK(id.anatt == 10);
  CHECK(id.anacap == 0x1f);
  CHECK(id.anagrpmax == 128);
  CHECK(id.nanagrpid == 128);
  CHECK(id.mnan <= id.nn);
}

TEST_CASE("host identifies a namespace: its ANA group") {
  TwoGroups world;
  Host host(world);
  host.bring_up();
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().anagrpid == 1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 2).as<nvme_id_ns>().anagrpid == 5);
  CHECK(host.identify(NVME_IDENTIFY_CNS_ALLOCATED_NS, 2).as<nvme_id_ns>().anagrpid == 5);
  const auto independent = host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 2);
  CHECK(independent.as<nvme_id_independent_id_ns>().anagrpid == 5);
}

TEST_CASE("host reads the ANA log: each group that has namespaces, all optimized unless told otherwise") {
  TwoGroups world;
  Host host(world);
  host.bring_up();
  const AnaLog log = parsed(read_log(host));
  REQUIRE(log.groups.size() == 2);
  CHECK(log.changes != 0);
  CHECK(log.groups[0].id == 1);
  CHECK(log.groups[0].state == AnaState::Optimized);
  CHECK(log.groups[0].nsids == std::vector<uint32_t>{1, 3});
  CHECK(log.groups[0].changes != 0);
  CHECK(log.groups[1].id == 5);
  CHECK(log.groups[1].nsids == std::vector<uint32_t>{2});
}

TEST_CASE("host reads groups only: the same descriptors without namespaces") {
  TwoGroups world;
  Host host(world);
  host.bring_up();
  const AnaLog log = parsed(read_log(host, kGroupsOnly));
  REQUIRE(log.groups.size() == 2);
  CHECK(log.groups[0].nsids.empty());
  CHECK(log.groups[1].id == 5);
  CHECK(log.groups[1].nsids.empty());
}

TEST_CASE("host reads the ANA log: no namespace that is hidden from it, nor a group of such ones alone") {
  TwoGroups world;
  world.subsystem.add_namespace(
      {.nsid = 4, .block_count = 8, .ana_group = 5, .visible_to = {"nqn.2024-01.org.example:somebody"}});
  world.subsystem.add_namespace(
      {.nsid = 6, .block_count = 8, .ana_group = 7, .visible_to = {"nqn.2024-01.org.example:somebody"}});
  Host host(world);
  host.bring_up();
  const AnaLog log = parsed(read_log(host));
  REQUIRE(log.groups.size() == 2);
  CHECK(log.groups[1].id == 5);
  CHECK(log.groups[1].nsids == std::vector<uint32_t>{2});
}

TEST_CASE("host reads the ANA log beyond its end, or of one namespace: Invalid Field") {
  World world;
  Host host(world);
  host.bring_up();
  const uint64_t end = 16 + 128 * 32 + 1024 * 4;
  CHECK(host.log_page(NVME_LOG_LID_ANA, 16, end).ok());
  CHECK(host.log_page(NVME_LOG_LID_ANA, 16, end + 4).status == NVME_SC_INVALID_FIELD);
  const Sqe of_namespace = get_log_page(NVME_LOG_LID_ANA, 16, 0, false, 1);
  CHECK(host.admin.send(of_namespace, Bytes(16)).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("a group's state changes on one port: hosts there see it, hosts of the other port do not") {
  for (const auto& row : kStates) {
    const auto [state, status] = row;
    CAPTURE(static_cast<int>(row.state));
    World world;
    Host here(world, World::kHostNqn, 1);
    Host there(world, World::kHostNqn, 2);
    here.bring_up(1);
    there.bring_up(1);
    world.subsystem.set_ana_state(1, 1, state);
    CHECK(parsed(read_log(here)).groups[0].state == state);
    CHECK(parsed(read_log(there)).groups[0].state == AnaState::Optimized);
    const Answer read = here.io(1).send(command(nvme_cmd_read, 1), Bytes(512));
    CHECK(read.status == status);
    CHECK_FALSE(read.do_not_retry);
    CHECK(here.io(1).send(command(nvme_cmd_write, 3), Bytes(4096)).status == status);
    CHECK(here.io(1).send(command(nvme_cmd_flush, 1)).status == status);
    CHECK(there.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  }
}

TEST_CASE("a state gives way to another: the host meets the new one alone") {
  World world;
  Host host(world);
  host.bring_up(1);
  for (const auto& [before, unused] : kStates) {
    for (const auto& [state, status] : kStates) {
      world.subsystem.set_ana_state(1, 1, before);
      world.subsystem.set_ana_state(1, 1, state);
      CHECK(host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).status == status);
    }
  }
}

TEST_CASE("a port is a worse way: the group is non-optimized there, hosts are told once, and may use it as before") {
  World world;
  Host here(world, World::kHostNqn, 1);
  Host there(world, World::kHostNqn, 2);
  for (Host* host : {&here, &there}) {
    host->bring_up(1);
    host->set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices);
  }
  const AnaLog before = parsed(read_log(here));
  const size_t event = here.await_event();
  const size_t elsewhere = there.await_event();
  world.subsystem.set_ana_distant(1, 1, true);
  CHECK(here.admin.take(event).result == kAnaChanged);
  CHECK_FALSE(there.admin.answered(elsewhere));
  const AnaLog after = parsed(read_log(here));
  CHECK(after.groups[0].state == AnaState::NonOptimized);
  CHECK(after.groups[0].changes == before.groups[0].changes + 1);
  CHECK(after.changes == before.changes + 1);
  CHECK(parsed(read_log(there)).groups[0].state == AnaState::Optimized);
  CHECK(here.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());

  const size_t next = here.await_event();
  world.subsystem.set_ana_distant(1, 1, true);
  CHECK_FALSE(here.admin.answered(next));
  world.subsystem.set_ana_distant(1, 1, false);
  CHECK(here.admin.take(next).result == kAnaChanged);
  CHECK(parsed(read_log(here)).groups[0].state == AnaState::Optimized);
}

TEST_CASE(
    "a port is a worse way to a group that is not optimized anyway: it stays as it was set, and no host is told") {
  for (const AnaState set : {AnaState::NonOptimized, AnaState::Inaccessible, AnaState::PersistentLoss}) {
    World world;
    world.subsystem.set_ana_state(1, 1, set);
    Host host(world);
    host.bring_up(1);
    host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices);
    const uint64_t changes = parsed(read_log(host)).changes;
    const size_t event = host.await_event();
    world.subsystem.set_ana_distant(1, 1, true);
    CHECK_FALSE(host.admin.answered(event));
    CHECK(parsed(read_log(host)).groups[0].state == set);
    CHECK(parsed(read_log(host)).changes == changes);
    world.subsystem.set_ana_state(1, 1, AnaState::Optimized);
    CHECK(parsed(read_log(host)).groups[0].state == AnaState::NonOptimized);
  }
}

TEST_CASE("a state leaves alone what else keeps the host from a namespace") {
  World world;
  Host host(world);
  host.bring_up(1);
  host.controller().deny(1, core::kReservedFromReads);
  world.subsystem.set_ana_state(1, 1, AnaState::Inaccessible);
  world.subsystem.set_ana_state(1, 1, AnaState::Optimized);
  const Answer read = host.io(1).send(command(nvme_cmd_read, 1), Bytes(512));
  CHECK(read.status == NVME_SC_RESERVATION_CONFLICT);
}

TEST_CASE("host connects, or a namespace is added, while the group is inaccessible: it is from the beginning") {
  TwoGroups world;
  world.subsystem.set_ana_state(5, 1, AnaState::Inaccessible);
  Host host(world);
  host.bring_up();
  CHECK(host.controller().denials(2) == core::kAnaInaccessible);
  CHECK(host.controller().denials(1) == 0);
  world.subsystem.add_namespace({.nsid = 4, .block_count = 8, .ana_group = 5});
  CHECK(host.controller().denials(4) == core::kAnaInaccessible);
  CHECK(parsed(read_log(host)).groups[1].nsids == std::vector<uint32_t>{2, 4});
}

TEST_CASE("change counts: of the port's log, and of the group that changed") {
  TwoGroups world;
  Host here(world, World::kHostNqn, 1);
  Host there(world, World::kHostNqn, 2);
  here.bring_up();
  there.bring_up();
  const AnaLog before = parsed(read_log(here));
  const AnaLog other_before = parsed(read_log(there));
  world.subsystem.set_ana_state(5, 1, AnaState::NonOptimized);
  const AnaLog after = parsed(read_log(here));
  CHECK(after.changes == before.changes + 1);
  CHECK(after.groups[0].changes == before.groups[0].changes);
  CHECK(after.groups[1].changes == before.groups[1].changes + 1);
  CHECK(parsed(read_log(there)).changes == other_before.changes);

  world.subsystem.set_ana_state(5, 1, AnaState::NonOptimized);
  CHECK(parsed(read_log(here)).changes == after.changes);
  world.subsystem.add_namespace({.nsid = 6, .block_count = 8, .ana_group = 5});
  CHECK(parsed(read_log(here)).groups[1].changes == after.groups[1].changes + 1);
  CHECK(parsed(read_log(there)).changes == other_before.changes + 1);
}

TEST_CASE("host awaits ANA changes: told once until it reads the log, of its own port and groups only") {
  TwoGroups world;
  Host here(world, World::kHostNqn, 1);
  Host there(world, World::kHostNqn, 2);
  for (Host* host : {&here, &there}) {
    host->bring_up();
    REQUIRE(host->set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices).ok());
  }
  const size_t first = here.await_event();
  const size_t second = here.await_event();
  const size_t elsewhere = there.await_event();

  world.subsystem.set_ana_state(77, 1, AnaState::Inaccessible);
  CHECK_FALSE(here.admin.answered(first));  // it has no member
  world.subsystem.set_ana_state(5, 1, AnaState::Change);
  REQUIRE(here.admin.answered(first));
  CHECK(here.admin.take(first).result == kAnaChanged);
  world.subsystem.set_ana_state(5, 1, AnaState::NonOptimized);
  CHECK_FALSE(here.admin.answered(second));
  read_log(here, 0, true);
  CHECK_FALSE(here.admin.answered(second));
  read_log(here);
  CHECK(here.admin.answered(second));
  CHECK_FALSE(there.admin.answered(elsewhere));
}

// A host that waits for ANA and namespace events.
struct Waiting {
  Host host;
  size_t event = 0;
  explicit Waiting(World& world) : host(world) {
    host.bring_up();
    REQUIRE(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices | kNamespaceNotices).ok());
    event = host.await_event();
  }
  // The next event, or 0; its log is read.
  uint64_t next() {
    if (!host.admin.answered(event)) return 0;
    const uint64_t result = host.admin.take(event).result;
    event = host.await_event();
    read_log(host);
    host.log_page(NVME_LOG_LID_CHANGED_NS, 4096);
    return result;
  }
};

TEST_CASE("operator moves a namespace to another group: the namespace's event, and the ANA event") {
  TwoGroups world;
  Waiting w(world);
  core::NamespaceOptions moved = *world.subsystem.find_namespace(2);
  moved.ana_group = 7;
  world.subsystem.change_namespace(moved);
  CHECK(w.next() == kNamespaceChanged);
  CHECK(w.next() == kAnaChanged);
  CHECK(w.next() == 0);
  moved.block_count *= 2;
  world.subsystem.change_namespace(moved);
  CHECK(w.next() == kNamespaceChanged);
  CHECK(w.next() == 0);
}

TEST_CASE("a group's state changes while it is empty: told when a namespace is added, moved there, or shown") {
  TwoGroups world;
  Waiting w(world);
  world.subsystem.remove_namespace(2);
  CHECK(w.next() == kNamespaceChanged);
  world.subsystem.set_ana_state(5, 1, AnaState::Inaccessible);
  CHECK(w.next() == 0);
  core::NamespaceOptions member{.nsid = 2, .block_count = 8, .ana_group = 5};
  SUBCASE("added") {}
  SUBCASE("moved") {
    member.ana_group = 6;
    world.subsystem.add_namespace(member);
    CHECK(w.next() == kNamespaceChanged);
    CHECK(w.next() == 0);
    member.ana_group = 5;
  }
  SUBCASE("shown") {
    member.visible_to = {"nqn.2024-01.org.example:stranger"};
    world.subsystem.add_namespace(member);
    CHECK(w.next() == 0);
    world.subsystem.set_ana_state(5, 1, AnaState::PersistentLoss);
    CHECK(w.next() == 0);
    member.visible_to.clear();
  }
  if (world.subsystem.find_namespace(2) == nullptr) {
    world.subsystem.add_namespace(member);
  } else {
    world.subsystem.change_namespace(member);
  }
  CHECK(w.next() == kNamespaceChanged);
  CHECK(w.next() == kAnaChanged);
  world.subsystem.add_namespace({.nsid = 4, .block_count = 8, .ana_group = 5});
  CHECK(w.next() == kNamespaceChanged);
  CHECK(w.next() == 0);
}

TEST_CASE(
    "a group's state changed while it was empty, and the host has reset the controller: it knows, there is no event") {
  TwoGroups world;
  Waiting w(world);
  world.subsystem.remove_namespace(2);
  CHECK(w.next() == kNamespaceChanged);
  world.subsystem.set_ana_state(5, 1, AnaState::Inaccessible);
  w.host.enable(0);
  REQUIRE(w.host.enable().ok());
  w.host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kAnaNotices | kNamespaceNotices);
  w.event = w.host.await_event();
  world.subsystem.add_namespace({.nsid = 2, .block_count = 8, .ana_group = 5});
  CHECK(w.next() == kNamespaceChanged);
  CHECK(w.next() == 0);
}

TEST_CASE("a group stays in the change state as long as hosts wait: inaccessible from then on, and they are told") {
  std::optional<core::Target::Clock::time_point> look;  // the hosts' end sets it, too
  World world;
  Waiting w(world);
  const auto begin = core::Target::Clock::now();
  world.target.on_earlier_deadline = [&](core::Target::Clock::time_point deadline) { look = deadline; };
  world.subsystem.set_ana_state(1, 1, AnaState::Change);
  REQUIRE(look);
  CHECK(*look >= begin + std::chrono::seconds(10));
  CHECK(w.next() == kAnaChanged);
  CHECK(world.target.expire(*look - std::chrono::milliseconds(1)) == look);
  CHECK(parsed(read_log(w.host)).groups[0].state == AnaState::Change);
  CHECK_FALSE(world.target.expire(*look));
  CHECK(parsed(read_log(w.host)).groups[0].state == AnaState::Inaccessible);
  CHECK(w.next() == kAnaChanged);
  CHECK(world.events.back().find("longer than hosts wait") != std::string::npos);
}

TEST_CASE("the change state ends in time, or its port goes: nothing else ends it") {
  World world;
  const auto late = core::Target::Clock::now() + std::chrono::minutes(1);
  world.subsystem.set_ana_state(1, 1, AnaState::Change);
  SUBCASE("the operator sets another") {
    world.subsystem.set_ana_state(1, 1, AnaState::NonOptimized);
    CHECK_FALSE(world.target.expire(late));
    CHECK(world.subsystem.ana().state(1, 1) == AnaState::NonOptimized);
  }
  SUBCASE("the port goes") {
    world.subsystem.set_ports({2});
    CHECK_FALSE(world.target.expire(late));
    world.subsystem.set_ports({1, 2});
    CHECK(world.subsystem.ana().state(1, 1) == AnaState::Inaccessible);
  }
  SUBCASE("of two, the other goes on") {
    world.subsystem.set_ana_state(2, 2, AnaState::Change);
    world.subsystem.set_ana_state(1, 1, AnaState::Optimized);
    CHECK(world.target.expire(core::Target::Clock::now()).has_value());
    CHECK_FALSE(world.target.expire(late));
    CHECK(world.subsystem.ana().state(1, 1) == AnaState::Optimized);
    CHECK(world.subsystem.ana().state(2, 2) == AnaState::Inaccessible);
  }
}

TEST_CASE("host identifies a namespace that its way has lost: its size, but no utilization") {
  const struct {
    AnaState state;
    uint64_t nuse;
  } rows[] = {{AnaState::Optimized, World::kBlocks},
              {AnaState::NonOptimized, World::kBlocks},
              {AnaState::Inaccessible, 0},
              {AnaState::PersistentLoss, 0},
              {AnaState::Change, World::kBlocks}};
  World world;
  Host host(world);
  host.bring_up();
  for (const auto& row : rows) {
    CAPTURE(static_cast<int>(row.state));
    world.subsystem.set_ana_state(1, 1, row.state);
    const auto id = host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>();
    CHECK(id.nuse == row.nuse);
    CHECK(id.nsze == World::kBlocks);
    CHECK(id.ncap == World::kBlocks);
    CHECK(host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 1).ok());
    CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[0] == 1);
  }
}

TEST_CASE("host asks for features of a namespace that it cannot reach: the ANA status; controller's are answered") {
  World world;
  Host host(world);
  host.bring_up();
  const auto get = [&](uint8_t fid, uint32_t nsid, uint32_t sel = 0) {
    return host.admin.send(command(nvme_admin_get_features, nsid, fid | sel << 8));
  };
  for (const auto& row : kStates) {
    const auto [state, status] = row;
    CAPTURE(static_cast<int>(row.state));
    world.subsystem.set_ana_state(1, 1, state);
    CHECK(get(NVME_FEAT_FID_ERR_RECOVERY, 1).status == status);
    CHECK(get(NVME_FEAT_FID_ERR_RECOVERY, 1, NVME_GET_FEATURES_SEL_SUPPORTED).ok());
    CHECK(get(NVME_FEAT_FID_ERR_RECOVERY, 0).ok());
    CHECK(get(NVME_FEAT_FID_KATO, 0).ok());
    CHECK(host.set_feature(NVME_FEAT_FID_ERR_RECOVERY, 0, 1).status == status);
    CHECK(host.set_feature(NVME_FEAT_FID_WRITE_ATOMIC, 1).ok());
  }
}

TEST_CASE("a state is set of a group or port that is not there: refused by name") {
  World world;
  CHECK_THROWS_WITH(world.subsystem.set_ana_state(0, 1, AnaState::Change),
                    "ANA group 0 of nqn.2024-01.org.example:disks: groups are 1 to 128");
  CHECK_THROWS_WITH(world.subsystem.set_ana_state(129, 1, AnaState::Change),
                    "ANA group 129 of nqn.2024-01.org.example:disks: groups are 1 to 128");
  CHECK_THROWS_WITH(world.other_subsystem.set_ana_state(1, 1, AnaState::Change),
                    "ANA group 1 of nqn.2024-01.org.example:private: the subsystem is not on port 1");
  CHECK_THROWS(world.subsystem.add_namespace({.nsid = 9, .block_count = 8, .ana_group = 129}));
}

}  // namespace
}  // namespace nvmf::test
