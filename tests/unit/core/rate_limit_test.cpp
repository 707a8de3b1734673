#include "target/core/datapath/rate_limit.h"

#include <doctest/doctest.h>

#include <array>
#include <thread>
#include <vector>

#include "target/core/datapath/queue.h"

using namespace nvmf::core;

namespace {

constexpr uint64_t kStart = 1'000'000'000'000;  // nanoseconds
constexpr uint64_t kSecond = 1'000'000'000;

struct Commands {
  Commands() { queues[1].share = 1; }

  IoNamespace ns;
  Queue queues[2];
  std::vector<Request> requests = std::vector<Request>(64);

  Request& make(size_t number, unsigned queue, uint32_t bytes = 512) {
    Request& request = requests[number];
    request.queue = &queues[queue];
    request.ns = &ns;
    request.length_bytes = bytes;
    return request;
  }
};

TEST_CASE("A limit of commands: after the burst, one for each share of a second") {
  RateLimit limit(1000, 0);
  unsigned at_once = 0;
  while (limit.book(1, 1 << 20, kStart) <= kStart) ++at_once;
  CHECK(at_once == 11);  // the first, and 10 ms
  uint64_t last = 0;
  for (int i = 0; i < 999; ++i) last = limit.book(1, 0, kStart);
  CHECK(last == kStart + 1000 * kSecond / 1000);
}

TEST_CASE("A limit of bytes: long commands cost more") {
  RateLimit limit(0, 1 << 20);
  limit.book(1, 1 << 20, kStart);
  CHECK(limit.book(1, 0, kStart) == kStart - RateLimit::kBurstNs + kSecond);
  limit.book(1, 1 << 19, kStart);
  CHECK(limit.book(1, 0, kStart) == kStart - RateLimit::kBurstNs + kSecond * 3 / 2);
}

TEST_CASE("Both limits: the stricter one counts") {
  RateLimit limit(1'000'000, 1 << 20);
  limit.book(1, 1 << 20, kStart);
  CHECK(limit.book(1, 512, kStart) > kStart + kSecond / 2);
  RateLimit of_commands(1, uint64_t{1} << 40);
  of_commands.book(1, 512, kStart);
  CHECK(of_commands.book(1, 512, kStart) > kStart + kSecond / 2);
}

TEST_CASE("What was not used is not saved beyond the burst") {
  RateLimit limit(1000, 0);
  limit.book(1, 0, kStart);
  const uint64_t later = kStart + 100 * kSecond;
  unsigned at_once = 0;
  while (limit.book(1, 0, later) <= later) ++at_once;
  CHECK(at_once == 11);
}

TEST_CASE("Several reactors share one limit: together they get what it says") {
  RateLimit limit(1'000'000, 0);
  std::array<std::thread, 4> reactors;
  for (std::thread& reactor : reactors)
    reactor = std::thread([&limit] {
      for (int n = 0; n < 10'000; ++n) limit.book(1, 0, kStart);
    });
  for (std::thread& reactor : reactors) reactor.join();
  CHECK(limit.book(1, 0, kStart) == kStart - RateLimit::kBurstNs + uint64_t{40'000} * 1000);
}

TEST_CASE("Commands over the limit wait and are due one after the other, hosts in turn") {
  Commands c;
  RateLimit limit(100, 0);
  Throttle throttle(limit);
  CHECK(throttle.due_ns() == Throttle::kNever);
  CHECK(throttle.admit(c.make(0, 0), kStart));
  CHECK(throttle.admit(c.make(1, 0), kStart));  // the burst: 10 ms is one command's share
  for (size_t i = 2; i < 6; ++i) CHECK_FALSE(throttle.admit(c.make(i, 0), kStart));
  CHECK_FALSE(throttle.admit(c.make(6, 1), kStart));
  CHECK(throttle.take_due(kStart) == nullptr);

  const size_t order[] = {2, 6, 3, 4, 5};
  for (const size_t number : order) {
    const uint64_t due = throttle.due_ns();
    CHECK(throttle.take_due(due - 1) == nullptr);
    CHECK(throttle.take_due(due) == &c.requests[number]);
    CHECK(throttle.take_due(due) == nullptr);
  }
  CHECK(throttle.due_ns() == Throttle::kNever);
}

TEST_CASE("A reactor that wakes late loses nothing") {
  Commands c;
  RateLimit limit(1000, 0);
  Throttle throttle(limit);
  size_t number = 0;
  while (throttle.admit(c.make(number, 0), kStart)) ++number;
  for (size_t i = number + 1; i < number + 6; ++i) CHECK_FALSE(throttle.admit(c.make(i, 0), kStart));
  const uint64_t late = throttle.due_ns() + 5'000'000;
  unsigned resumed = 0;
  while (throttle.take_due(late) != nullptr) ++resumed;
  CHECK(resumed == 6);
}

TEST_CASE("A limit that is lifted keeps nobody waiting, and books nothing") {
  Commands c;
  RateLimit limit(1, 0);
  Throttle throttle(limit);
  CHECK(throttle.admit(c.make(0, 0), kStart));
  for (size_t i = 1; i < 4; ++i) CHECK_FALSE(throttle.admit(c.make(i, 0), kStart));
  const uint64_t booked = throttle.due_ns();
  throttle.lift();
  CHECK(throttle.due_ns() <= kStart);
  for (size_t i = 1; i < 4; ++i) CHECK(throttle.take_due(kStart) == &c.requests[i]);
  CHECK(throttle.due_ns() == Throttle::kNever);
  CHECK(throttle.admit(c.make(4, 0), kStart));
  CHECK(limit.book(1, 0, kStart) == booked + kSecond);
}

TEST_CASE("The waiting commands of a queue that goes are dropped, the others stay") {
  Commands c;
  RateLimit limit(1, 0);
  Throttle throttle(limit);
  CHECK(throttle.admit(c.make(0, 0), kStart));
  for (size_t i = 1; i < 7; ++i) CHECK_FALSE(throttle.admit(c.make(i, i % 2), kStart));
  for (size_t i = 1; i < 7; i += 2) CHECK(throttle.remove(c.requests[i]));
  unsigned resumed = 0;
  for (uint64_t now = kStart; throttle.due_ns() != Throttle::kNever; now += kSecond)
    while (throttle.take_due(now) != nullptr) ++resumed;
  CHECK(resumed == 3);
}

TEST_CASE("Bytes that are known late are charged to those who come after") {
  Commands c;
  RateLimit limit(0, 1 << 20);
  Throttle throttle(limit);
  CHECK(throttle.admit(c.make(0, 0), steady_ns()));
  throttle.charge(uint64_t{3600} << 20);
  CHECK_FALSE(throttle.admit(c.make(1, 0), steady_ns()));
}

TEST_CASE("Write Zeroes costs its blocks where they are written out, nothing where the disk has the command") {
  for (const bool own : {false, true}) {
    Commands c;
    RateLimit limit(0, 1 << 20);
    Throttle throttle(limit);
    Request& zeroes = c.make(0, 0, 0);
    zeroes.kind = IoKind::WriteZeroes;
    zeroes.blocks = 4096;
    c.ns.supports_write_zeroes = own;
    CHECK(throttle.admit(zeroes, kStart));
    CHECK(throttle.admit(c.make(1, 0), kStart) == own);
  }
}

TEST_CASE("Verify costs the blocks that it reads") {
  Commands c;
  RateLimit limit(0, 1 << 20);
  Throttle throttle(limit);
  Request& verify = c.make(0, 0, 0);
  verify.kind = IoKind::Verify;
  verify.blocks = 4096;
  CHECK(throttle.admit(verify, kStart));
  CHECK_FALSE(throttle.admit(c.make(1, 0), kStart));
  CHECK(throttle.due_ns() == kStart - RateLimit::kBurstNs + 2 * kSecond);
}

}  // namespace
