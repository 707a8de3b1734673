// Compare, Verify, Copy and Write Uncorrectable: NVM Command Set 1.0, sections 3.2.1, 3.2.2, 3.2.5 and 3.2.7.
#include <doctest/doctest.h>

#include <algorithm>

#include "target/core/datapath/scratch.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::IoKind;

constexpr int kCompareFailure = NVME_SCT_MEDIA << 8 | NVME_SC_COMPARE_FAILED;
const int kSizeLimitExceeded = specific(NVME_SC_CMD_SIZE_LIMIT_EXCEEDED);
const int kOverlappingIoRange = specific(0x87);

Bytes pattern(size_t length_bytes, unsigned seed) {
  Bytes bytes(length_bytes);
  for (size_t i = 0; i < length_bytes; ++i) bytes[i] = static_cast<std::byte>((i >> 9) * 37 + i * 11 + seed);
  return bytes;
}

nvme_copy_range range(uint64_t slba, uint16_t nlb_z) {
  nvme_copy_range one{};
  one.slba = slba;
  one.nlb = nlb_z;
  return one;
}

// A host with one I/O queue; namespace 1 keeps its data.
struct Disks {
  World world;
  Host host{world};
  Disks() {
    host.bring_up(1);
    world.disk_1.blocks = pattern(World::kBlocks * 512, 1);
  }

  Sqe on_range(uint8_t opcode, uint64_t slba, uint32_t blocks, uint32_t flags = 0, uint32_t nsid = 1) {
    return command(opcode, nsid, static_cast<uint32_t>(slba), static_cast<uint32_t>(slba >> 32), (blocks - 1) | flags);
  }
  Answer send(const Sqe& sqe, Bytes memory = {}) { return host.io(1).send(sqe, std::move(memory)); }
  Answer copy(uint64_t sdlba, const std::vector<nvme_copy_range>& ranges, uint32_t flags = 0, uint32_t nsid = 1) {
    Bytes memory(ranges.size() * sizeof(nvme_copy_range));
    std::memcpy(memory.data(), ranges.data(), memory.size());
    const auto last = static_cast<uint32_t>(ranges.size() - 1);
    return send(command(nvme_cmd_copy, nsid, static_cast<uint32_t>(sdlba), 0, last | flags), memory);
  }
  Bytes on_disk(uint64_t slba, uint64_t blocks) {
    const auto begin = world.disk_1.blocks.begin() + static_cast<ptrdiff_t>(slba * 512);
    return {begin, begin + static_cast<ptrdiff_t>(blocks * 512)};
  }
  std::vector<Disk::Seen>& seen() { return world.disk_1.seen; }
  uint16_t location() { return host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().parm_error_location; }
};

TEST_CASE("host compares: equal blocks succeed, one other byte anywhere is a Compare Failure") {
  Disks d;
  CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 16), d.on_disk(3, 16)).ok());
  CHECK(d.seen().back().kind == IoKind::Read);
  CHECK(d.seen().back().slba == 3);
  CHECK(d.seen().back().blocks == 16);
  for (const size_t at : {size_t{0}, size_t{511}, size_t{512}, size_t{8191}}) {
    Bytes data = d.on_disk(3, 16);
    data[at] ^= std::byte{1};
    CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 16), data).status == kCompareFailure);
  }
  CHECK(d.on_disk(0, World::kBlocks) == pattern(World::kBlocks * 512, 1));
}

TEST_CASE("host compares with the data in its capsule, at an odd offset") {
  Disks d;
  Sqe sqe = d.on_range(nvme_cmd_compare, 7, 1);
  sqe.sgl1.address = 3;
  sqe.sgl1.specific[1] = 2;  // 512 bytes
  sqe.sgl1.identifier = 0x01;
  Bytes capsule(3);
  const Bytes block = d.on_disk(7, 1);
  capsule.insert(capsule.end(), block.begin(), block.end());
  CHECK(d.host.io(1).send(sqe, {}, capsule).ok());
  capsule[3] ^= std::byte{0x80};
  CHECK(d.host.io(1).send(sqe, {}, capsule).status == kCompareFailure);
}

TEST_CASE("host compares or verifies, and the disk cannot read: its status is the command's") {
  Disks d;
  d.world.disk_1.answer = core::media_error(NVME_SC_READ_ERROR);
  const int read_error = code(core::media_error(NVME_SC_READ_ERROR));
  CHECK(d.send(d.on_range(nvme_cmd_compare, 0, 1), d.on_disk(0, 1)).status == read_error);
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 1)).status == read_error);
}

TEST_CASE("host verifies: the disk reads, nothing goes to the host") {
  Disks d;
  CHECK(d.send(d.on_range(nvme_cmd_verify, World::kBlocks - 128, 128)).ok());
  CHECK(d.seen().size() == 1);
  CHECK(d.seen().back().kind == IoKind::Read);
  CHECK(d.seen().back().blocks == 128);
}

TEST_CASE("host verifies more than VSL recommends: the disk reads piece after piece, and the first failure ends it") {
  Disks d;  // 64 KiB
  const auto limits = d.host.identify(NVME_IDENTIFY_CNS_CSI_CTRL).as<nvme_id_ctrl_nvm>();
  CHECK(limits.vsl == 4);
  d.world.disk_1.hold = true;
  const size_t number = d.host.io(1).post(d.on_range(nvme_cmd_verify, 700, 300));
  CHECK(d.seen().size() == 1);
  d.world.disk_1.complete_all();
  SUBCASE("all can be read") {
    d.world.disk_1.complete_all();
    CHECK_FALSE(d.host.io(1).answered(number));
    d.world.disk_1.complete_all();
    CHECK(d.host.io(1).take(number).ok());
    REQUIRE(d.seen().size() == 3);
    CHECK(d.seen()[0].slba == 700);
    CHECK(d.seen()[1].slba == 828);
    CHECK(d.seen()[2].slba == 956);
    CHECK(d.seen()[0].blocks == 128);
    CHECK(d.seen()[2].blocks == 44);
  }
  SUBCASE("the second piece cannot") {
    d.world.disk_1.answer = core::media_error(NVME_SC_READ_ERROR);
    d.world.disk_1.complete_all();
    CHECK(d.host.io(1).take(number).status == code(core::media_error(NVME_SC_READ_ERROR)));
    CHECK(d.seen().size() == 2);
  }
}

TEST_CASE("a disk that has Verify gets all of it, more than VSL as well") {
  Disks d;
  d.world.io_namespace(1).own_commands = core::kOwnVerify;
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 1000)).ok());
  REQUIRE(d.seen().size() == 1);
  CHECK(d.seen()[0].kind == IoKind::Verify);
  CHECK(d.seen()[0].blocks == 1000);
}

TEST_CASE("host compares or verifies with Force Unit Access: the reads have it") {
  Disks d;
  constexpr uint32_t kFua = 1u << 30;
  CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 1, kFua), d.on_disk(3, 1)).ok());
  CHECK(d.seen().back().fua);
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 200, kFua)).ok());
  CHECK(d.seen().size() == 3);
  for (const Disk::Seen& read : d.seen()) CHECK(read.fua);
  CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 1), d.on_disk(3, 1)).ok());
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 1)).ok());
  CHECK_FALSE(d.seen()[3].fua);
  CHECK_FALSE(d.seen()[4].fua);
}

TEST_CASE("host compares more than MDTS: Invalid Field at NLB") {
  Disks d;  // 64 KiB
  CHECK(d.send(d.on_range(nvme_cmd_compare, 0, 129), Bytes(size_t{129} * 512)).status == NVME_SC_INVALID_FIELD);
  CHECK(d.location() == 48);
  CHECK(d.seen().empty());
}

TEST_CASE("host compares, verifies or marks past the last block: LBA Out of Range") {
  Disks d;
  for (const uint8_t opcode : {nvme_cmd_compare, nvme_cmd_verify, nvme_cmd_write_uncor}) {
    CHECK(d.send(d.on_range(opcode, World::kBlocks - 1, 2), Bytes(1024)).status == NVME_SC_LBA_RANGE);
    CHECK(d.send(d.on_range(opcode, ~uint64_t{0}, 1), Bytes(512)).status == NVME_SC_LBA_RANGE);
    CHECK(d.send(d.on_range(opcode, 0, 1, 0, 2), Bytes(512)).status == NVME_SC_INVALID_NS);
  }
  CHECK(d.seen().empty());
}

TEST_CASE("host asks Compare, Verify or Copy for what needs features that are not there: Invalid Field at the bit") {
  Disks d;
  for (const uint8_t opcode : {nvme_cmd_compare, nvme_cmd_verify}) {
    for (const auto& [bit, location] : {std::pair{29u, 51 | 5 << 8}, {16u, 50}}) {
      CHECK(d.send(d.on_range(opcode, 0, 1, 1u << bit), Bytes(512)).status == NVME_SC_INVALID_FIELD);
      CHECK(d.location() == location);
    }
  }
  for (const auto& [bit, location] : {std::pair{20u, 50 | 4 << 8}, {16u, 50}, {8u, 49}, {11u, 49}}) {
    CHECK(d.copy(100, {range(0, 0)}, 1u << bit).status == NVME_SC_INVALID_FIELD);
    CHECK(d.location() == location);
  }
  CHECK(d.seen().empty());
}

TEST_CASE("no namespace has protection information: Compare, Verify and Copy ignore what is to be checked of it") {
  Disks d;
  for (const unsigned bit : {24u, 26u, 27u, 28u}) {
    CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 1, 1u << bit), d.on_disk(3, 1)).ok());
    CHECK(d.send(d.on_range(nvme_cmd_verify, 3, 1, 1u << bit)).ok());
  }
  for (const unsigned bit : {12u, 15u, 24u, 25u, 26u, 29u}) CHECK(d.copy(100, {range(0, 0)}, 1u << bit).ok());
}

TEST_CASE("host copies ranges: they lie one behind the other at the destination, nothing else has changed") {
  Disks d;
  Bytes expected = d.on_disk(0, World::kBlocks);
  const Bytes first = d.on_disk(700, 3);
  const Bytes second = d.on_disk(10, 200);  // longer than the scratch, which MDTS bounds
  std::ranges::copy(first, expected.begin() + ptrdiff_t{300} * 512);
  std::ranges::copy(second, expected.begin() + ptrdiff_t{303} * 512);
  bool held = false;
  SUBCASE("from a disk that answers at once") {}
  SUBCASE("from a disk that answers later") { held = true; }
  d.world.disk_1.hold = held;
  const std::vector<nvme_copy_range> ranges = {range(700, 2), range(10, 199)};
  Bytes memory(64);
  std::memcpy(memory.data(), ranges.data(), memory.size());
  const size_t number = d.host.io(1).post(command(nvme_cmd_copy, 1, 300, 0, 1), memory);
  while (held && !d.host.io(1).answered(number)) d.world.disk_1.complete_all();
  CHECK(d.host.io(1).take(number).ok());
  CHECK(d.on_disk(0, World::kBlocks) == expected);
  CHECK(d.seen().size() == 6);  // 3, then 128 and 72 blocks, each read and written
  CHECK_FALSE(d.seen()[1].fua);
}

TEST_CASE("host copies with Force Unit Access: the writes have it") {
  Disks d;
  CHECK(d.copy(300, {range(0, 0)}, 1u << 30).ok());
  CHECK_FALSE(d.seen()[0].fua);
  CHECK(d.seen()[1].fua);
}

TEST_CASE("host copies as many ranges as MSRC says, and one more: Command Size Limit Exceeded") {
  Disks d;
  const auto id = d.host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>();
  CHECK(id.msrc == 127);
  CHECK(id.mssrl == 16384);
  CHECK(id.mcl == 16384);
  CHECK(d.host.identify(NVME_IDENTIFY_CNS_NS, 3).as<nvme_id_ns>().mcl == 2048);
  const Bytes block = d.on_disk(5, 1);
  CHECK(d.copy(500, std::vector<nvme_copy_range>(128, range(5, 0))).ok());
  CHECK(d.on_disk(627, 1) == block);
  const Answer answer = d.copy(500, std::vector<nvme_copy_range>(129, range(5, 0)));
  CHECK(answer.status == kSizeLimitExceeded);
  CHECK(answer.do_not_retry);
}

TEST_CASE("host copies more blocks than MSSRL or MCL: Command Size Limit Exceeded") {
  Disks d;
  core::CopyLimits& limits = d.world.io_namespace(1).copy;
  limits = {10, 15, 127};
  CHECK(d.copy(500, {range(0, 9), range(20, 4)}).ok());
  CHECK(d.copy(500, {range(0, 10)}).status == kSizeLimitExceeded);
  CHECK(d.copy(500, {range(0, 9), range(20, 5)}).status == kSizeLimitExceeded);
  CHECK(d.seen().size() == 4);
}

TEST_CASE("host copies from or to behind the last block: LBA Out of Range, and nothing is copied") {
  Disks d;
  constexpr uint64_t kLast = World::kBlocks - 1;
  CHECK(d.copy(0, {range(10, 0), range(kLast, 1)}).status == NVME_SC_LBA_RANGE);
  CHECK(d.copy(0, {range(~uint64_t{0}, 0)}).status == NVME_SC_LBA_RANGE);
  CHECK(d.copy(kLast, {range(10, 1)}).status == NVME_SC_LBA_RANGE);
  CHECK(d.copy(0, {range(10, 0)}, 0, 2).status == NVME_SC_INVALID_NS);
  CHECK(d.seen().empty());
}

TEST_CASE("host copies blocks onto themselves: Overlapping I/O Range") {
  Disks d;
  CHECK(d.copy(100, {range(109, 0), range(95, 5)}).status == kOverlappingIoRange);
  CHECK(d.copy(100, {range(100, 0)}).status == kOverlappingIoRange);
  CHECK(d.copy(100, {range(101, 0)}).ok());
  CHECK(d.copy(100, {range(99, 0)}).ok());
}

TEST_CASE("a copy fails on the way: dword 0 of the completion names the first range that is not copied") {
  Disks d;
  d.world.disk_1.hold = true;
  Bytes memory(64);
  const std::vector<nvme_copy_range> ranges = {range(0, 0), range(1, 0)};
  std::memcpy(memory.data(), ranges.data(), memory.size());
  const size_t number = d.host.io(1).post(command(nvme_cmd_copy, 1, 300, 0, 1), memory);
  d.world.disk_1.complete_all();
  d.world.disk_1.complete_all();
  d.world.disk_1.answer = core::media_error(NVME_SC_READ_ERROR);
  d.world.disk_1.complete_all();
  const Answer answer = d.host.io(1).take(number);
  CHECK(answer.status == code(core::media_error(NVME_SC_READ_ERROR)));
  CHECK(answer.result == 1);
}

TEST_CASE("a disk that has the commands itself gets them as they are") {
  Disks d;
  d.world.io_namespace(1).own_commands =
      core::kOwnCompare | core::kOwnVerify | core::kOwnCopy | core::kOwnWriteUncorrectable;
  CHECK(d.send(d.on_range(nvme_cmd_compare, 3, 2), Bytes(1024)).ok());
  CHECK(d.seen().back().kind == IoKind::Compare);
  CHECK(d.send(d.on_range(nvme_cmd_verify, 3, 2)).ok());
  CHECK(d.seen().back().kind == IoKind::Verify);
  CHECK(d.copy(300, {range(0, 0), range(1, 0)}).ok());
  CHECK(d.seen().back().kind == IoKind::Copy);
  CHECK(d.seen().back().slba == 300);
  CHECK(d.seen().back().range_count == 2);
  CHECK(d.send(d.on_range(nvme_cmd_write_uncor, 3, 1000 - 3)).ok());
  CHECK(d.seen().back().kind == IoKind::WriteUncorrectable);
  CHECK(d.seen().back().blocks == 997);
  CHECK(d.send(d.on_range(nvme_cmd_write_uncor, 3, 1, 1u << 20)).status == NVME_SC_INVALID_FIELD);
  CHECK(d.seen().size() == 4);
}

TEST_CASE("host marks blocks of a disk that has no Write Uncorrectable: Invalid Command Opcode") {
  Disks d;
  CHECK(d.send(d.on_range(nvme_cmd_write_uncor, 3, 1)).status == NVME_SC_INVALID_OPCODE);
}

TEST_CASE("a reservation or write protection decides by what the command does") {
  Disks d;
  d.host.controller().deny(1, core::kWriteProtected);
  CHECK(d.send(d.on_range(nvme_cmd_compare, 0, 1), d.on_disk(0, 1)).ok());
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 1)).ok());
  CHECK(d.copy(300, {range(0, 0)}).status == NVME_SC_NS_WRITE_PROTECTED);
  CHECK(d.send(d.on_range(nvme_cmd_write_uncor, 0, 1)).status == NVME_SC_NS_WRITE_PROTECTED);
  d.host.controller().permit(1, core::kWriteProtected);
  d.host.controller().deny(1, core::kReservedFromReads);
  CHECK(d.send(d.on_range(nvme_cmd_compare, 0, 1), d.on_disk(0, 1)).status == NVME_SC_RESERVATION_CONFLICT);
  CHECK(d.send(d.on_range(nvme_cmd_verify, 0, 1)).status == NVME_SC_RESERVATION_CONFLICT);
  CHECK(d.copy(300, {range(0, 0)}).status == NVME_SC_RESERVATION_CONFLICT);
}

TEST_CASE("data and scratch lie in one buffer, the scratch on a page of its own") {
  core::Request request;
  request.length_bytes = 512;
  CHECK(core::buffer_bytes(request) == 512);
  request.scratch_bytes = 512;
  CHECK(core::buffer_bytes(request) == 4096 + 512);
  request.length_bytes = 65536;
  request.scratch_bytes = 65536;
  CHECK(core::buffer_bytes(request) == 2 * 65536);
  request.length_bytes = 0;
  CHECK(core::buffer_bytes(request) == 65536);
}

}  // namespace
}  // namespace nvmf::test
