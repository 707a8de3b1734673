#include <linux/nvme_ioctl.h>

#include <cstring>

#include "target/backend/nvme_channel.h"
#include "target/backend/nvme_identify.h"
#include "target/backend/passthrough_limits.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::IoKind;
using nvmf::core::MemoryKind;

namespace {

// A started engine whose queued entries can be looked at before they are submitted: to /dev/null, which takes
// IORING_OP_URING_CMD and says yes.
struct Passthrough {
  UringEngine engine;
  int null = open("/dev/null", O_RDWR);
  NvmeChannel channel;

  explicit Passthrough(const NvmeGeometry& geometry) : channel(engine, null, geometry) { engine.start(); }
  ~Passthrough() { close(null); }
};

NvmeGeometry geometry() {
  NvmeGeometry g;
  g.nsid = 7;
  g.max_contiguous_bytes = 64 << 10;
  g.max_scattered_bytes = 16 << 10;
  g.max_write_zeroes_blocks = 1024;
  g.max_ranges = 64;
  return g;
}

bool null_takes_commands() {
  if (without_io_uring()) return false;
  Passthrough p(geometry());
  TestIo io;
  io.kind = IoKind::Flush;
  p.channel.submit(io);
  p.engine.poll();
  return io.times == 1 && io.status.ok();
}

bool without_stand_in() {
  static const bool missing = !null_takes_commands();
  if (missing) std::printf("SKIPPED: NVMe passthrough without an SSD: /dev/null takes no commands in this kernel\n");
  return missing;
}

// How many commands of `io` the kernel got.
unsigned commands_for(Passthrough& p, TestIo& io) {
  p.channel.submit(io);
  unsigned completions = 0;
  while (io.times == 0) completions += p.engine.poll();
  CHECK(io.times == 1);
  CHECK(io.status.ok());
  return completions;
}

NvmeIdentity ssd() {
  NvmeIdentity identity;
  std::memcpy(identity.controller.sn, "S123                ", 20);
  std::memcpy(identity.controller.mn, "Model X                                 ", 40);
  identity.controller.oncs = NVME_CTRL_ONCS_DSM | NVME_CTRL_ONCS_WRITE_ZEROES;
  identity.controller.vwc = 7;
  identity.controller.mdts = 5;
  identity.space.nsze = 1000;
  identity.space.flbas = 1;
  identity.space.lbaf[0].ds = 9;
  identity.space.lbaf[1].ds = 12;
  identity.space.noiob = 256;
  identity.space.eui64[7] = 9;
  return identity;
}

void add_descriptor(NvmeIdentity& identity, size_t& at, uint8_t type, std::vector<uint8_t> value) {
  const uint8_t header[4] = {type, static_cast<uint8_t>(value.size()), 0, 0};
  std::memcpy(&identity.descriptors[at], header, 4);
  std::memcpy(&identity.descriptors[at + 4], value.data(), value.size());
  at += 4 + value.size();
}

}  // namespace

TEST_SUITE_BEGIN("passthrough" * doctest::skip(without_stand_in()));

TEST_CASE("A transfer within the device's limit is one command, a longer one is split") {
  Passthrough p(geometry());
  Pages data(1 << 20);
  struct Case {
    uint32_t bytes;
    MemoryKind kind;
    unsigned commands;
  };
  for (const Case& c : {Case{512, MemoryKind::Dram, 1}, Case{16 << 10, MemoryKind::Dram, 1},
                        Case{(16 << 10) + 512, MemoryKind::Dram, 2}, Case{1 << 20, MemoryKind::Dram, 64},
                        Case{64 << 10, MemoryKind::Cmb, 1}, Case{1 << 20, MemoryKind::Cmb, 16}}) {
    for (const IoKind kind : {IoKind::Read, IoKind::Write}) {
      CAPTURE(c.bytes);
      TestIo io = transfer(kind, 12, c.bytes / 512, data.begin(), 512);
      io.data.kind = c.kind;
      CHECK(commands_for(p, io) == c.commands);
    }
  }
}

TEST_CASE("Write Zeroes and Deallocate are split to what the device takes at once") {
  Passthrough p(geometry());
  TestIo zeroes;
  zeroes.kind = IoKind::WriteZeroes;
  zeroes.blocks = 65536;
  CHECK(commands_for(p, zeroes) == 64);

  std::vector<nvme_dsm_range> ranges(256);
  TestIo deallocate;
  deallocate.kind = IoKind::Deallocate;
  deallocate.data.address = reinterpret_cast<std::byte*>(ranges.data());
  deallocate.data.length_bytes = 4096;
  deallocate.range_count = 256;
  CHECK(commands_for(p, deallocate) == 4);
  TestIo few = deallocate;
  few.times = 0;
  few.range_count = 64;
  CHECK(commands_for(p, few) == 1);
}

TEST_CASE("Compare, Verify and Write Uncorrectable are split to what the device takes at once, Copy is not") {
  NvmeGeometry g = geometry();
  g.max_verify_blocks = 128;
  g.max_write_uncorrectable_blocks = 256;
  g.max_cmb_passthrough_bytes = 4096;
  Passthrough p(g);
  Pages data(64 << 10);
  TestIo compare = transfer(IoKind::Compare, 12, 128, data.begin(), 512);
  CHECK(commands_for(p, compare) == 4);
  TestIo of_cmb = transfer(IoKind::Compare, 12, 16, data.begin(), 512);
  of_cmb.data.kind = MemoryKind::Cmb;
  CHECK(commands_for(p, of_cmb) == 2);

  TestIo verify;
  verify.kind = IoKind::Verify;
  verify.blocks = 1000;
  CHECK(commands_for(p, verify) == 8);
  TestIo mark;
  mark.kind = IoKind::WriteUncorrectable;
  mark.blocks = 1000;
  CHECK(commands_for(p, mark) == 4);

  TestIo copy;
  copy.kind = IoKind::Copy;
  copy.data.address = data.begin();
  copy.data.length_bytes = 128 * 32;
  copy.range_count = 128;
  CHECK(commands_for(p, copy) == 1);
}

TEST_CASE("A flush of an SSD without a volatile write cache is done at once") {
  NvmeGeometry g = geometry();
  g.flush_needed = false;
  Passthrough p(g);
  TestIo io;
  io.kind = IoKind::Flush;
  p.channel.submit(io);
  CHECK(io.times == 1);
  CHECK(p.engine.poll() == 0);
}

TEST_SUITE_END();

TEST_CASE("An SSD's Identify data as what the target needs of it") {
  NvmeIdentity identity = ssd();
  size_t at = 0;
  add_descriptor(identity, at, NVME_NIDT_CSI, {0});
  add_descriptor(identity, at, NVME_NIDT_UUID, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  REQUIRE(!refusal(identity));
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.lba_shift == 12);
  CHECK(info.block_count == 1000);
  CHECK(info.supports_deallocate);
  CHECK(info.supports_write_zeroes);
  CHECK(info.volatile_write_cache);
  CHECK(info.optimal_io_boundary_blocks == 256);
  CHECK(info.serial == "S123");
  CHECK(info.model == "Model X");
  CHECK(info.uuid[15] == 16);
  CHECK(info.eui64[7] == 9);
  CHECK(max_transfer_bytes(identity.controller) == 128u << 10);
  identity.controller.mdts = 0;
  CHECK(!max_transfer_bytes(identity.controller));
}

TEST_CASE("What an SSD says of the layout of I/O") {
  NvmeIdentity identity = ssd();
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.hints == nvmf::core::IoHints{});

  identity.controller.awun = 15;
  identity.controller.awupf = 3;
  identity.space.nawun = 63;  // without NSFEAT's bit they mean nothing
  identity.space.npwg = 7;
  identity.space.dlfeat = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES | NVME_NS_DLFEAT_CRC_GUARD;
  nvmf::core::IoHints expected;
  expected.atomic_write_blocks = 16;
  expected.atomic_write_power_fail_blocks = 4;
  expected.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  describe(identity, info);
  CHECK(info.hints == expected);

  identity.space.nsfeat = NVME_NS_FEAT_NATOMIC;
  identity.space.nabsn = identity.space.nabspf = 255;
  identity.space.nabo = 2;
  expected.atomic_write_blocks = 64;
  expected.atomic_boundary_blocks = expected.atomic_boundary_power_fail_blocks = 256;
  expected.first_atomic_boundary_lba = 2;
  describe(identity, info);
  CHECK_MESSAGE(info.hints == expected, "AWUPF holds where NAWUPF is 0");

  identity.space.nsfeat |= NVME_NS_FEAT_IO_OPT;
  identity.space.npwa = 3;
  identity.space.npdg = 15;
  identity.space.npda = 1;
  identity.space.nows = 31;
  expected.write_granularity_blocks = 8;
  expected.write_alignment_blocks = 4;
  expected.deallocate_granularity_blocks = 16;
  expected.deallocate_alignment_blocks = 2;
  expected.optimal_write_blocks = 32;
  describe(identity, info);
  CHECK(info.hints == expected);

  limit_atomic_writes(info.hints, 32 << 10, 12);
  CHECK(info.hints.atomic_write_blocks == 8);
  CHECK(info.hints.atomic_write_power_fail_blocks == 4);
  limit_atomic_writes(info.hints, 512, 12);
  CHECK(info.hints.atomic_write_blocks == 1);
}

TEST_CASE("What an SSD carries out itself: Copy only with its format and its limits") {
  namespace core = nvmf::core;
  NvmeIdentity identity = ssd();
  identity.controller.oncs = NVME_CTRL_ONCS_COMPARE | NVME_CTRL_ONCS_VERIFY | NVME_CTRL_ONCS_COPY;
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.own_commands == (core::kOwnCompare | core::kOwnVerify));
  identity.controller.ocfs = 1;
  identity.space.mssrl = 128;
  identity.space.mcl = 1024;
  identity.space.msrc = 255;
  describe(identity, info);
  CHECK(info.own_commands == (core::kOwnCompare | core::kOwnVerify | core::kOwnCopy));
  CHECK(info.copy.mssrl == 128);
  CHECK(info.copy.mcl == 1024);
  CHECK(info.copy.msrc_z == 127);
  identity.controller.oncs = NVME_CTRL_ONCS_WRITE_UNCORRECTABLE;
  describe(identity, info);
  CHECK(info.own_commands == core::kOwnWriteUncorrectable);

  CHECK(size_limit_blocks(0, 9) == 65536);
  CHECK(size_limit_blocks(7, 9) == 1024);
  CHECK(size_limit_blocks(7, 12) == 128);
  CHECK(size_limit_blocks(40, 9) == 65536);
}

TEST_CASE("Namespaces that cannot be served are refused in words") {
  NvmeIdentity identity = ssd();
  const auto check_refused = [&identity](const char* part) {
    const auto reason = refusal(identity);
    REQUIRE(reason);
    CHECK(reason->find(part) != std::string::npos);
  };
  identity.space.nlbaf = 1;
  SUBCASE("metadata") {
    identity.space.lbaf[1].ms = 8;
    check_refused("LBA format is 1 (4096 bytes with 8 bytes of metadata)");
    check_refused("nvme format DEVICE --lbaf=0 --pi=0");
  }
  SUBCASE("protection information") {
    identity.space.lbaf[1].ms = 8;
    identity.space.dps = 1 | NVME_NS_DPS_PI_FIRST;
    check_refused("with 8 bytes of metadata, protection information type 1)");
  }
  SUBCASE("block size") {
    identity.space.lbaf[1].ds = 13;
    check_refused("LBA format is 1 (8192 bytes)");
  }
  SUBCASE("no format that could be served") {
    identity.space.lbaf[0].ms = 8;
    identity.space.lbaf[1].ms = 8;
    check_refused("no supported format");
  }
  SUBCASE("not attached") {
    identity.space.nsze = 0;
    check_refused("attach");
  }
  SUBCASE("key-value") {
    size_t at = 0;
    add_descriptor(identity, at, NVME_NIDT_CSI, {NVME_CSI_KV});
    check_refused("command set 1 (key-value, for instance)");
  }
  SUBCASE("zoned, and the SSD does not identify the zones") {
    size_t at = 0;
    add_descriptor(identity, at, NVME_NIDT_CSI, {NVME_CSI_ZNS});
    check_refused("does not say how large its zones are");
    identity.zones.emplace();
    check_refused("does not say how large its zones are");
  }
}

TEST_CASE("The zones of a zoned namespace, of the LBA format that it has; and the longest Zone Append") {
  NvmeIdentity identity = ssd();
  size_t at = 0;
  add_descriptor(identity, at, NVME_NIDT_CSI, {NVME_CSI_ZNS});
  nvme_zns_id_ns zones{};
  zones.zoc = 3;
  zones.ozcs = 3;  // reads across zones, and Zone Random Write Areas, which are not passed on
  zones.mar = 13;
  zones.mor = UINT32_MAX;
  zones.rrl = 1;
  zones.rrl3 = 2;
  zones.frl1 = 3;
  zones.lbafe[0].zsze = 77;
  zones.lbafe[1].zsze = 100;
  zones.lbafe[1].zdes = 2;
  identity.zones = zones;
  CHECK(!refusal(identity));
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.zones == nvmf::core::Zones{.zone_blocks = 100,
                                        .extension_bytes = 128,
                                        .max_active = 14,
                                        .max_open = 0,
                                        .operation_characteristics = 3,
                                        .reads_across_zones = true,
                                        .reset_recommended_s = {1, 0, 0, 2},
                                        .finish_recommended_s = {0, 3, 0, 0}});
  CHECK(max_zone_append_bytes(identity) == 4096u << 5);  // MDTS
  identity.zasl = 3;
  CHECK(max_zone_append_bytes(identity) == 4096u << 3);
  identity.zasl = 0;
  identity.controller.mdts = 0;
  CHECK(!max_zone_append_bytes(identity));
}

TEST_CASE("A namespace of the NVM command set has no zones") {
  DeviceInfo info;
  describe(ssd(), info);
  CHECK(info.zones == nvmf::core::Zones{});
}

TEST_CASE("A descriptor list that makes no sense is not read beyond its end") {
  NvmeIdentity identity = ssd();
  for (auto& byte : identity.descriptors) byte = std::byte{0xff};
  CHECK(!refusal(identity));
  for (auto& byte : identity.descriptors) byte = std::byte{4};
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.uuid == std::array<uint8_t, 16>{});
}

TEST_CASE("A format index above 15 takes its upper bits from further left") {
  NvmeIdentity identity = ssd();
  identity.space.flbas = 0x20 | 2;
  identity.space.lbaf[18].ds = 12;
  DeviceInfo info;
  describe(identity, info);
  CHECK(info.lba_shift == 12);
}

TEST_CASE("How much one command may carry") {
  const auto check_limits = [](const TransferLimits& limits, uint32_t contiguous, uint32_t scattered) {
    CHECK(limits.contiguous_bytes == contiguous);
    CHECK(limits.scattered_bytes == scattered);
  };
  // A buffer that starts inside a page touches one more than it is long.
  check_limits(transfer_limits({512, 128}, 512u << 10), 512 << 10, 127 * 4096);
  check_limits(transfer_limits({128, 128}, std::nullopt), 128 << 10, 128 << 10);
  check_limits(transfer_limits({4096, 128}, 128u << 10), 128 << 10, 128 << 10);
  check_limits(transfer_limits({}, std::nullopt), 128 << 10, 31 * 4096);
  check_limits(transfer_limits({2, 1}, std::nullopt), 4096, 4096);
}
