// Get Log Page: NVMe Base 2.0, section 5.16.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

TEST_CASE("host asks which log pages there are") {
  World world;
  Host host(world);
  host.bring_up();
  const auto pages = host.log_page(NVME_LOG_LID_SUPPORTED_LOG_PAGES, 1024).as<nvme_supported_log_pages>();
  for (int lid = 0; lid < 256; ++lid) {
    const bool expected = (lid >= 0 && lid <= 5) || lid == 0x0c || lid == 0x0d || lid == 0x12 || lid == 0x13 ||
                          lid == 0x1e || lid == 0x1f || lid == 0x80;
    CHECK((pages.lid_support[lid] & 1) == (expected ? 1 : 0));
  }
}

TEST_CASE("host asks for an unknown log page: Invalid Log Page") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer answer = host.log_page(0x7f, 512);
  CHECK(answer.status == specific(NVME_SC_INVALID_LOG_PAGE));
  CHECK(answer.do_not_retry);
  CHECK(host.log_page(NVME_LOG_LID_DISCOVER, 1024).status == specific(NVME_SC_INVALID_LOG_PAGE));
}

TEST_CASE("host reads the error log: entries name queue, command, status and field, newest first") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().error_count == 0);
  const Answer bad_feature = host.get_feature(0x7f);
  const Answer bad_read = host.io(1).send(command(nvme_cmd_read, 1, World::kBlocks), Bytes(512));
  CHECK(bad_feature.more);
  CHECK(bad_read.more);

  const Answer log = host.log_page(NVME_LOG_LID_ERROR, 4096);
  const auto newest = log.as<nvme_error_log_page>();
  CHECK(newest.error_count == 2);
  CHECK(newest.sqid == 1);
  CHECK(newest.cmdid == bad_read.cid);
  CHECK((newest.status_field >> 1 & 0x7ff) == NVME_SC_LBA_RANGE);
  CHECK(newest.parm_error_location == 40);
  CHECK(newest.lba == World::kBlocks);
  CHECK(newest.nsid == 1);
  CHECK(newest.trtype == NVMF_TRTYPE_RDMA);
  const auto older = log.as<nvme_error_log_page>(64);
  CHECK(older.error_count == 1);
  CHECK(older.sqid == 0);
  CHECK(older.cmdid == bad_feature.cid);
  CHECK(older.parm_error_location == 40);
  CHECK(log.as<nvme_error_log_page>(128).error_count == 0);
}

TEST_CASE("the error log keeps the newest 64 and goes on counting") {
  World world;
  Host host(world);
  host.bring_up();
  for (int i = 0; i < 100; ++i) host.get_feature(0x7f);
  const Answer log = host.log_page(NVME_LOG_LID_ERROR, 64 * 64);
  CHECK(log.as<nvme_error_log_page>(0).error_count == 100);
  CHECK(log.as<nvme_error_log_page>(log.data.size() - 64).error_count == 37);
}

TEST_CASE("an I/O queue closes before anybody has looked at its errors: they are in the log") {
  World world;
  Host host(world);
  host.bring_up(1);
  core::Mailbox reactor;
  host.io(1).queue.reactor = &reactor;
  CHECK(host.io(1).send(command(nvme_cmd_read, 77), Bytes(512)).status == NVME_SC_INVALID_NS);
  host.io(1).queue.reactor = nullptr;
  host.io(1).close();
  const auto newest = host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>();
  CHECK(newest.error_count == 1);
  CHECK(newest.sqid == 1);
}

TEST_CASE("an I/O queue that fails faster than anybody looks loses the newer errors, not the queue") {
  World world;
  Host host(world);
  host.bring_up(1);
  core::Mailbox reactor;
  host.io(1).queue.reactor = &reactor;
  for (int i = 0; i < 40; ++i) {
    CHECK(host.io(1).send(command(nvme_cmd_read, 77), Bytes(512)).status == NVME_SC_INVALID_NS);
  }
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().error_count == 16);
  host.io(1).queue.reactor = nullptr;
}

TEST_CASE("host reads SMART: honest figures") {
  World world;
  Host host(world);
  host.bring_up();
  host.get_feature(0x7f);
  const auto smart = host.log_page(NVME_LOG_LID_SMART, 512).as<nvme_smart_log>();
  CHECK(smart.critical_warning == 0);
  CHECK(smart.avail_spare == 100);
  CHECK(smart.percent_used == 0);
  CHECK(smart.num_err_log_entries[0] == 1);
}

TEST_CASE("host asks for the SMART log of one namespace: Invalid Field, it is the controller's") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.admin.send(get_log_page(NVME_LOG_LID_SMART, 512, 0, false, 1), Bytes(512)).status ==
        NVME_SC_INVALID_FIELD);
  CHECK(host.admin.send(get_log_page(NVME_LOG_LID_SMART, 512, 0, false, 0), Bytes(512)).ok());
}

TEST_CASE("host reads the firmware slots: one, with the version of Identify") {
  World world;
  Host host(world);
  host.bring_up();
  const auto slots = host.log_page(NVME_LOG_LID_FW_SLOT, 512).as<nvme_firmware_slot>();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(slots.afi == 1);
  CHECK(std::memcmp(slots.frs[0], id.fr, sizeof(id.fr)) == 0);
}

TEST_CASE("host reads command effects: what is supported, and what changes data") {
  World world;
  Host host(world);
  host.bring_up();
  const auto log = host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).as<nvme_cmd_effects_log>();
  for (const int opcode : {0x02, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x18}) CHECK((log.acs[opcode] & 1) == 1);
  CHECK(log.acs[nvme_admin_format_nvm] == 0);
  CHECK(log.iocs[nvme_cmd_read] == NVME_CMD_EFFECTS_CSUPP);
  CHECK(log.iocs[nvme_cmd_write] == (NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC));
  CHECK(log.iocs[nvme_cmd_flush] == NVME_CMD_EFFECTS_CSUPP);
  CHECK(log.iocs[nvme_cmd_compare] == NVME_CMD_EFFECTS_CSUPP);
  CHECK(log.iocs[nvme_cmd_verify] == NVME_CMD_EFFECTS_CSUPP);
  CHECK(log.iocs[nvme_cmd_copy] == (NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC));
  CHECK(log.iocs[nvme_zns_cmd_mgmt_send] == 0);
}

TEST_CASE("host reads command effects of another command set: Invalid Field") {
  World world;
  Host host(world);
  host.bring_up();
  Sqe sqe = get_log_page(NVME_LOG_LID_CMD_EFFECTS, 4096);
  sqe.cdw14 = uint32_t{NVME_CSI_KV} << 24;
  CHECK(host.admin.send(sqe, Bytes(4096)).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host reads which features there are, and their scope") {
  World world;
  Host host(world);
  host.bring_up();
  const auto log = host.log_page(NVME_LOG_LID_FID_SUPPORTED_EFFECTS, 1024).as<nvme_fid_supported_effects_log>();
  CHECK(log.fid_support[NVME_FEAT_FID_KATO] == (1u | 2u << 20));
  CHECK(log.fid_support[NVME_FEAT_FID_ERR_RECOVERY] == (1u | 1u << 20));
  CHECK(log.fid_support[NVME_FEAT_FID_IRQ_COALESCE] == 0);
  CHECK(host.log_page(NVME_LOG_LID_MI_CMD_SUPPORTED_EFFECTS, 4096).data == Bytes(4096));
}

TEST_CASE("host reads a log page in pieces: offsets are honoured, and behind the end are zeroes") {
  World world;
  Host host(world);
  host.bring_up();
  const Bytes whole = host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).data;
  for (uint64_t offset = 0; offset < 4096; offset += 508) {
    const Answer piece = host.log_page(NVME_LOG_LID_CMD_EFFECTS, 508, offset);
    REQUIRE(piece.ok());
    for (size_t i = 0; i < 508; ++i) {
      const std::byte expected = offset + i < whole.size() ? whole[offset + i] : std::byte{0};
      REQUIRE(piece.data[i] == expected);
    }
  }
  CHECK(host.log_page(NVME_LOG_LID_CMD_EFFECTS, 8192).ok());
  CHECK(host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4, 4096).data == Bytes(4));
}

TEST_CASE("host reads up to each log's largest size, as nvme-cli does in pieces: what is not there now is zero") {
  World world;
  Host host(world);
  host.bring_up();
  struct Log {
    uint8_t lid;
    uint64_t largest;
  };
  for (const Log& log : {Log{NVME_LOG_LID_SUPPORTED_LOG_PAGES, 1024},
                         {NVME_LOG_LID_ERROR, 4096},
                         {NVME_LOG_LID_SMART, 512},
                         {NVME_LOG_LID_FW_SLOT, 512},
                         {NVME_LOG_LID_CHANGED_NS, 4096},
                         {NVME_LOG_LID_CMD_EFFECTS, 4096},
                         {NVME_LOG_LID_ANA, 16 + 128 * 32 + 1024 * 4},
                         {NVME_LOG_LID_FID_SUPPORTED_EFFECTS, 1024},
                         {NVME_LOG_LID_MI_CMD_SUPPORTED_EFFECTS, 4096},
                         {NVME_LOG_LID_RESERVATION, 64}}) {
    CAPTURE(int{log.lid});
    for (uint64_t offset = 0; offset < log.largest; offset += 4096) CHECK(host.log_page(log.lid, 4096, offset).ok());
    CHECK(host.log_page(log.lid, 64, log.largest).data == Bytes(64));
    CHECK(host.log_page(log.lid, 64, log.largest + 4).status == NVME_SC_INVALID_FIELD);
  }
  CHECK(host.log_page(NVME_LOG_LID_ANA, 4096, 4096).data == Bytes(4096));
}

TEST_CASE("host asks for a piece that begins behind the end or between dwords: Invalid Field at LPO") {
  World world;
  Host host(world);
  host.bring_up();
  for (const uint64_t offset : {uint64_t{4100}, uint64_t{2}, uint64_t{1} << 32, ~uint64_t{3}}) {
    CHECK(host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4, offset).status == NVME_SC_INVALID_FIELD);
    CHECK(host.controller().errors().entry(0).parm_error_location == 48);
  }
}

TEST_CASE("host asks for more than MDTS of a log page: Invalid Field at NUMD") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 65536).ok());
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 65540).status == NVME_SC_INVALID_FIELD);
  Sqe everything = get_log_page(NVME_LOG_LID_ERROR, 4);
  everything.cdw10 |= 0xffff0000;
  everything.cdw11 = 0xffff;
  CHECK(host.admin.send(everything, Bytes(4)).status == NVME_SC_INVALID_FIELD);
  CHECK(host.controller().errors().entry(0).parm_error_location == 42);
}

TEST_CASE(
    "host gives a log specific identifier, which these logs do not have, beside the length: it is no part of it") {
  World world;
  Host host(world);
  host.bring_up();
  Sqe sqe = get_log_page(NVME_LOG_LID_CMD_EFFECTS, 4096);
  sqe.cdw11 |= 0x1234u << 16;
  const Answer answer = host.admin.send(sqe, Bytes(4096));
  REQUIRE(answer.ok());
  CHECK(answer.data == host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).data);
}

TEST_CASE("host gives an index where an offset is expected: Invalid Field") {
  World world;
  Host host(world);
  host.bring_up();
  Sqe sqe = get_log_page(NVME_LOG_LID_ERROR, 64);
  sqe.cdw14 = 1u << 23;
  CHECK(host.admin.send(sqe, Bytes(64)).status == NVME_SC_INVALID_FIELD);
}

}  // namespace
}  // namespace nvmf::test
