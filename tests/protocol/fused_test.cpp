// Fused Compare and Write: NVMe Base 2.0, Fused Operations; NVM Command Set 1.0, Fused Operation.
#include <doctest/doctest.h>

#include "target/core/command/command.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/scratch.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::IoKind;

constexpr int kCompareFailure = NVME_SCT_MEDIA << 8 | NVME_SC_COMPARE_FAILED;
constexpr uint8_t kFirst = 1;
constexpr uint8_t kSecond = 2;

Bytes block(int value, size_t blocks = 1) { return Bytes(blocks * 512, static_cast<std::byte>(value)); }

// A host with two I/O queues; namespace 1 keeps its data, all zero.
struct Pairs {
  World world;
  Host host{world};
  Pairs() {
    host.bring_up(2);
    world.disk_1.blocks = Bytes(World::kBlocks * 512);
  }

  static Sqe half(uint8_t fuse, uint8_t opcode, uint64_t slba, uint32_t blocks = 1, uint32_t nsid = 1) {
    Sqe sqe = command(opcode, nsid, static_cast<uint32_t>(slba), 0, blocks - 1);
    sqe.flags = static_cast<uint8_t>(sqe.flags | fuse);
    return sqe;
  }
  static Sqe compare(uint64_t slba, uint32_t blocks = 1, uint32_t nsid = 1) {
    return half(kFirst, nvme_cmd_compare, slba, blocks, nsid);
  }
  static Sqe write(uint64_t slba, uint32_t blocks = 1, uint32_t nsid = 1) {
    return half(kSecond, nvme_cmd_write, slba, blocks, nsid);
  }
  struct Answers {
    int first;
    int second;
  };
  Answers pair(const Sqe& first, Bytes expected, const Sqe& second, Bytes wanted) {
    const size_t one = q().post(first, std::move(expected));
    const size_t two = q().post(second, std::move(wanted));
    return {q().take(one).status, q().take(two).status};
  }
  Wire& q() { return host.io(1); }
  Bytes on_disk(uint64_t slba, size_t blocks = 1) {
    const auto begin = world.disk_1.blocks.begin() + static_cast<ptrdiff_t>(slba * 512);
    return {begin, begin + static_cast<ptrdiff_t>(blocks * 512)};
  }
  uint16_t location() { return host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().parm_error_location; }
};

TEST_CASE("host identifies: fused Compare and Write, of one block") {
  Pairs p;
  const auto id = p.host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(id.fuses == NVME_CTRL_FUSES_COMPARE_AND_WRITE);
  CHECK(id.acwu == 0);
  auto options = World::default_options();
  options.in_capsule_bytes = 512;  // namespace 3 has blocks of 4096
  World small(options);
  Host host(small);
  host.bring_up();
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().fuses == 0);
}

TEST_CASE("host compares and writes: equal blocks are written, both halves succeed, and again") {
  Pairs p;
  for (int value = 0; value < 3; ++value) {
    const auto answers = p.pair(p.compare(5), block(value), p.write(5), block(value + 1));
    CHECK(answers.first == 0);
    CHECK(answers.second == 0);
    CHECK(p.on_disk(5) == block(value + 1));
  }
  CHECK(p.pair(p.compare(8, 8), block(0, 8), p.write(8, 8), block(9, 8)).second == 0);
  CHECK(p.on_disk(8, 8) == block(9, 8));
}

TEST_CASE("host compares and writes: other blocks are not, Compare Failure and Failed Fused Command") {
  Pairs p;
  const auto answers = p.pair(p.compare(5), block(1), p.write(5), block(2));
  CHECK(answers.first == kCompareFailure);
  CHECK(answers.second == NVME_SC_FUSED_FAIL);
  CHECK(p.on_disk(5) == block(0));
}

TEST_CASE("a disk that has Compare itself is not asked for it: the gates are the target's") {
  Pairs p;
  p.world.io_namespace(1).own_commands = core::kOwnCompare;
  CHECK(p.pair(p.compare(5), block(0), p.write(5), block(2)).second == 0);
  CHECK(p.world.disk_1.seen[0].kind == IoKind::Read);
}

TEST_CASE("the disk cannot read: its status, and Failed Fused Command; it cannot write: success, and its status") {
  Pairs p;
  p.world.disk_1.hold = true;
  const size_t one = p.q().post(p.compare(5), block(0));
  const size_t two = p.q().post(p.write(5), block(1));
  const Status bad = core::media_error(NVME_SC_READ_ERROR);
  SUBCASE("read") {
    p.world.disk_1.answer = bad;
    p.world.disk_1.complete_all();
    CHECK(p.q().take(one).status == code(bad));
    CHECK(p.q().take(two).status == NVME_SC_FUSED_FAIL);
  }
  SUBCASE("write") {
    p.world.disk_1.complete_all();
    CHECK_FALSE(p.q().answered(one));
    p.world.disk_1.answer = bad;
    p.world.disk_1.complete_all();
    CHECK(p.q().take(one).ok());
    CHECK(p.q().take(two).status == code(bad));
  }
}

TEST_CASE("host sends a first half, then anything but its second: Missing Fused Command") {
  Pairs p;
  const size_t lone = p.q().post(p.compare(5), block(0));
  CHECK_FALSE(p.q().answered(lone));
  SUBCASE("a command by itself") { CHECK(p.q().send(command(nvme_cmd_flush, 1)).ok()); }
  SUBCASE("another first half") {
    CHECK(p.pair(p.compare(5), block(0), p.write(5), block(1)).second == 0);
    CHECK(p.on_disk(5) == block(1));
  }
  SUBCASE("the connection's end") { core::drop_lone_half(p.q().queue); }
  CHECK(p.q().take(lone).status == NVME_SC_FUSED_MISSING);
}

TEST_CASE("commands of other queues do not come between the halves") {
  Pairs p;
  const size_t one = p.q().post(p.compare(5), block(0));
  CHECK(p.host.io(2).send(command(nvme_cmd_flush, 1)).ok());
  CHECK(p.host.io(2).send(p.write(5), block(1)).status == NVME_SC_FUSED_MISSING);
  CHECK(p.q().send(p.write(5), block(1)).ok());
  CHECK(p.q().take(one).ok());
}

TEST_CASE("host sends a second half alone: Missing Fused Command, and nothing is written") {
  Pairs p;
  CHECK(p.q().send(p.write(5), block(1)).status == NVME_SC_FUSED_MISSING);
  CHECK(p.world.disk_1.seen.empty());
}

TEST_CASE("the first half fails by itself: its status, and the second is aborted") {
  Pairs p;
  const auto past_end = p.pair(p.compare(World::kBlocks), block(0), p.write(World::kBlocks), block(1));
  CHECK(past_end.first == NVME_SC_LBA_RANGE);
  CHECK(past_end.second == NVME_SC_FUSED_FAIL);
  const auto too_little_data = p.pair(p.compare(5), Bytes(100), p.write(5), block(1));
  CHECK(too_little_data.first == NVME_SC_SGL_INVALID_DATA);
  CHECK(too_little_data.second == NVME_SC_FUSED_FAIL);
  CHECK(p.world.disk_1.seen.empty());
}

TEST_CASE("the halves differ: Invalid Field in the second, at what differs, and the first is aborted") {
  Pairs p;
  struct Case {
    Sqe second;
    size_t bytes;
    int location;
  };
  for (const Case& c : {Case{p.write(6), 512, 40}, Case{p.write(5, 2), 1024, 48}, Case{p.write(5, 1, 3), 4096, 4},
                        Case{p.half(kSecond, nvme_cmd_read, 5), 512, 1}}) {
    const auto answers = p.pair(p.compare(5), block(0), c.second, Bytes(c.bytes));
    CHECK(answers.second == NVME_SC_INVALID_FIELD);
    CHECK(p.location() == c.location);
    CHECK(answers.first == NVME_SC_FUSED_FAIL);
  }
  const auto no_data = p.pair(p.compare(5), block(0), p.write(5), Bytes(100));
  CHECK(no_data.second == NVME_SC_SGL_INVALID_DATA);
  CHECK(no_data.first == NVME_SC_FUSED_FAIL);
  CHECK(p.world.disk_1.seen.empty());
}

TEST_CASE("host fuses other commands, or with FUSE 11b: Invalid Field at FUSE") {
  Pairs p;
  for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write, nvme_cmd_flush}) {
    CHECK(p.q().send(p.half(kFirst, opcode, 5), block(0)).status == NVME_SC_INVALID_FIELD);
    CHECK(p.location() == 1);
  }
  CHECK(p.q().send(p.half(3, nvme_cmd_compare, 5), block(0)).status == NVME_SC_INVALID_FIELD);
  CHECK(p.q().send(command(nvme_cmd_flush, 1)).ok());
}

TEST_CASE("host fuses more than a capsule holds: Atomic Write Unit Exceeded") {
  Pairs p;
  const auto answers = p.pair(p.compare(5, 9), block(0, 9), p.write(5, 9), block(1, 9));
  CHECK(answers.first == NVME_SC_AWU_EXCEEDED);
  CHECK(answers.second == NVME_SC_FUSED_FAIL);
}

TEST_CASE("a capsule has no room for a block: no fused commands, Invalid Field at FUSE") {
  auto options = World::default_options();
  options.in_capsule_bytes = 512;
  World world(options);
  Host host(world);
  host.bring_up(1);
  CHECK(host.io(1).send(Pairs::compare(5, 1, 3), Bytes(4096)).status == NVME_SC_INVALID_FIELD);
  CHECK(host.log_page(NVME_LOG_LID_ERROR, 64).as<nvme_error_log_page>().parm_error_location == 1);
}

TEST_CASE("while a pair runs, all that changes data waits, and reads do not") {
  Pairs p;
  p.world.disk_1.hold = true;
  const size_t one = p.q().post(p.compare(5), block(0));
  const size_t two = p.q().post(p.write(5), block(1));
  CHECK(p.world.disk_1.seen.size() == 1);  // the Compare's read

  Wire& other = p.host.io(2);
  const size_t write = other.post(command(nvme_cmd_write, 1, 5), block(7));
  const size_t zeroes = other.post(command(nvme_cmd_write_zeroes, 1, 9));
  nvme_copy_range source{};
  source.slba = 100;
  const size_t copy = other.post(command(nvme_cmd_copy, 1, 300), to_bytes(source));
  const size_t deallocate = other.post(command(nvme_cmd_dsm, 1, 0, NVME_DSMGMT_AD), to_bytes(nvme_dsm_range{0, 1, 50}));
  CHECK(p.world.disk_1.seen.size() == 1);
  const size_t read = other.post(command(nvme_cmd_read, 1, 5), block(0xff));
  CHECK(p.world.disk_1.seen.size() == 2);

  p.world.disk_1.complete_all();
  CHECK(other.take(read).data == block(0));
  CHECK(p.world.disk_1.seen.size() == 3);  // the pair's write
  CHECK(p.world.disk_1.seen.back().kind == IoKind::Write);
  CHECK_FALSE(other.answered(write));
  p.world.disk_1.complete_all();
  CHECK(p.q().take(one).ok());
  CHECK(p.q().take(two).ok());
  CHECK(p.on_disk(5) == block(1));
  CHECK(p.world.disk_1.seen.size() == 7);
  while (!other.answered(copy)) p.world.disk_1.complete_all();
  for (const size_t number : {write, zeroes, copy, deallocate}) CHECK(other.take(number).ok());
  CHECK(p.on_disk(5) == block(7));
}

TEST_CASE("a pair waits for the changes that the disk already has") {
  Pairs p;
  p.world.disk_1.hold = true;
  const size_t write = p.host.io(2).post(command(nvme_cmd_write, 1, 5), block(7));
  const size_t one = p.q().post(p.compare(5), block(0));
  const size_t two = p.q().post(p.write(5), block(1));
  CHECK(p.world.disk_1.seen.size() == 1);
  while (!p.q().answered(two)) p.world.disk_1.complete_all();
  CHECK(p.host.io(2).take(write).ok());
  CHECK(p.q().take(one).status == kCompareFailure);
  CHECK(p.on_disk(5) == block(7));
}

TEST_CASE("changes that have ended, well or not, hold no pair") {
  Pairs p;
  Wire& other = p.host.io(2);
  nvme_copy_range source{};
  source.slba = 100;
  const struct {
    Sqe sqe;
    Bytes data;
  } changes[] = {{command(nvme_cmd_write, 1, 7), block(7)},
                 {command(nvme_cmd_write_zeroes, 1, 7), {}},
                 {command(nvme_cmd_copy, 1, 300), to_bytes(source)},
                 {command(nvme_cmd_dsm, 1, 0, NVME_DSMGMT_AD), to_bytes(nvme_dsm_range{0, 1, 50})}};
  for (const bool fails : {false, true}) {
    for (const bool own : {true, false}) {
      for (const auto& change : changes) {
        CAPTURE(int{change.sqe.opcode});
        p.world.io_namespace(1).supports_write_zeroes = own;
        p.world.io_namespace(1).own_commands = own ? core::kOwnCopy : 0;
        p.world.disk_1.answer = fails ? Status(NVME_SC_INTERNAL) : Status();
        other.send(change.sqe, change.data);
        p.world.disk_1.answer = Status();
        p.world.io_namespace(1).own_commands = 0;
        const auto statuses = p.pair(p.compare(5), p.on_disk(5), p.write(5), p.on_disk(5));
        CHECK(statuses.first == 0);
        CHECK(statuses.second == 0);
      }
    }
  }
}

TEST_CASE("a namespace's gate is removed while it waits for its turn: it gets none, and the next one does") {
  core::FusedTurns turns(nullptr);
  core::WriteGate removed, next;
  turns.add(removed, nullptr);
  turns.add(next, nullptr);
  const auto runs = [](core::Request& pair) { ++pair.blocks; };
  core::Request write, aborted, late, waiting;
  aborted.execute = late.execute = waiting.execute = runs;
  REQUIRE(next.enter(write));  // all turns wait for its end
  removed.enter_pair(aborted);
  next.enter_pair(waiting);
  REQUIRE(removed.withdraw_pair(aborted));
  turns.remove(removed);
  removed.enter_pair(late);  // nobody looks at it any more
  next.leave();
  CHECK(late.blocks == 0);
  CHECK(waiting.blocks == 1);
  next.leave_pair();
  CHECK(next.enter(write));
}

TEST_CASE("pairs of several queues run one after the other, writes between them") {
  Pairs p;
  p.world.disk_1.hold = true;
  const size_t one = p.q().post(p.compare(5), block(0));
  const size_t two = p.q().post(p.write(5), block(1));
  Wire& other = p.host.io(2);
  const size_t other_one = other.post(p.compare(5), block(1));
  const size_t other_two = other.post(p.write(5), block(2));
  const size_t write = other.post(command(nvme_cmd_write, 1, 6), block(7));
  while (!p.q().answered(two)) p.world.disk_1.complete_all();
  CHECK_FALSE(other.answered(other_one));
  while (!other.answered(other_two)) p.world.disk_1.complete_all();
  CHECK(other.answered(write));
  CHECK(p.q().take(one).ok());
  CHECK(other.take(other_one).ok());
  CHECK(p.on_disk(5) == block(2));
}

TEST_CASE("a transport gives one half up: the other is aborted, whichever it is") {
  Pairs p;
  core::Request request;
  request.queue = &p.q().queue;
  const Sqe sqe = p.write(5);
  request.sqe = &sqe;
  const size_t one = p.q().post(p.compare(5), block(0));
  REQUIRE(core::parse(request).ok());  // its data never comes
  CHECK_FALSE(p.q().answered(one));
  core::leave_pair(request);
  CHECK(p.q().take(one).status == NVME_SC_FUSED_FAIL);
  CHECK(p.pair(p.compare(5), block(0), p.write(5), block(1)).second == 0);
}

}  // namespace
}  // namespace nvmf::test
