// Discovery: NVMe Base 2.0, sections 3.1.2.3 and 5.16.1.23.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr size_t kEntryBytes = 1024;

nvmf_disc_log_entry entry_of(const Answer& log, size_t index) {
  return log.as<nvmf_disc_log_entry>(kEntryBytes * (index + 1));
}

uint64_t generation_of(const Answer& log) { return log.as<uint64_t>(0); }
uint64_t count_of(const Answer& log) { return log.as<uint64_t>(8); }

std::string padded(const char* text, size_t size) {
  std::string field(text);
  field.resize(size, ' ');
  return field;
}

TEST_CASE("host reads the discovery log: itself on every port, then each subsystem on each of its ports") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer log = host.log_page(NVME_LOG_LID_DISCOVER, 16 * kEntryBytes);
  REQUIRE(log.ok());
  REQUIRE(count_of(log) == 5);
  CHECK(log.as<uint16_t>(16) == 0);  // RECFMT

  for (const size_t i : {0, 1}) {
    const nvmf_disc_log_entry self = entry_of(log, i);
    CHECK(self.subtype == NVME_NQN_CURR);
    CHECK(self.portid == i + 1);
    CHECK(std::string(self.subnqn) == nvme::kDiscoveryNqn);
    CHECK(self.eflags == (NVMF_DISC_EFLAGS_EPCSD | NVMF_DISC_EFLAGS_DUPRETINFO));
  }
  const nvmf_disc_log_entry disks = entry_of(log, 2);
  CHECK(disks.trtype == NVMF_TRTYPE_RDMA);
  CHECK(disks.adrfam == NVMF_ADDR_FAMILY_IP4);
  CHECK(disks.subtype == NVME_NQN_NVME);
  CHECK(disks.treq == (NVMF_TREQ_NOT_SPECIFIED | NVMF_TREQ_DISABLE_SQFLOW));
  CHECK(disks.portid == 1);
  CHECK(disks.cntlid == 0xffff);
  CHECK(disks.asqsz == 32);
  CHECK(disks.eflags == 0);
  CHECK(std::string(disks.subnqn) == World::kNqn);
  CHECK(std::string(disks.traddr, sizeof(disks.traddr)) == padded("192.0.2.1", 256));
  CHECK(std::string(disks.trsvcid, sizeof(disks.trsvcid)) == padded("4420", 32));
  CHECK(disks.tsas.rdma.qptype == NVMF_RDMA_QPTYPE_CONNECTED);
  CHECK(disks.tsas.rdma.prtype == NVMF_RDMA_PRTYPE_NOT_SPECIFIED);
  CHECK(disks.tsas.rdma.cms == NVMF_RDMA_CMS_RDMA_CM);
  CHECK(disks.tsas.rdma.pkey == 0);

  const nvmf_disc_log_entry other_port = entry_of(log, 3);
  CHECK(other_port.adrfam == NVMF_ADDR_FAMILY_IP6);
  CHECK(other_port.portid == 2);
  CHECK(std::string(other_port.traddr, 12) == "2001:db8::1 ");
  CHECK(std::string(other_port.trsvcid, 5) == "4421 ");
  CHECK(std::string(entry_of(log, 4).subnqn) == World::kOtherNqn);
  CHECK(entry_of(log, 4).portid == 2);
}

TEST_CASE("host is shown only what it may connect to") {
  World world;
  Host stranger(world, "nqn.2024-01.org.example:stranger");
  stranger.bring_up(0, nvme::kDiscoveryNqn);
  const Answer log = stranger.log_page(NVME_LOG_LID_DISCOVER, 16 * kEntryBytes);
  CHECK(count_of(log) == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(std::string(entry_of(log, i).subnqn) != World::kOtherNqn);
}

TEST_CASE("host reads the discovery log in pieces: the same bytes, one generation") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer whole = host.log_page(NVME_LOG_LID_DISCOVER, 6 * kEntryBytes, 0, true);
  for (uint64_t offset = 0; offset < 6 * kEntryBytes; offset += 768) {
    const Answer piece = host.log_page(NVME_LOG_LID_DISCOVER, 768, offset, true);
    REQUIRE(piece.ok());
    CHECK(std::equal(piece.data.begin(), piece.data.end(), whole.data.begin() + static_cast<long>(offset)));
  }
  CHECK(host.log_page(NVME_LOG_LID_DISCOVER, 16).as<uint64_t>() == generation_of(whole));
  CHECK(host.log_page(NVME_LOG_LID_DISCOVER, 1024, 6 * kEntryBytes).data == Bytes(1024));
  CHECK(host.log_page(NVME_LOG_LID_DISCOVER, 1024, 6 * kEntryBytes + 4).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("what discovery shows changes: a new generation") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const uint64_t before = generation_of(host.log_page(NVME_LOG_LID_DISCOVER, 1024));
  world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:new",
                              .serial = "SN-0003",
                              .model = "Example disks",
                              .ports = {1},
                              .allow_any_host = true,
                              .allowed_hosts = {}});
  const Answer after = host.log_page(NVME_LOG_LID_DISCOVER, 1024);
  CHECK(generation_of(after) != before);
  CHECK(count_of(after) == 6);
}

TEST_CASE("a discovery controller refuses what is an I/O controller's: Invalid Opcode, Invalid Log Page") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(host.admin.send(command(nvme_admin_abort_cmd)).status == NVME_SC_INVALID_OPCODE);
  CHECK(host.admin.send(command(nvme_admin_format_nvm)).status == NVME_SC_INVALID_OPCODE);
  CHECK(host.log_page(NVME_LOG_LID_SMART, 512).status == specific(NVME_SC_INVALID_LOG_PAGE));
  const auto pages = host.log_page(NVME_LOG_LID_SUPPORTED_LOG_PAGES, 1024).as<nvme_supported_log_pages>();
  CHECK(pages.lid_support[NVME_LOG_LID_DISCOVER] == 1);
  CHECK(pages.lid_support[NVME_LOG_LID_SMART] == 0);
}

}  // namespace
}  // namespace nvmf::test
