// I/O commands: NVM Command Set 1.0, section 3.
#include <doctest/doctest.h>

#include <algorithm>

#include "target/core/command/command.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::IoKind;

constexpr uint32_t kFua = 1u << 30;
constexpr uint32_t kDeac = 1u << 25;
constexpr uint64_t kLast = World::kBlocks - 1;

// A host with one I/O queue.
struct OneQueue {
  World world;
  Host host{world};
  OneQueue() { host.bring_up(1); }

  Answer send(const Sqe& sqe, Bytes memory = {}) { return host.io(1).send(sqe, std::move(memory)); }
  // `blocks` may lie beyond what the host has room for: then the command must fail before it matters.
  Answer transfer(uint8_t opcode, uint32_t nsid, uint64_t slba, uint32_t blocks, uint32_t flags = 0) {
    Sqe sqe = command(opcode, nsid, static_cast<uint32_t>(slba), static_cast<uint32_t>(slba >> 32));
    sqe.cdw12 = (blocks - 1) | flags;
    return send(sqe, Bytes(size_t{blocks} * (nsid == 3 ? 4096 : 512)));
  }
  Answer deallocate(const std::vector<nvme_dsm_range>& ranges, uint32_t attributes = NVME_DSMGMT_AD,
                    uint32_t nsid = 1) {
    Bytes memory(ranges.size() * sizeof(nvme_dsm_range));
    std::memcpy(memory.data(), ranges.data(), memory.size());
    return send(command(nvme_cmd_dsm, nsid, static_cast<uint32_t>(ranges.size() - 1), attributes), memory);
  }
  uint16_t location() { return host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().parm_error_location; }
  const Disk::Seen& seen() { return world.disk_1.seen.back(); }
};

TEST_CASE("host reads: the disk is asked for the blocks, the answer carries them") {
  OneQueue q;
  const Answer answer = q.transfer(nvme_cmd_read, 1, 5, 8);
  CHECK(answer.ok());
  CHECK(answer.sqid == 1);
  CHECK(q.seen().kind == IoKind::Read);
  CHECK(q.seen().slba == 5);
  CHECK(q.seen().blocks == 8);
  CHECK_FALSE(q.seen().fua);
  CHECK(answer.data == Bytes(4096, std::byte{0xa5}));
}

TEST_CASE("host writes, with and without Force Unit Access") {
  OneQueue q;
  CHECK(q.transfer(nvme_cmd_write, 1, 0, 1).ok());
  CHECK(q.seen().kind == IoKind::Write);
  CHECK_FALSE(q.seen().fua);
  CHECK(q.transfer(nvme_cmd_write, 1, 0, 1, kFua).ok());
  CHECK(q.seen().fua);
  CHECK(q.transfer(nvme_cmd_write, 3, 0, 2).ok());
  CHECK(q.world.disk_3.seen.back().blocks == 2);
}

TEST_CASE("nothing of one command is left in the request for the next") {
  OneQueue q;
  CHECK(q.transfer(nvme_cmd_write, 1, 9, 3, kFua).ok());
  CHECK(q.send(command(nvme_cmd_flush, 1)).ok());
  CHECK(q.seen().kind == IoKind::Flush);
  CHECK_FALSE(q.seen().fua);
  CHECK(q.seen().blocks == 0);
}

TEST_CASE("host reads up to the last block") {
  OneQueue q;
  CHECK(q.transfer(nvme_cmd_read, 1, kLast, 1).ok());
  CHECK(q.transfer(nvme_cmd_read, 1, World::kBlocks - 128, 128).ok());
}

TEST_CASE("host reads or writes past the last block: LBA Out of Range, and the disk is not asked") {
  OneQueue q;
  for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write}) {
    for (const auto& [slba, blocks] : {std::pair<uint64_t, uint32_t>{World::kBlocks, 1},
                                       {kLast, 2},
                                       {0, 1001},
                                       {~uint64_t{0}, 1},
                                       {~uint64_t{0}, 2},
                                       {~uint64_t{0} - 63, 128},
                                       {uint64_t{1} << 63, 1}}) {
      const Answer answer = q.transfer(opcode, 1, slba, blocks);
      CHECK(answer.status == NVME_SC_LBA_RANGE);
      CHECK(answer.do_not_retry);
      CHECK(answer.more);
    }
  }
  CHECK(q.world.disk_1.seen.empty());
}

TEST_CASE("host transfers more than MDTS: Invalid Field at NLB") {
  OneQueue q;  // 64 KiB
  CHECK(q.transfer(nvme_cmd_read, 1, 0, 128).ok());
  CHECK(q.transfer(nvme_cmd_read, 1, 0, 129).status == NVME_SC_INVALID_FIELD);
  CHECK(q.location() == 48);
  CHECK(q.transfer(nvme_cmd_write, 3, 0, 16).ok());
  CHECK(q.transfer(nvme_cmd_write, 3, 0, 17).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host names a namespace that is not there: Invalid Namespace or Format") {
  OneQueue q;
  for (const uint32_t nsid : {0u, 2u, 4u, 1000000u, 0xfffffffeu, 0xffffffffu}) {
    CHECK(q.transfer(nvme_cmd_read, nsid, 0, 1).status == NVME_SC_INVALID_NS);
    CHECK(q.transfer(nvme_cmd_write, nsid, 0, 1).status == NVME_SC_INVALID_NS);
    CHECK(q.transfer(nvme_cmd_write_zeroes, nsid, 0, 1).status == NVME_SC_INVALID_NS);
    CHECK(q.deallocate({{0, 1, 0}}, NVME_DSMGMT_AD, nsid).status == NVME_SC_INVALID_NS);
    CHECK(q.location() == 4);
  }
}

TEST_CASE("no namespace has protection information: PRINFO and STC are ignored, where they need not be cleared") {
  OneQueue q;
  for (const unsigned bit : {24u, 26u, 27u, 28u, 29u}) {
    CHECK(q.transfer(nvme_cmd_read, 1, 0, 1, 1u << bit).ok());
    CHECK(q.transfer(nvme_cmd_write, 1, 0, 1, 1u << bit).ok());
  }
  CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 0, 1, 1u << 29).ok());
  q.world.disk_1.seen.clear();
  for (const auto& [bit, location] : {std::pair{26u, 51 | 2 << 8}, {27u, 51 | 2 << 8}, {28u, 51 | 2 << 8}, {24u, 51}}) {
    CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 0, 1, 1u << bit).status == NVME_SC_INVALID_FIELD);
    CHECK(q.location() == location);
  }
  CHECK(q.world.disk_1.seen.empty());
}

TEST_CASE("host asks for directives or extensions: Invalid Field at the bit") {
  OneQueue q;
  CHECK(q.transfer(nvme_cmd_write, 1, 0, 1, 1u << 20).status == NVME_SC_INVALID_FIELD);
  CHECK(q.location() == (50 | 4 << 8));
  CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 0, 1, 1u << 23).status == NVME_SC_INVALID_FIELD);
  CHECK(q.location() == (50 | 4 << 8));
  for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write, nvme_cmd_write_zeroes}) {
    CHECK(q.transfer(opcode, 1, 0, 1, 1u << 16).status == NVME_SC_INVALID_FIELD);  // CETYPE
    CHECK(q.location() == 50);
  }
  CHECK(q.world.disk_1.seen.empty());
}

TEST_CASE("what is ignored while its feature is not used: DSPEC, CEV, tags, and hints") {
  OneQueue q;
  for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write, nvme_cmd_write_zeroes}) {
    Sqe sqe = command(opcode, 1);
    sqe.cdw13 = 0xffffffff;
    sqe.cdw14 = 0xffffffff;
    sqe.cdw15 = 0xffffffff;
    sqe.cdw2 = sqe.cdw3 = 0xffffffff;
    CHECK(q.send(sqe, Bytes(512)).ok());
  }
  CHECK(q.transfer(nvme_cmd_read, 1, 0, 1, 1u << 31).ok());  // Limited Retry
}

TEST_CASE("host sends PRPs: Invalid Field at PSDT") {
  OneQueue q;
  Sqe sqe = command(nvme_cmd_read, 1);
  for (const uint8_t psdt : {0, 2, 3}) {
    sqe.flags = static_cast<uint8_t>(psdt << 6);
    CHECK(q.send(sqe, Bytes(512)).status == NVME_SC_INVALID_FIELD);
    CHECK(q.location() == (1 | 6 << 8));
  }
  sqe = command(nvme_admin_keep_alive);
  sqe.flags = 0;
  CHECK(q.host.admin.send(sqe).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host sends commands that are not supported: Invalid Command Opcode") {
  OneQueue q;
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (core::kIoCommands[opcode].parse != nullptr || opcode == 0x7f) continue;
    const Answer answer = q.send(command(static_cast<uint8_t>(opcode), 1), Bytes(4096));
    CHECK(answer.status == NVME_SC_INVALID_OPCODE);
    CHECK(answer.do_not_retry);
  }
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if ((core::kAdminCommands[opcode].controllers & core::kIoController) != 0 || opcode == 0x7f) continue;
    CHECK(q.host.admin.send(command(static_cast<uint8_t>(opcode)), Bytes(4096)).status == NVME_SC_INVALID_OPCODE);
  }
}

TEST_CASE("host flushes one namespace, or all") {
  OneQueue q;
  CHECK(q.send(command(nvme_cmd_flush, 1)).ok());
  CHECK(q.world.disk_1.seen.size() == 1);
  CHECK(q.world.disk_3.seen.empty());
  CHECK(q.send(command(nvme_cmd_flush, NVME_NSID_ALL)).ok());
  CHECK(q.world.disk_1.seen.size() == 2);
  CHECK(q.world.disk_3.seen.size() == 1);
  CHECK(q.world.disk_3.seen.back().kind == IoKind::Flush);
  CHECK(q.send(command(nvme_cmd_flush, 2)).status == NVME_SC_INVALID_NS);
  CHECK(q.send(command(nvme_cmd_flush, 0)).status == NVME_SC_INVALID_NS);
}

TEST_CASE("a flush of all namespaces answers when the last is done, or with the first that fails") {
  OneQueue q;
  q.world.disk_1.hold = true;
  const size_t number = q.host.io(1).post(command(nvme_cmd_flush, NVME_NSID_ALL));
  CHECK_FALSE(q.host.io(1).answered(number));
  CHECK(q.world.disk_3.seen.empty());
  SUBCASE("success") {
    q.world.disk_1.complete_all();
    CHECK(q.host.io(1).take(number).ok());
    CHECK(q.world.disk_3.seen.size() == 1);
  }
  SUBCASE("failure") {
    q.world.disk_1.answer = Status(NVME_SC_INTERNAL);
    q.world.disk_1.complete_all();
    CHECK(q.host.io(1).take(number).status == NVME_SC_INTERNAL);
    CHECK(q.world.disk_3.seen.empty());
  }
}

TEST_CASE("host flushes all of no namespaces: success") {
  OneQueue q;
  q.world.table.by_nsid.clear();
  CHECK(q.send(command(nvme_cmd_flush, NVME_NSID_ALL)).ok());
}

TEST_CASE("host sends Write Zeroes: more than MDTS is no matter, there is no data") {
  OneQueue q;
  CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 0, 1000).ok());
  CHECK(q.seen().kind == IoKind::WriteZeroes);
  CHECK(q.seen().blocks == 1000);
  CHECK_FALSE(q.seen().deallocate);
  CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 1, 2, kDeac | kFua).ok());
  CHECK(q.seen().deallocate);
  CHECK(q.seen().fua);
  CHECK(q.transfer(nvme_cmd_write_zeroes, 1, 1, 1000).status == NVME_SC_LBA_RANGE);
}

TEST_CASE("host sends Write Zeroes to a disk that has none: zeroes are written, piece after piece") {
  OneQueue q;
  Disk& disk = q.world.disk_3;
  disk.lba_shift = 12;
  disk.blocks = Bytes(World::kBlocks * 4096, std::byte{0xff});
  SUBCASE("the disk answers at once") {
    CHECK(q.transfer(nvme_cmd_write_zeroes, 3, 5, 70, kFua | kDeac).ok());
    REQUIRE(disk.seen.size() == 3);
    for (const Disk::Seen& one : disk.seen) {
      CHECK(one.kind == IoKind::Write);
      CHECK(one.fua);
    }
    CHECK(disk.seen[0].slba == 5);
    CHECK(disk.seen[0].blocks == 32);
    CHECK(disk.seen[1].slba == 37);
    CHECK(disk.seen[2].slba == 69);
    CHECK(disk.seen[2].blocks == 6);
    const auto begin = disk.blocks.begin();
    CHECK(std::count(begin, disk.blocks.end(), std::byte{0}) == 70 * 4096);
    CHECK(std::count(begin + 5 * 4096, begin + 75 * 4096, std::byte{0}) == 70 * 4096);
  }
  SUBCASE("later, and the second write fails") {
    disk.hold = true;
    const size_t number = q.host.io(1).post(command(nvme_cmd_write_zeroes, 3, 0, 0, 99));
    disk.complete_all();
    CHECK_FALSE(q.host.io(1).answered(number));
    CHECK_FALSE(disk.seen[1].fua);
    disk.answer = Status(NVME_SC_INTERNAL);
    disk.complete_all();
    CHECK(q.host.io(1).take(number).status == NVME_SC_INTERNAL);
    CHECK(disk.seen.size() == 2);
    disk.hold = false;
    disk.answer = core::kSuccess;
    CHECK(q.transfer(nvme_cmd_write_zeroes, 3, 0, 1).ok());
    CHECK(disk.seen.size() == 3);
  }
  SUBCASE("past the last block: LBA Out of Range") {
    CHECK(q.transfer(nvme_cmd_write_zeroes, 3, kLast, 2).status == NVME_SC_LBA_RANGE);
    CHECK(disk.seen.empty());
  }
}

TEST_CASE("the controller is reset while zeroes are written out: no more than the disk has is written") {
  OneQueue q;
  Disk& disk = q.world.disk_3;
  disk.hold = true;
  const size_t zeroes = q.host.io(1).post(command(nvme_cmd_write_zeroes, 3, 0, 0, 99));
  REQUIRE(disk.seen.size() == 1);
  q.host.admin.post(property_set(NVME_REG_CC, 0));
  disk.complete_all();
  CHECK(disk.seen.size() == 1);
  CHECK(q.host.io(1).answered(zeroes));
}

TEST_CASE("zeroes that are written out keep a fused pair out, as any change does") {
  OneQueue q;
  Disk& disk = q.world.disk_3;
  disk.hold = true;
  const size_t zeroes = q.host.io(1).post(command(nvme_cmd_write_zeroes, 3, 0, 0, 63));
  Sqe compare = command(nvme_cmd_compare, 3);
  Sqe write = command(nvme_cmd_write, 3);
  compare.flags |= 1;
  write.flags |= 2;
  const size_t first = q.host.io(1).post(compare, Bytes(4096));
  const size_t second = q.host.io(1).post(write, Bytes(4096));
  CHECK(disk.seen.size() == 1);
  disk.complete_all();
  CHECK(disk.seen.back().kind == IoKind::Write);
  CHECK_FALSE(q.host.io(1).answered(zeroes));
  disk.complete_all();
  CHECK(q.host.io(1).take(zeroes).ok());
  CHECK(disk.seen.back().kind == IoKind::Read);
  const size_t later = q.host.io(1).post(command(nvme_cmd_write_zeroes, 3, 0, 0, 0));
  CHECK(disk.seen.size() == 3);
  while (!q.host.io(1).answered(later)) disk.complete_all();
  CHECK(q.host.io(1).answered(first));
  CHECK(q.host.io(1).answered(second));
}

TEST_CASE("host deallocates ranges") {
  OneQueue q;
  CHECK(q.deallocate({{0, 8, 0}, {0, 1, kLast}, {0, 0, 5}}).ok());
  CHECK(q.seen().kind == IoKind::Deallocate);
  CHECK(q.seen().range_count == 3);
  CHECK(q.deallocate(std::vector<nvme_dsm_range>(256, {0, 1, 0})).ok());
  CHECK(q.seen().range_count == 256);
}

TEST_CASE("host deallocates past the last block: LBA Out of Range, and nothing is deallocated") {
  OneQueue q;
  for (const nvme_dsm_range& bad :
       {nvme_dsm_range{0, 2, kLast}, nvme_dsm_range{0, 1, World::kBlocks}, nvme_dsm_range{0, 0xffffffff, 0},
        nvme_dsm_range{0, 1, ~uint64_t{0}}, nvme_dsm_range{0, 0xffffffff, ~uint64_t{0}}}) {
    CHECK(q.deallocate({{0, 1, 0}, bad}).status == NVME_SC_LBA_RANGE);
  }
  CHECK(q.world.disk_1.seen.empty());
}

TEST_CASE("Dataset Management's other attributes are hints, and so is deallocation where the disk cannot") {
  OneQueue q;
  CHECK(q.deallocate({{0, 8, 0}}, NVME_DSMGMT_IDR | NVME_DSMGMT_IDW).ok());
  CHECK(q.deallocate({{0, 8, 0}}, NVME_DSMGMT_AD, 3).ok());
  CHECK(q.world.disk_1.seen.empty());
  CHECK(q.world.disk_3.seen.empty());
}

TEST_CASE("host deallocates with the ranges in its capsule, at an odd offset") {
  OneQueue q;
  Sqe sqe = command(nvme_cmd_dsm, 1, 0, NVME_DSMGMT_AD);
  sqe.sgl1.address = 3;
  sqe.sgl1.specific[0] = 16;
  sqe.sgl1.identifier = 0x01;
  const nvme_dsm_range range{0, 8, 16};
  Bytes capsule(19);
  std::memcpy(capsule.data() + 3, &range, sizeof(range));
  CHECK(q.host.io(1).send(sqe, {}, capsule).ok());
  CHECK(q.seen().range_count == 1);
}

TEST_CASE("host describes fewer ranges than it counts: Data SGL Length Invalid") {
  OneQueue q;
  CHECK(q.send(command(nvme_cmd_dsm, 1, 1, NVME_DSMGMT_AD), Bytes(16)).status == NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("the disk fails: its status is the command's, and the error log names the block") {
  OneQueue q;
  q.world.disk_1.answer = core::media_error(NVME_SC_READ_ERROR);
  const Answer answer = q.transfer(nvme_cmd_read, 1, 17, 1);
  CHECK(answer.status == code(core::media_error(NVME_SC_READ_ERROR)));
  CHECK_FALSE(answer.more);
  const auto entry = q.host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>();
  CHECK(entry.lba == 17);
  CHECK(entry.nsid == 1);
  CHECK(entry.parm_error_location == 0xffff);
}

TEST_CASE("commands complete in any order, SQHD counts those whose place is free: the answered ones") {
  OneQueue q;
  q.world.disk_1.hold = true;
  Sqe read = command(nvme_cmd_read, 1);
  const size_t first = q.host.io(1).post(read, Bytes(512));
  const Answer flush = q.send(command(nvme_cmd_flush, 3));
  CHECK(flush.sqhd == 2);  // Connect and Flush: the Read still lies in its capsule
  CHECK_FALSE(q.host.io(1).answered(first));
  q.world.disk_1.complete_all();
  CHECK(q.host.io(1).take(first).sqhd == 3);
  CHECK(q.host.io(1).take(first).cid == 2);
}

TEST_CASE("a command that was running when the controller was reset is still answered") {
  OneQueue q;
  q.world.disk_1.hold = true;
  const size_t number = q.host.io(1).post(command(nvme_cmd_read, 1), Bytes(512));
  q.host.enable(0);
  q.world.disk_1.complete_all();
  CHECK(q.host.io(1).answered(number));
}

}  // namespace
}  // namespace nvmf::test
