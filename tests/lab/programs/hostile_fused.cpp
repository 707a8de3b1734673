// Fused Compare and Write, which no driver at hand sends: pairs that succeed, fail, are torn, and never come whole.
#include <cstring>
#include <thread>
#include <vector>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using nvme::Sqe;

constexpr uint32_t kBlock = 512;  // of namespace 1
constexpr uint16_t kCompareFailure = NVME_SCT_MEDIA << NVME_SCT_SHIFT | NVME_SC_COMPARE_FAILED;
constexpr uint8_t kFirst = 1;
constexpr uint8_t kSecond = 2;

// The halves' data lies in the queue's memory, the Write's a page behind the Compare's.
Sqe half(HostQueue& queue, uint8_t fuse, uint8_t opcode, uint16_t cid) {
  Sqe sqe = command(opcode, 1);
  sqe.flags |= fuse;
  sqe.cid = cid;
  sqe.cdw10 = 7;
  sqe.sgl1 = keyed(queue, kBlock);
  if (fuse == kSecond) sqe.sgl1.address += 4096;
  return sqe;
}
Sqe compare(HostQueue& queue) { return half(queue, kFirst, nvme_cmd_compare, 1); }
Sqe write(HostQueue& queue) { return half(queue, kSecond, nvme_cmd_write, 2); }

void fill(HostQueue& queue, size_t at, uint64_t value) {
  for (size_t i = 0; i < kBlock; i += sizeof value) std::memcpy(&queue.data()[at + i], &value, sizeof value);
}

uint64_t read_value(HostQueue& queue) {
  Sqe read = command(nvme_cmd_read, 1);
  read.cdw10 = 7;
  read.sgl1 = keyed(queue, kBlock);
  read.sgl1.address += 8192;
  uint64_t value = ~uint64_t{0};
  if (const auto cqe = ask(queue, read); cqe && status_of(*cqe) == 0)
    std::memcpy(&value, &queue.data()[8192], sizeof value);
  return value;
}

struct Statuses {
  uint16_t first = 0xffff;
  uint16_t second = 0xffff;
};

// Whichever order the answers come in.
Statuses send_pair(HostQueue& queue, const Sqe& first, const Sqe& second) {
  Statuses statuses;
  queue.send(bytes_of(first));
  queue.send(bytes_of(second));
  for (int i = 0; i < 2; ++i) {
    const auto cqe = queue.response(kAnswerTimeout);
    if (cqe) (cqe->cid == 1 ? statuses.first : statuses.second) = status_of(*cqe);
  }
  return statuses;
}

Statuses exchange(HostQueue& queue, uint64_t expected, uint64_t wanted) {
  fill(queue, 0, expected);
  fill(queue, 4096, wanted);
  return send_pair(queue, compare(queue), write(queue));
}

// Counts up by pairs until it has done so `count` times.
void count_up(HostQueue& queue, unsigned count) {
  uint64_t seen = read_value(queue);
  while (count != 0) {
    if (exchange(queue, seen, seen + 1).second == NVME_SC_SUCCESS) {
      --count;
      ++seen;
    } else {
      seen = read_value(queue);
    }
  }
}

void check_single_pairs(HostQueue& queue, Expectations& expectations) {
  const uint64_t begin = read_value(queue);
  const Statuses same = exchange(queue, begin, begin + 1);
  expectations.check(same.first == 0 && same.second == 0, "a pair on equal blocks succeeds");
  expectations.check(read_value(queue) == begin + 1, "it has been written");
  const Statuses other = exchange(queue, begin, begin + 9);
  expectations.check(other.first == kCompareFailure, "a Compare of other blocks fails", std::to_string(other.first));
  expectations.check(other.second == NVME_SC_FUSED_FAIL, "its Write is aborted", std::to_string(other.second));
  expectations.check(read_value(queue) == begin + 1, "nothing has been written");
}

void check_torn_pairs(HostQueue& queue, Expectations& expectations) {
  const auto lone_second = ask(queue, write(queue));
  expectations.check(lone_second && status_of(*lone_second) == NVME_SC_FUSED_MISSING, "a second half alone is aborted");
  Sqe flush = command(nvme_cmd_flush, 1);
  flush.cid = 2;
  const Statuses lone_first = send_pair(queue, compare(queue), flush);
  expectations.check(lone_first.first == NVME_SC_FUSED_MISSING, "a first half without its second is aborted");
  expectations.check(lone_first.second == 0, "the command in the place of its second runs");
  Sqe elsewhere = write(queue);
  elsewhere.cdw10 = 8;
  const Statuses different = send_pair(queue, compare(queue), elsewhere);
  expectations.check(different.first == NVME_SC_FUSED_FAIL, "a first half with another range's second is aborted");
  expectations.check(different.second == NVME_SC_INVALID_FIELD, "a second half of another range is invalid");
}

// The target must not keep half a pair when the connection goes: the case counts its queues afterwards.
void leave_halves_behind(const Where& where, Expectations& expectations) {
  {
    Session session = connect_all(where);
    expectations.check(session.io->send(bytes_of(compare(*session.io))), "a host sends a first half and goes");
  }
  Session session = connect_all(where);
  Sqe bad = write(*session.io);
  bad.sgl1.specific[4] ^= 0xff;
  session.io->send(bytes_of(compare(*session.io)));
  session.io->send(bytes_of(bad));
  expectations.check(session.io->closed(kAnswerTimeout), "a second half in memory that is not the host's ends it");
}

}  // namespace

unsigned attack_with_fused(const Where& where) {
  constexpr unsigned kCounts = 100;
  Expectations expectations;
  Session one = connect_all(where);
  Session two = connect_all(where);
  check_single_pairs(*one.io, expectations);
  check_torn_pairs(*one.io, expectations);

  const uint64_t begin = read_value(*one.io);
  std::thread other([&two] { count_up(*two.io, kCounts); });
  count_up(*one.io, kCounts);
  other.join();
  const uint64_t end = read_value(*one.io);
  expectations.check(end == begin + 2ULL * kCounts, "two hosts count up one block by pairs, and none is lost",
                     std::to_string(end - begin));
  leave_halves_behind(where, expectations);
  return expectations.failed();
}

}  // namespace nvmf::lab
