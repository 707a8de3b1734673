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

std::vector<std::string> addresses_in(const Answer& log) {
  std::vector<std::string> addresses;
  for (size_t i = 0; i < count_of(log); ++i) {
    const nvmf_disc_log_entry entry = entry_of(log, i);
    const std::string field(entry.traddr, sizeof(entry.traddr));
    addresses.push_back(std::to_string(entry.portid) + ' ' + field.substr(0, field.find(' ')));
  }
  return addresses;
}

TEST_CASE("a port on all addresses: host is shown the one by which it came, or all, never the wildcard") {
  using Addresses = std::vector<std::string>;
  World world;
  world.target.add_port({.id = 7, .address = "0.0.0.0", .service = 4422, .wildcard = true});
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn, 10000);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31);
  const auto shown = [&] { return addresses_in(host.log_page(NVME_LOG_LID_DISCOVER, 16 * kEntryBytes)); };
  const Addresses others = {"1 192.0.2.1", "2 2001:db8::1", "1 192.0.2.1", "2 2001:db8::1", "2 2001:db8::1"};
  CHECK(shown() == others);  // the port is not heard anywhere

  const uint64_t before = generation_of(host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes));
  const size_t event = host.await_event();
  world.target.set_heard(7, {"192.0.2.8", "192.0.2.9"});
  CHECK(generation_of(host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes)) == before + 1);
  CHECK(host.admin.answered(event));
  Addresses all = others;
  all.insert(all.begin() + 2, {"7 192.0.2.8", "7 192.0.2.9"});
  CHECK(shown() == all);

  world.target.set_heard(7, {"192.0.2.8", "192.0.2.1"});
  Addresses own = others;
  own.insert(own.begin() + 2, "7 192.0.2.1");  // by which the host came
  CHECK(shown() == own);

  const uint64_t now = generation_of(host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes));
  world.target.set_heard(7, {"192.0.2.8", "192.0.2.1"});
  CHECK(generation_of(host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes)) == now);
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

TEST_CASE("the discovery log becomes shorter while a host reads it in pieces: zeroes behind it, another generation") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const uint64_t before = generation_of(host.log_page(NVME_LOG_LID_DISCOVER, 1024, 0, true));
  world.target.remove_subsystem(world.subsystem);
  const Answer piece = host.log_page(NVME_LOG_LID_DISCOVER, 1024, 6 * kEntryBytes, true);
  CHECK(piece.ok());
  CHECK(piece.data == Bytes(1024));
  CHECK(generation_of(host.log_page(NVME_LOG_LID_DISCOVER, 1024)) != before);
  CHECK(host.log_page(NVME_LOG_LID_DISCOVER, 1024, 6 * kEntryBytes + 4).status == NVME_SC_INVALID_FIELD);
  Host later(world, World::kHostNqn, 2);
  later.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(later.log_page(NVME_LOG_LID_DISCOVER, 1024, 6 * kEntryBytes).status == NVME_SC_INVALID_FIELD);
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
  CHECK(pages.lid_support[NVME_LOG_LID_DISCOVER] == (1 | (NVMF_LOG_DISC_LID_PLEOS | NVMF_LOG_DISC_LID_EXTDLPES) << 16));
  CHECK(pages.lid_support[NVME_LOG_LID_SMART] == 0);
}

constexpr char kOwnNqn[] = "nqn.2024-01.org.example:discovery";
constexpr char kElsewhere[] = "nqn.2024-01.org.example:discovery-elsewhere";

Answer read_log(Host& host, uint8_t lsp = 0) {
  Sqe sqe = get_log_page(NVME_LOG_LID_DISCOVER, 16 * kEntryBytes);
  sqe.cdw10 |= uint32_t{lsp} << 8;
  return host.admin.send(sqe, Bytes(16 * kEntryBytes));
}

TEST_CASE("target refers hosts elsewhere: they hear of it, and find an entry for the discovery service there") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn, 10000);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31);
  const size_t awaited = host.await_event();
  const uint64_t before = generation_of(read_log(host));
  world.target.add_referral(
      {.port = {.id = 7, .address = "2001:db8::7", .service = 8009, .ipv6 = true}, .nqn = kElsewhere});
  CHECK(host.admin.answered(awaited));
  const Answer log = read_log(host);
  CHECK(generation_of(log) != before);
  REQUIRE(count_of(log) == 6);
  const nvmf_disc_log_entry referral = entry_of(log, 5);
  CHECK(referral.subtype == NVME_NQN_DISC);
  CHECK(referral.trtype == NVMF_TRTYPE_RDMA);
  CHECK(referral.adrfam == NVMF_ADDR_FAMILY_IP6);
  CHECK(referral.portid == 7);
  CHECK(referral.eflags == 0);
  CHECK(std::string(referral.subnqn) == kElsewhere);
  CHECK(std::string(referral.traddr, sizeof(referral.traddr)) == padded("2001:db8::7", 256));
  CHECK(std::string(referral.trsvcid, sizeof(referral.trsvcid)) == padded("8009", 32));
}

TEST_CASE("the discovery subsystem has an NQN of its own: it answers to both, and tells its own") {
  core::TargetOptions options = World::default_options();
  options.discovery_nqn = kOwnNqn;
  World world(options);
  for (const char* nqn : {nvme::kDiscoveryNqn, kOwnNqn}) {
    Host host(world);
    host.bring_up(0, nqn);
    const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
    CHECK(std::string(id.subnqn) == kOwnNqn);
    CHECK(id.cntrltype == NVME_CTRL_CNTRLTYPE_DISCOVERY);
    const nvmf_disc_log_entry self = entry_of(read_log(host), 0);
    CHECK(self.subtype == NVME_NQN_CURR);
    CHECK(std::string(self.subnqn) == kOwnNqn);
  }
  CHECK_THROWS(
      world.target.add_subsystem({.nqn = kOwnNqn, .serial = "1", .model = "m", .ports = {}, .allowed_hosts = {}}));
  CHECK_THROWS(world.target.add_subsystem(
      {.nqn = nvme::kDiscoveryNqn, .serial = "1", .model = "m", .ports = {}, .allowed_hosts = {}}));
}

TEST_CASE("host wants entries of its own port only: no others, and no referrals") {
  World world;
  world.target.add_referral({.port = {.id = 7, .address = "192.0.2.7", .service = 4420}, .nqn = kElsewhere});
  Host host(world, World::kHostNqn, 1);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer log = read_log(host, NVMF_LOG_DISC_LSP_PLEO);
  REQUIRE(count_of(log) == 2);
  CHECK(entry_of(log, 0).subtype == NVME_NQN_CURR);
  CHECK(entry_of(log, 1).subtype == NVME_NQN_NVME);
  for (const size_t i : {0, 1}) CHECK(entry_of(log, i).portid == 1);
  CHECK(generation_of(log) == generation_of(read_log(host)));
}

// Of the header's fields that came with them.
uint8_t flags_of(const Answer& log) { return log.as<uint8_t>(18); }
uint32_t length_of(const Answer& log) { return log.as<uint32_t>(20); }

TEST_CASE("host wants extended entries: each tells its length, and that it has no attributes") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  constexpr size_t kExtendedBytes = sizeof(nvmf_ext_die);
  const Answer plain = read_log(host);
  const Answer log = read_log(host, NVMF_LOG_DISC_LSP_EXTDLPE);
  REQUIRE(log.ok());
  REQUIRE(count_of(log) == count_of(plain));
  CHECK(flags_of(plain) == 0);
  CHECK(length_of(plain) == 0);
  CHECK(flags_of(log) == 1);
  CHECK(length_of(log) == kEntryBytes + count_of(log) * kExtendedBytes);
  for (size_t i = 0; i < count_of(log); ++i) {
    const size_t offset = kEntryBytes + i * kExtendedBytes;
    CHECK(std::memcmp(log.data.data() + offset, plain.data.data() + kEntryBytes * (i + 1), kEntryBytes) == 0);
    CHECK(log.as<uint32_t>(offset + 1024) == kExtendedBytes);  // TEL
    CHECK(log.as<uint16_t>(offset + 1028) == 0);               // NUMEXAT
  }
}

TEST_CASE("operator labels a subsystem: hosts hear of it, and find the label in extended entries") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31);
  const size_t awaited = host.await_event();
  world.subsystem.set_admin_label("Racks");
  REQUIRE(host.admin.answered(awaited));
  const size_t again = host.await_event();
  world.subsystem.set_admin_label("Racks");
  const Answer log = read_log(host, NVMF_LOG_DISC_LSP_EXTDLPE);
  CHECK_FALSE(host.admin.answered(again));
  size_t labelled = 0;
  size_t offset = kEntryBytes;
  for (size_t i = 0; i < count_of(log); ++i, offset += log.as<uint32_t>(offset + 1024)) {
    const auto entry = log.as<nvmf_disc_log_entry>(offset);
    const bool has_label = std::string(entry.subnqn) == World::kNqn;
    CHECK(log.as<uint16_t>(offset + 1028) == (has_label ? 1 : 0));
    CHECK(log.as<uint32_t>(offset + 1024) == sizeof(nvmf_ext_die) + (has_label ? 12 : 0));
    if (!has_label) continue;
    ++labelled;
    CHECK(log.as<uint16_t>(offset + 1032) == 2);  // EXATTYPE: Admin label ASCII
    CHECK(log.as<uint16_t>(offset + 1034) == 8);  // EXATLEN
    CHECK(std::memcmp(log.data.data() + offset + 1036, "Racks\0\0\0", 8) == 0);
  }
  CHECK(labelled == 2);
  CHECK(length_of(log) == offset);
  CHECK_THROWS(world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:c",
                                           .serial = "S",
                                           .model = "M",
                                           .ports = {},
                                           .allow_any_host = true,
                                           .allowed_hosts = {},
                                           .admin_label = std::string(257, 'l')}));
}

TEST_CASE("host wants extended entries of its own port only: both are told") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer log = read_log(host, NVMF_LOG_DISC_LSP_EXTDLPE | NVMF_LOG_DISC_LSP_PLEO);
  CHECK(count_of(log) == 2);
  CHECK(flags_of(log) == 3);
  CHECK(length_of(log) == kEntryBytes + 2 * sizeof(nvmf_ext_die));
  CHECK(flags_of(read_log(host, NVMF_LOG_DISC_LSP_PLEO)) == 2);
}

TEST_CASE("host wants the entries of all hosts: Invalid Field, at the bit") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer answer = read_log(host, NVMF_LOG_DISC_LSP_ALLSUBE);
  CHECK(answer.status == NVME_SC_INVALID_FIELD);
  CHECK(answer.do_not_retry);
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().parm_error_location == (41 | 2 << 8));
}

TEST_CASE("the log changes while a host reads it in pieces: its header tells, read again at the end") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Answer header = host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes);
  host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes, kEntryBytes);
  world.target.add_port({.id = 9, .address = "192.0.2.9", .service = 4420});
  const Answer piece = host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes, 2 * kEntryBytes);
  CHECK(piece.ok());
  CHECK(generation_of(host.log_page(NVME_LOG_LID_DISCOVER, kEntryBytes)) != generation_of(header));
}

}  // namespace
}  // namespace nvmf::test
