// Zone Append and the management of zones: Zoned Namespace Command Set 1.1, sections 3.3 and 3.4.
#include <doctest/doctest.h>

#include "tests/protocol/reservation_hosts.h"
#include "tests/protocol/zoned_host.h"

namespace nvmf::test {
namespace {

using core::IoKind;

constexpr uint32_t kFua = 1u << 30;
constexpr uint32_t kSelectAll = 1u << 8;
constexpr uint32_t kPartial = 1u << 16;
constexpr uint32_t kExtended = NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES;
constexpr uint32_t kHeader = sizeof(nvme_zone_report);
constexpr uint32_t kDescriptor = sizeof(nvme_zns_desc);
constexpr uint32_t kExtendedDescriptor = kDescriptor + kExtensionBytes;

uint64_t zone_count(const Answer& report) { return report.as<uint64_t>(); }
uint64_t zslba(const Answer& report, size_t index, size_t size = kDescriptor) {
  return report.as<nvme_zns_desc>(kHeader + index * size).zslba;
}
bool is_zero(const Bytes& data, size_t from) {
  return std::ranges::all_of(data.begin() + static_cast<ptrdiff_t>(from), data.end(),
                             [](std::byte byte) { return byte == std::byte{}; });
}

// Zone Append --------------------------------------------------------------------------------------------------------

TEST_CASE("host appends to a zone: the disk gets the zone and the data, the host the LBA, all 64 bits of it") {
  ZonedHost z;
  z.disk.assigned_lba = 0x0123456789abcdef;
  const Answer answer = z.append(300, 3, kFua);
  CHECK(answer.ok());
  CHECK(answer.result == 0x0123456789abcdef);
  REQUIRE(z.disk.seen.size() == 1);
  CHECK(z.disk.seen[0].kind == IoKind::ZoneAppend);
  CHECK(z.disk.seen[0].slba == 300);
  CHECK(z.disk.seen[0].blocks == 3);
  CHECK(z.disk.seen[0].length_bytes == 3 * 512);
  CHECK(z.disk.seen[0].fua);
  CHECK(z.append(0, 1).ok());
  CHECK_FALSE(z.disk.seen[1].fua);
}

TEST_CASE("the disk refuses an Append, or any change of a zone: the host gets the status as it is, and no LBA") {
  ZonedHost z;
  z.disk.assigned_lba = 7;
  for (int sc = NVME_SC_ZNS_INVALID_OP_REQUEST; sc <= NVME_SC_ZNS_INVAL_TRANSITION; ++sc) {
    CAPTURE(sc);
    z.disk.answer = core::command_specific(sc).do_not_retry();
    const Answer append = z.append(300, 1);
    CHECK(append.status == specific(sc));
    CHECK(append.do_not_retry);
    CHECK(append.result == 0);
    CHECK(z.manage(NVME_ZNS_ZSA_RESET).status == specific(sc));
    CHECK(z.report(kHeader).status == specific(sc));
    CHECK(z.send(ZonedHost::on_lba(nvme_cmd_write, 0, 0), Bytes(512)).status == specific(sc));
  }
}

TEST_CASE("host appends as much as ZASL says, and a block more: Invalid Field at NLB") {
  core::TargetOptions options = World::default_options();
  options.max_transfer_bytes = 1 << 20;
  ZonedHost z(options);
  REQUIRE(z.host.identify(NVME_IDENTIFY_CNS_CSI_CTRL, 0, uint32_t{NVME_CSI_ZNS} << 24).as<nvme_zns_id_ctrl>().zasl ==
          5);
  CHECK(z.append(0, 256).ok());
  CHECK(z.append(0, 257).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 48);
  CHECK(z.send(ZonedHost::on_lba(nvme_cmd_write, 0, 256), Bytes(size_t{257} * 512)).ok());
}

TEST_CASE("ZASL is MDTS where that is less") {
  ZonedHost z;  // 64 KiB
  CHECK(z.append(0, 128).ok());
  CHECK(z.append(0, 129).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host appends to what is not there, or with what is not supported") {
  ZonedHost z;
  CHECK(z.append(World::kBlocks, 1).status == NVME_SC_LBA_RANGE);
  CHECK(z.location() == 40);
  CHECK(z.append(~uint64_t{0}, 1).status == NVME_SC_LBA_RANGE);
  CHECK(z.append(0, 1, 0, 2).status == NVME_SC_INVALID_NS);
  for (const auto& [bit, location] : {std::pair{20u, 50 | 4 << 8}, {16u, 50}}) {
    CHECK(z.append(0, 1, 1u << bit).status == NVME_SC_INVALID_FIELD);
    CHECK(z.location() == static_cast<unsigned>(location));
  }
  CHECK(z.disk.seen.empty());
  for (const unsigned bit : {24u, 25u, 26u, 29u, 31u}) CHECK(z.append(0, 1, 1u << bit).ok());  // STC, PI, LR
}

TEST_CASE("a namespace of the NVM command set has no commands of zones: Invalid Command Opcode") {
  ZonedHost z;
  for (const uint8_t opcode : {nvme_zns_cmd_append, nvme_zns_cmd_mgmt_send, nvme_zns_cmd_mgmt_recv}) {
    for (const uint64_t slba : {uint64_t{0}, ~uint64_t{0}}) {
      const Answer answer = z.send(ZonedHost::on_lba(opcode, slba, 0, NVME_ZNS_ZSA_RESET, 3), Bytes(4096));
      CHECK(answer.status == NVME_SC_INVALID_OPCODE);
      CHECK(answer.do_not_retry);
    }
  }
  CHECK(z.world.disk_3.seen.empty());
}

// Zone Management Send -----------------------------------------------------------------------------------------------

TEST_CASE("host changes the state of a zone, or of all: the disk gets the action, without data") {
  ZonedHost z;
  for (const uint32_t action :
       {NVME_ZNS_ZSA_CLOSE, NVME_ZNS_ZSA_FINISH, NVME_ZNS_ZSA_OPEN, NVME_ZNS_ZSA_RESET, NVME_ZNS_ZSA_OFFLINE}) {
    CAPTURE(action);
    CHECK(z.manage(action, 200).ok());
    CHECK(z.disk.seen.back().kind == IoKind::ZoneManagementSend);
    CHECK(z.disk.seen.back().slba == 200);
    CHECK(z.disk.seen.back().zone_action == action);
    CHECK(z.disk.seen.back().length_bytes == 0);
    CHECK(z.manage(action | kSelectAll, ~uint64_t{0}).ok());
    CHECK(z.disk.seen.back().slba == 0);
    CHECK(z.disk.seen.back().zone_action == (action | kSelectAll));
  }
}

TEST_CASE("host gives a zone its descriptor extension: the disk gets as many bytes as ZDES says") {
  ZonedHost z;
  Bytes extension(kExtensionBytes);
  for (size_t i = 0; i < extension.size(); ++i) extension[i] = static_cast<std::byte>(i + 1);
  CHECK(z.manage(NVME_ZNS_ZSA_SET_DESC_EXT, 100, extension).ok());
  CHECK(z.disk.seen.back().zone_action == NVME_ZNS_ZSA_SET_DESC_EXT);
  CHECK(z.disk.seen.back().length_bytes == kExtensionBytes);
  CHECK(z.disk.extension == extension);
  z.world.io_namespace(1).zones.extension_bytes = 0;
  CHECK(z.manage(NVME_ZNS_ZSA_SET_DESC_EXT, 100).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 52);
}

TEST_CASE("host sends an action that there is not, or for a zone that there is not") {
  ZonedHost z;
  for (const uint32_t action : {0x0u, 0x6u, 0xfu, uint32_t{NVME_ZNS_ZSA_ZRWA_FLUSH}, 0x12u, 0xffu}) {
    CHECK(z.manage(action).status == NVME_SC_INVALID_FIELD);
    CHECK(z.location() == 52);
  }
  CHECK_MESSAGE(z.manage(NVME_ZNS_ZSA_OPEN | 1u << 9).status == NVME_SC_INVALID_FIELD, "a Zone Random Write Area");
  CHECK(z.location() == (53 | 1 << 8));
  CHECK(z.manage(NVME_ZNS_ZSA_RESET, World::kBlocks).status == NVME_SC_LBA_RANGE);
  CHECK(z.location() == 40);
  CHECK(z.disk.seen.empty());
}

// Zone Management Receive --------------------------------------------------------------------------------------------

TEST_CASE("host asks for a report of all zones: descriptors, then zeroes") {
  ZonedHost z;
  z.disk.zones = 10;
  const Answer report = z.report(4096);
  CHECK(report.ok());
  CHECK(zone_count(report) == 10);
  CHECK(report.as<std::array<uint64_t, 7>>(8) == std::array<uint64_t, 7>{});
  for (uint64_t i = 0; i < 10; ++i) {
    CHECK(zslba(report, i) == i * kZoneBlocks);
    CHECK(report.as<nvme_zns_desc>(kHeader + i * kDescriptor).wp == i * kZoneBlocks + i);
  }
  CHECK(is_zero(report.data, kHeader + 10 * kDescriptor));
  CHECK(z.disk.seen.back().kind == IoKind::ZoneManagementReceive);
  CHECK(z.disk.seen.back().slba == 0);
}

TEST_CASE("host asks for fewer zones than there are: all are counted, or with Partial Report those that fit") {
  ZonedHost z;
  z.disk.zones = 10;
  const uint32_t bytes = kHeader + 3 * kDescriptor + 8;
  CHECK(zone_count(z.report(bytes)) == 10);
  const Answer partial = z.report(bytes, kPartial, 450);
  CHECK(zone_count(partial) == 3);
  CHECK(zslba(partial, 0) == 400);
  CHECK(zslba(partial, 2) == 600);
  CHECK(is_zero(partial.data, kHeader + 3 * kDescriptor));
  CHECK(zone_count(z.report(kHeader)) == 10);
  CHECK(zone_count(z.report(kHeader, kPartial)) == 0);
  CHECK(zone_count(z.report(4096, kPartial, 900)) == 1);
}

TEST_CASE("host asks for the zones of one state: the disk gets the reporting option") {
  ZonedHost z;
  for (uint32_t which = NVME_ZNS_ZRAS_REPORT_ALL; which <= NVME_ZNS_ZRAS_REPORT_OFFLINE; ++which) {
    CHECK(z.report(4096, which << 8 | kPartial).ok());
    CHECK(z.disk.seen.back().zone_action == (which << 8 | kPartial));
  }
  CHECK(z.report(4096, 8u << 8).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 53);
}

TEST_CASE("host asks for an extended report: each descriptor with its extension") {
  ZonedHost z;
  z.disk.zones = 10;
  const Answer report = z.report(4096, kExtended);
  CHECK(report.ok());
  CHECK(zone_count(report) == 10);
  for (uint64_t i = 0; i < 10; ++i) {
    CHECK(zslba(report, i, kExtendedDescriptor) == i * kZoneBlocks);
    const size_t extension = kHeader + i * kExtendedDescriptor + kDescriptor;
    CHECK(report.data[extension] == static_cast<std::byte>(0x40 + i));
    CHECK(report.data[extension + kExtensionBytes - 1] == static_cast<std::byte>(0x40 + i));
  }
  z.world.io_namespace(1).zones.extension_bytes = 0;
  CHECK(z.report(4096, kExtended).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 52);
  CHECK(z.report(4096, 2).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 52);
}

TEST_CASE(
    "host asks for a report within MDTS, and for a longer one: Invalid Field at NUMD; there is room for a header") {
  ZonedHost z;  // 64 KiB
  CHECK(z.report(65536).ok());
  CHECK(z.report(65540).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 48);
  CHECK(z.report(kHeader - 4).status == NVME_SC_INVALID_FIELD);
  CHECK(z.location() == 48);
  CHECK(z.send(ZonedHost::on_lba(nvme_zns_cmd_mgmt_recv, 0, UINT32_MAX), Bytes(4096)).status == NVME_SC_INVALID_FIELD);
  CHECK(z.report(4096, 0, World::kBlocks).status == NVME_SC_LBA_RANGE);
  CHECK(z.location() == 40);
}

// Of 5,000 zones.
struct ManyZones : ZonedHost {
  static core::TargetOptions large() {
    core::TargetOptions options = World::default_options();
    options.max_transfer_bytes = 1 << 20;
    return options;
  }
  ManyZones() : ZonedHost(large()) {
    disk.zones = 5000;
    world.io_namespace(1).block_count = 5000 * kZoneBlocks;
  }
};

TEST_CASE("host asks for a report that is longer than what every disk carries: the target puts it together") {
  ManyZones z;
  SUBCASE("from a disk that answers at once") {}
  SUBCASE("from a disk that answers later") { z.disk.hold = true; }
  constexpr uint32_t kBytes = kHeader + 5000 * kDescriptor + 100;
  const size_t number =
      z.host.io(1).post(ZonedHost::on_lba(nvme_zns_cmd_mgmt_recv, 0, kBytes / 4 - 1), Bytes(kBytes, std::byte{0x77}));
  while (!z.host.io(1).answered(number)) z.disk.complete_all();
  const Answer report = z.host.io(1).take(number);
  CHECK(report.ok());
  CHECK(zone_count(report) == 5000);
  for (uint64_t i = 0; i < 5000; ++i) REQUIRE(zslba(report, i) == i * kZoneBlocks);
  CHECK(is_zero(report.data, kHeader + 5000 * kDescriptor));
  CHECK(z.disk.seen.size() == 3);
  for (const ZonedDisk::Seen& piece : z.disk.seen) CHECK(piece.length_bytes <= core::limits::kZoneReportPieceBytes);
  CHECK(z.disk.seen[0].zone_action == 0);
  CHECK_MESSAGE(z.disk.seen[1].zone_action == kPartial, "the zones have been counted");
}

TEST_CASE("a long report is partial, or begins in the middle, or is extended") {
  ManyZones z;
  const Answer partial = z.report(kHeader + 3000 * kDescriptor, kPartial, 1000 * kZoneBlocks);
  CHECK(zone_count(partial) == 3000);
  CHECK(zslba(partial, 2999) == 3999 * kZoneBlocks);
  const Answer rest = z.report(kHeader + 3000 * kDescriptor, 0, 4000 * kZoneBlocks);
  CHECK(zone_count(rest) == 1000);
  CHECK(zslba(rest, 999) == 4999 * kZoneBlocks);
  CHECK(is_zero(rest.data, kHeader + 1000 * kDescriptor));
  const Answer extended = z.report(1 << 20, kExtended);
  CHECK(zone_count(extended) == 5000);
  for (uint64_t i = 0; i < 5000; ++i) REQUIRE(zslba(extended, i, kExtendedDescriptor) == i * kZoneBlocks);
}

TEST_CASE("the disk fails in the middle of a long report: so does the command") {
  ManyZones z;
  z.disk.hold = true;
  constexpr uint32_t kBytes = kHeader + 5000 * kDescriptor;
  const size_t number = z.host.io(1).post(ZonedHost::on_lba(nvme_zns_cmd_mgmt_recv, 0, kBytes / 4 - 1), Bytes(kBytes));
  z.disk.complete_all();
  z.disk.answer = NVME_SC_INTERNAL;
  z.disk.complete_all();
  CHECK(z.host.io(1).take(number).status == NVME_SC_INTERNAL);
  CHECK(z.disk.seen.size() == 2);
}

TEST_CASE("a report that makes no sense ends, within its bounds") {
  ManyZones z;
  SUBCASE("every zone begins at the same block") { z.disk.zone_blocks_told = 0; }
  SUBCASE("the next zone is behind the end") { z.disk.zone_blocks_told = 1000 * kZoneBlocks; }
  SUBCASE("addresses overflow") { z.disk.zone_blocks_told = ~uint64_t{0} / 2046; }
  SUBCASE("more zones than there are bytes") { z.disk.claimed_zones = ~uint64_t{0} - 5000; }
  CHECK(z.report(kHeader + 5000 * kDescriptor).ok());
  CHECK(z.report(kHeader + 5000 * kDescriptor, kPartial).ok());
}

// With everything else -----------------------------------------------------------------------------------------------

TEST_CASE("Append and Zone Management Send are writes, Zone Management Receive is a read, to whatever forbids them") {
  ZonedHost z;
  const struct {
    core::Denials denials;
    int write;
    int read;
  } rows[] = {
      {core::kWriteProtected, NVME_SC_NS_WRITE_PROTECTED, 0},
      {core::kReservedFromWrites, NVME_SC_RESERVATION_CONFLICT, 0},
      {core::kReservedFromReads | core::kReservedFromWrites, NVME_SC_RESERVATION_CONFLICT,
       NVME_SC_RESERVATION_CONFLICT},
      {core::kAnaInaccessible, code(core::path_error(NVME_SC_ANA_INACCESSIBLE)),
       code(core::path_error(NVME_SC_ANA_INACCESSIBLE))},
      {core::kHidden, NVME_SC_INVALID_NS, NVME_SC_INVALID_NS},
  };
  for (const auto& row : rows) {
    CAPTURE(int{row.denials});
    z.host.controller().deny(1, row.denials);
    CHECK(z.append(0, 1).status == row.write);
    CHECK(z.manage(NVME_ZNS_ZSA_RESET).status == row.write);
    CHECK(z.report(4096).status == row.read);
    z.host.controller().permit(1, row.denials);
  }
}

TEST_CASE("another host's reservation: who may append to, manage and report zones") {
  struct Row {
    uint8_t rtype;
    int report;
  };
  for (const Row& row : {Row{kWriteExclusive, 0}, Row{kExclusiveAccess, NVME_SC_RESERVATION_CONFLICT}}) {
    CAPTURE(int{row.rtype});
    ZonedHost z;
    Host holder(z.world);
    holder.hostid = {0xa};
    REQUIRE(holder.connect().ok());
    REQUIRE(holder.enable(kEnable | kAllCommandSets).ok());
    REQUIRE(holder.connect_io(1).ok());
    const auto keys = [](uint64_t crkey, uint64_t other) { return to_bytes(std::array{crkey, other}); };
    REQUIRE(holder.io(1).send(command(nvme_cmd_resv_register, 1), keys(0, kKeyA)).ok());
    REQUIRE(holder.io(1).send(command(nvme_cmd_resv_acquire, 1, uint32_t{row.rtype} << 8), keys(kKeyA, 0)).ok());
    CHECK(z.append(0, 1).status == NVME_SC_RESERVATION_CONFLICT);
    CHECK(z.manage(NVME_ZNS_ZSA_RESET).status == NVME_SC_RESERVATION_CONFLICT);
    CHECK(z.report(4096).status == row.report);
    CHECK(holder.io(1).send(ZonedHost::on_lba(nvme_zns_cmd_append, 0, 0), Bytes(512)).ok());
    CHECK(holder.io(1).send(ZonedHost::on_lba(nvme_zns_cmd_mgmt_send, 0, 0, NVME_ZNS_ZSA_RESET)).ok());
  }
}

TEST_CASE("while a fused pair runs, appends and changes of zones wait; a report does not") {
  ZonedHost z;
  REQUIRE(z.host.connect_io(2).ok());
  z.disk.hold = true;
  Sqe compare = ZonedHost::on_lba(nvme_cmd_compare, 0, 0);
  Sqe write = ZonedHost::on_lba(nvme_cmd_write, 0, 0);
  compare.flags |= static_cast<uint8_t>(nvme::Fuse::First);
  write.flags |= static_cast<uint8_t>(nvme::Fuse::Second);
  z.host.io(1).post(compare, Bytes(512));
  z.host.io(1).post(write, Bytes(512));
  REQUIRE(z.disk.seen.size() == 1);
  const size_t append = z.host.io(2).post(ZonedHost::on_lba(nvme_zns_cmd_append, 0, 0), Bytes(512));
  const size_t reset = z.host.io(2).post(ZonedHost::on_lba(nvme_zns_cmd_mgmt_send, 0, 0, NVME_ZNS_ZSA_RESET));
  CHECK(z.disk.seen.size() == 1);
  const size_t report = z.host.io(2).post(ZonedHost::on_lba(nvme_zns_cmd_mgmt_recv, 0, 1023), Bytes(4096));
  CHECK(z.disk.seen.back().kind == IoKind::ZoneManagementReceive);
  z.disk.hold = false;
  z.disk.complete_all();
  CHECK(z.host.io(2).take(append).ok());
  CHECK(z.host.io(2).take(reset).ok());
  CHECK(z.host.io(2).take(report).ok());
}

TEST_CASE("host copies or writes zeroes across the end of a zone, and the target would do that itself: Zone Boundary") {
  ZonedHost z;  // neither Write Zeroes nor Copy of its own
  z.world.io_namespace(1).supports_write_zeroes = false;
  const auto zeroes = [&](uint64_t slba, uint32_t blocks) {
    return z.send(ZonedHost::on_lba(nvme_cmd_write_zeroes, slba, blocks - 1)).status;
  };
  const auto copy = [&](uint64_t to, uint16_t blocks) {
    nvme_copy_range from{};
    from.slba = 500;
    from.nlb = static_cast<uint16_t>(blocks - 1);
    return z.send(ZonedHost::on_lba(nvme_cmd_copy, to, 0), to_bytes(from)).status;
  };
  CHECK(zeroes(150, 51) == specific(NVME_SC_ZNS_BOUNDARY_ERROR));
  CHECK(copy(150, 51) == specific(NVME_SC_ZNS_BOUNDARY_ERROR));
  CHECK(z.disk.seen.empty());
  CHECK(zeroes(150, 50) == 0);
  CHECK(copy(150, 50) == 0);
  CHECK(z.disk.seen.back().kind == IoKind::Write);
  CHECK(z.disk.seen.back().slba == 150);
}

}  // namespace
}  // namespace nvmf::test
