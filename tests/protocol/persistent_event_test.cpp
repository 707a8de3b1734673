// Persistent Event log page: NVMe Base 2.0, section 5.16.1.14.
#include <doctest/doctest.h>

#include <algorithm>

#include "target/core/subsystem/persistent_event.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kMostBytes = 65536;
constexpr size_t kHeader = sizeof(nvme_persistent_event_log);

enum class Action : uint8_t {
  Read = NVME_PEVENT_LOG_READ,
  Establish = NVME_PEVENT_LOG_EST_CTX_AND_READ,
  Release = NVME_PEVENT_LOG_RELEASE_CTX,
  Reserved = 3,
};

Answer get(Host& host, Action action, uint32_t bytes = kMostBytes, uint64_t offset = 0) {
  Sqe sqe = get_log_page(NVME_LOG_LID_PERSISTENT_EVENT, bytes, offset);
  sqe.cdw10 |= static_cast<uint32_t>(action) << 8;
  return host.admin.send(sqe, Bytes(bytes));
}

struct Event {
  nvme_persistent_event_entry header;
  Bytes data;
  template <typename Structure>
  Structure as(size_t offset = 0) const {
    REQUIRE(data.size() >= offset + sizeof(Structure));
    Structure structure;
    std::memcpy(&structure, data.data() + offset, sizeof(structure));
    return structure;
  }
};

// Taken apart by the lengths in the log.
std::vector<Event> events_of(const Answer& log) {
  const auto header = log.as<nvme_persistent_event_log>();
  std::vector<Event> events;
  size_t offset = header.lhl + 20u;
  for (uint32_t i = 0; i < header.tnev; ++i) {
    Event event{log.as<nvme_persistent_event_entry>(offset), {}};
    const auto data = log.data.begin() + static_cast<long>(offset) + event.header.ehl + 3;
    event.data.assign(data, data + event.header.el);
    offset += event.header.ehl + 3u + event.header.el;
    events.push_back(std::move(event));
  }
  CHECK(offset == +header.tll);
  return events;
}

std::vector<Event> events_of(const Answer& log, nvme_persistent_event_types type) {
  std::vector<Event> events = events_of(log);
  std::erase_if(events, [type](const Event& event) { return event.header.etype != type; });
  return events;
}

TEST_CASE("host establishes a context: header, a snapshot of the health, and what has happened, the newest first") {
  World world;
  Host host(world);
  host.bring_up();
  host.get_feature(0x7f);  // an error
  const Answer log = get(host, Action::Establish);
  REQUIRE(log.ok());
  const auto header = log.as<nvme_persistent_event_log>();
  CHECK(header.lid == NVME_LOG_LID_PERSISTENT_EVENT);
  CHECK(+header.tnev == 4);
  CHECK(+header.lhl == kHeader - 20);
  CHECK(std::string(header.sn, 7) == "SN-0001");
  CHECK(std::string(header.mn, 13) == "Example disks");
  CHECK(std::string(header.subnqn) == World::kNqn);
  CHECK(header.seb[0] == (1 << 1 | 1 << 4 | 1 << 6));
  CHECK(header.seb[1] == 1 << 3);

  const std::vector<Event> events = events_of(log);
  REQUIRE(events.size() == 4);
  CHECK(events[0].header.etype == NVME_PEL_SMART_HEALTH_EVENT);
  CHECK(events[0].as<nvme_smart_log>().num_err_log_entries[0] == 1);
  CHECK(events[1].header.etype == NVME_PEL_POWER_ON_RESET_EVENT);
  CHECK(events[2].as<nvme_change_ns_event>().nsid == 3);
  CHECK(events[3].as<nvme_change_ns_event>().nsid == 1);
  for (size_t i = 2; i < events.size(); ++i) CHECK(+events[i].header.ets <= +events[i - 1].header.ets);
}

TEST_CASE("a controller is enabled, and again after a reset: events that name it, its port and the version") {
  World world;
  Host host(world, World::kHostNqn, 2);
  host.bring_up();
  host.enable(0);
  host.enable();
  const auto resets = events_of(get(host, Action::Establish), NVME_PEL_POWER_ON_RESET_EVENT);
  REQUIRE(resets.size() == 2);
  CHECK(+resets[0].header.cntlid == host.cntlid);
  CHECK(resets[0].header.ehai == 1);
  CHECK(+resets[0].header.pelpid == 2);
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(std::memcmp(resets[0].data.data(), id.fr, sizeof(id.fr)) == 0);
  CHECK(+resets[0].as<nvme_power_on_reset_info_list>(8).cid == host.cntlid);
  CHECK(resets[0].data.size() == 8 + sizeof(nvme_power_on_reset_info_list));
}

TEST_CASE("a namespace goes and comes: events as of Namespace Management, of no controller") {
  World world;
  Host host(world);
  host.bring_up();
  const core::NamespaceOptions options = *world.subsystem.find_namespace(3);
  world.subsystem.remove_namespace(3);
  world.subsystem.add_namespace(options);
  const auto changes = events_of(get(host, Action::Establish), NVME_PEL_CHANGE_NS_EVENT);
  REQUIRE(changes.size() == 4);
  const auto added = changes[0].as<nvme_change_ns_event>();
  CHECK(added.nsmgt_cdw10 == 0);
  CHECK(added.nsid == 3);
  CHECK(added.nsze == World::kBlocks);
  CHECK(added.nscap == World::kBlocks);
  CHECK(+changes[0].header.cntlid == 0xffff);
  CHECK(changes[0].header.ehai == 3);
  CHECK(changes[1].as<nvme_change_ns_event>().nsmgt_cdw10 == 1);
  CHECK(changes[1].as<nvme_change_ns_event>().nsid == 3);
}

TEST_CASE("host sets features: what succeeds is kept, but not what every driver sets as it comes up") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 350).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 2 << 20).status == NVME_SC_INVALID_FIELD);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010001).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 0).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_KATO, 5000).ok());
  const auto sets = events_of(get(host, Action::Establish), NVME_PEL_SET_FEATURE_EVENT);
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].as<uint32_t>(0) == 2);  // two dwords, no data
  CHECK(sets[0].as<uint32_t>(4) == NVME_FEAT_FID_TEMP_THRESH);
  CHECK(sets[0].as<uint32_t>(8) == 350);
}

TEST_CASE("host reads its context in pieces: what happens meanwhile is not in it, and in the next") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer whole = get(host, Action::Establish);
  host.set_feature(NVME_FEAT_FID_ARBITRATION, 3);
  const auto bytes = whole.as<nvme_persistent_event_log>().tll;
  for (uint64_t offset = 0; offset < bytes; offset += 100) {
    const Answer piece = get(host, Action::Read, 100, offset);
    REQUIRE(piece.ok());
    CHECK(std::equal(piece.data.begin(), piece.data.end(), whole.data.begin() + static_cast<long>(offset)));
  }
  CHECK(get(host, Action::Read, 4, 65536).data == Bytes(4));  // PELS
  CHECK(get(host, Action::Read, 4, 65540).status == NVME_SC_INVALID_FIELD);
  REQUIRE(get(host, Action::Release, 4).ok());
  CHECK(events_of(get(host, Action::Establish), NVME_PEL_SET_FEATURE_EVENT).size() == 1);
}

TEST_CASE("host reads without a context, or establishes a second: Command Sequence Error; may release none") {
  World world;
  Host host(world);
  Host other(world);
  host.bring_up();
  other.bring_up();
  CHECK(get(host, Action::Read).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(get(host, Action::Release, kHeader).data == Bytes(kHeader));
  REQUIRE(get(host, Action::Establish, kHeader).ok());
  CHECK(get(host, Action::Establish).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(get(other, Action::Read).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(get(other, Action::Establish).ok());
  CHECK(get(host, Action::Read).ok());
  CHECK(get(host, Action::Reserved).status == NVME_SC_INVALID_FIELD);
  CHECK(host.controller().errors().entry(0).parm_error_location == 41);
  REQUIRE(get(host, Action::Release, 4).ok());
  CHECK(get(host, Action::Read).status == NVME_SC_CMD_SEQ_ERROR);
}

TEST_CASE("host resets its controller: its context is gone") {
  World world;
  Host host(world);
  host.bring_up();
  REQUIRE(get(host, Action::Establish).ok());
  host.enable(0);
  host.enable();
  CHECK(get(host, Action::Read).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(get(host, Action::Establish).ok());
}

TEST_CASE("more happens than is kept: the newest stay, and the log is no longer than Identify says") {
  World world;
  Host host(world);
  host.bring_up();
  for (uint32_t i = 0; i < 2 * core::PersistentEvents::kEvents; ++i) host.set_feature(NVME_FEAT_FID_TEMP_THRESH, i);
  const Answer log = get(host, Action::Establish);
  const auto sets = events_of(log, NVME_PEL_SET_FEATURE_EVENT);
  REQUIRE(sets.size() == core::PersistentEvents::kEvents);
  CHECK(sets[0].as<uint32_t>(8) == 2 * core::PersistentEvents::kEvents - 1);
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK((id.lpa & NVME_CTRL_LPA_PERSETENT_EVENT) != 0);
  CHECK(+log.as<nvme_persistent_event_log>().tll <= uint64_t{id.pels} << 16);
}

TEST_CASE("a discovery controller has no such log") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(get(host, Action::Establish, kHeader).status == specific(NVME_SC_INVALID_LOG_PAGE));
}

}  // namespace
}  // namespace nvmf::test
