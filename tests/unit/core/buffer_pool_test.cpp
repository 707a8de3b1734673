#include "target/core/datapath/buffer_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"

using namespace nvmf::core;

namespace {

constexpr uint32_t kPage = 4096;

// The pool never touches its memory, so an address does.
Buffer region(uint32_t length_bytes) {
  Buffer buffer;
  buffer.address = std::bit_cast<std::byte*>(uintptr_t{1} << 40);
  buffer.length_bytes = length_bytes;
  buffer.lkey = 77;
  buffer.fixed_index = 3;
  buffer.kind = MemoryKind::Cmb;
  return buffer;
}

size_t offset_in(const Buffer& whole, const Buffer& part) { return static_cast<size_t>(part.address - whole.address); }

// What the pool promises: inside the region, on a page boundary, and disjoint from every other buffer in use.
class Model {
 public:
  explicit Model(const Buffer& whole) : whole_(whole) {}

  void add(const Buffer& buffer) {
    const size_t begin = offset_in(whole_, buffer);
    const size_t end = begin + buffer.length_bytes;
    REQUIRE(begin % kPage == 0);
    REQUIRE(end <= whole_.length_bytes);
    const auto after = lent_.lower_bound(begin);
    REQUIRE((after == lent_.end() || after->first >= end));
    REQUIRE((after == lent_.begin() || std::prev(after)->second <= begin));
    lent_[begin] = end;
  }
  void remove(const Buffer& buffer) { lent_.erase(offset_in(whole_, buffer)); }

 private:
  Buffer whole_;
  std::map<size_t, size_t> lent_;
};

std::vector<Buffer> take_all(BufferPool& pool, uint32_t length_bytes) {
  std::vector<Buffer> buffers;
  for (Buffer buffer; pool.allocate(length_bytes, buffer);) buffers.push_back(buffer);
  return buffers;
}

void give_back(BufferPool& pool, const std::vector<Buffer>& buffers) {
  for (const Buffer& buffer : buffers) pool.release(buffer);
}

}  // namespace

TEST_CASE("A buffer carries what its region is registered as") {
  BufferPool pool(region(16 * kPage), 16 * kPage);
  Buffer buffer;
  REQUIRE(pool.allocate(5000, buffer));
  CHECK(buffer.length_bytes == 5000);
  CHECK(buffer.lkey == 77);
  CHECK(buffer.fixed_index == 3);
  CHECK(buffer.kind == MemoryKind::Cmb);
  CHECK(buffer.pool == &pool);
  CHECK(pool.used_bytes() == 2 * kPage);
  pool.release(buffer);
  CHECK(pool.used_bytes() == 0);
}

TEST_CASE("All of a region can be lent out in the smallest and the largest size, again and again") {
  for (const uint32_t pages : {1u, 2u, 3u, 7u, 16u, 100u, 1023u}) {
    CAPTURE(pages);
    BufferPool pool(region(pages * kPage + 100), 64 * kPage);
    for (int round = 0; round < 3; ++round) {
      const auto small = take_all(pool, 1);
      CHECK(small.size() == pages);
      CHECK(pool.used_bytes() == pool.size_bytes());
      give_back(pool, small);
      const auto large = take_all(pool, pool.max_buffer_bytes());
      CHECK(large.size() == pages * kPage / pool.max_buffer_bytes());
      give_back(pool, large);
      CHECK(pool.used_bytes() == 0);
    }
  }
}

TEST_CASE("A region may be longer than one buffer can say: 4 GiB, and more") {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  for (const uint64_t bytes : {4 * kGiB, 5 * kGiB + kPage}) {
    CAPTURE(bytes);
    BufferPool pool(region(0), bytes, 1 << 30);
    CHECK(pool.size_bytes() == bytes);
    CHECK(pool.max_buffer_bytes() == kGiB);
    const auto large = take_all(pool, 1 << 30);
    CHECK(large.size() == bytes / kGiB);
    std::set<std::byte*> places;
    for (const Buffer& buffer : large) places.insert(buffer.address);
    CHECK(places.size() == large.size());
    CHECK(offset_in(region(0), *std::ranges::max_element(large, [](const Buffer& a, const Buffer& b) {
                      return a.address < b.address;
                    })) >= 3 * kGiB);
    give_back(pool, large);
    CHECK(pool.used_bytes() == 0);
  }
}

TEST_CASE("The largest buffer is cut to the region, and to a power of two") {
  CHECK(BufferPool(region(100 * kPage), 1 << 20).max_buffer_bytes() == 64 * kPage);
  CHECK(BufferPool(region(1024 * kPage), 1 << 20).max_buffer_bytes() == 1 << 20);
  BufferPool nothing(region(100), 1 << 20);
  Buffer buffer;
  CHECK(nothing.max_buffer_bytes() == 0);
  CHECK_FALSE(nothing.allocate(1, buffer));
}

TEST_CASE("Random allocation against a model: buffers never overlap, and all memory comes back") {
  std::mt19937 random(20240607);
  for (const uint32_t pages : {37u, 256u, 1000u}) {
    BufferPool pool(region(pages * kPage), 256 * kPage);
    Model model(region(pages * kPage));
    std::vector<Buffer> lent;
    for (int step = 0; step < 20000; ++step) {
      if (!lent.empty() && random() % 2 == 0) {
        std::swap(lent[random() % lent.size()], lent.back());
        model.remove(lent.back());
        pool.release(lent.back());
        lent.pop_back();
        continue;
      }
      const uint32_t length = 1 + static_cast<uint32_t>(random()) % (kPage << random() % 7);
      Buffer buffer;
      if (length > pool.max_buffer_bytes() || !pool.allocate(length, buffer)) continue;
      model.add(buffer);
      lent.push_back(buffer);
    }
    give_back(pool, lent);
    CHECK(pool.used_bytes() == 0);
    CHECK(take_all(pool, pool.max_buffer_bytes()).size() == pages * kPage / pool.max_buffer_bytes());
  }
}

TEST_CASE("The buffer that came back last is lent again, and all that came back make up a larger one") {
  constexpr uint32_t kPages = 64;
  BufferPool pool(region(kPages * kPage), kPages * kPage);
  std::vector<Buffer> small = take_all(pool, kPage);
  give_back(pool, small);
  Buffer again;
  REQUIRE(pool.allocate(kPage, again));
  CHECK(again.address == small[31].address);  // the last of the 32 that were kept
  pool.release(again);
  for (const uint32_t pages : {2u, 16u, kPages}) {
    CAPTURE(pages);
    const std::vector<Buffer> large = take_all(pool, pages * kPage);
    CHECK(large.size() == kPages / pages);
    give_back(pool, large);
  }
}

TEST_CASE("A whole block is left alone while a smaller one is free") {
  BufferPool pool(region(32 * kPage), 16 * kPage);
  Buffer one, two, large;
  REQUIRE(pool.allocate(kPage, one));
  REQUIRE(pool.allocate(8 * kPage, two));
  CHECK(pool.allocate(16 * kPage, large));
}

namespace {

// A pool of one page, whose last owner gives it back.
struct SmallPool : BufferPool {
  SmallPool() : BufferPool(region(kPage), kPage) { take_page(); }
  ~SmallPool() { release(page); }
  void take_page() { REQUIRE(allocate(kPage, page, kNobody)); }

  static constexpr uint16_t kNobody = 99;
  Buffer page;
};

// Serves waiting requests one by one and names them by their cid.
std::vector<int> served(SmallPool& pool, size_t most = 100) {
  std::vector<int> order;
  while (order.size() < most) {
    pool.release(pool.page);
    Request* const request = pool.serve_next();
    if (request != nullptr) order.push_back(request->cqe.cid), pool.release(request->data);
    pool.take_page();
    if (request == nullptr) break;
  }
  return order;
}

struct Waiters {
  Waiters() { a.share = 1, b.share = 2, c.share = 1 + 64; }  // a and c are in one bucket of the list

  Queue a, b, c;
  std::vector<Request> requests = std::vector<Request>(16);
  unsigned used = 0;

  // The requests of a queue stop waiting; returns their names.
  std::vector<int> drop(BufferPool& pool, const Queue& queue) {
    std::vector<int> names;
    for (Request& request : requests)
      if (request.queue == &queue && pool.remove_waiter(request)) names.push_back(request.cqe.cid);
    return names;
  }
  Request& wait(BufferPool& pool, Queue& queue, int name) {
    Request& request = requests[used++];
    request.queue = &queue;
    request.cqe.cid = static_cast<uint16_t>(name);
    request.length_bytes = kPage;
    pool.wait(request);
    return request;
  }
};

}  // namespace

TEST_CASE("Hosts that wait for a buffer take turns, and each host's requests stay in order") {
  SmallPool pool;
  Waiters w;
  CHECK_FALSE(pool.has_waiters());
  for (const int name : {11, 12, 13, 14}) w.wait(pool, w.a, name);
  for (const int name : {21, 22}) w.wait(pool, w.b, name);
  w.wait(pool, w.c, 31);
  CHECK(served(pool) == std::vector<int>{11, 21, 31, 12, 22, 13, 14});
}

TEST_CASE("Two queues of one host have one turn") {
  SmallPool pool;
  Waiters w;
  w.c.share = w.a.share;
  for (const int name : {11, 12}) w.wait(pool, w.a, name);
  w.wait(pool, w.c, 31);
  for (const int name : {21, 22}) w.wait(pool, w.b, name);
  CHECK(served(pool) == std::vector<int>{11, 21, 12, 22, 31});
}

TEST_CASE("A host that waits again after its turn comes after those that wait already") {
  SmallPool pool;
  Waiters w;
  for (const int name : {11, 12}) w.wait(pool, w.a, name);
  w.wait(pool, w.b, 21);
  CHECK(served(pool, 2) == std::vector<int>{11, 21});
  w.wait(pool, w.b, 22);
  w.wait(pool, w.a, 13);
  CHECK(served(pool) == std::vector<int>{12, 22, 13});
}

TEST_CASE("A queue waits for two pools at once") {
  SmallPool one, two;
  Waiters w;
  w.wait(one, w.a, 11);
  w.wait(two, w.a, 12);
  w.wait(one, w.a, 13);
  w.wait(two, w.b, 21);
  CHECK(served(one) == std::vector<int>{11, 13});
  CHECK(served(two) == std::vector<int>{12, 21});
}

TEST_CASE("A queue that goes away leaves the waiting requests of its host's other queues") {
  SmallPool pool;
  Waiters w;
  w.c.share = w.a.share;
  for (const int name : {11, 12}) w.wait(pool, w.a, name);
  w.wait(pool, w.c, 31);
  w.wait(pool, w.b, 21);
  w.wait(pool, w.a, 13);
  w.wait(pool, w.c, 32);
  CHECK(w.drop(pool, w.a).size() == 3);
  w.wait(pool, w.c, 33);
  CHECK(served(pool) == std::vector<int>{31, 21, 32, 33});
}

TEST_CASE("A queue that goes away takes its waiting requests with it, wherever its turn is") {
  for (int gone = 0; gone < 3; ++gone) {
    SmallPool pool;
    Waiters w;
    Queue* queues[] = {&w.a, &w.b, &w.c};
    for (int round = 1; round <= 2; ++round)
      for (int i = 0; i < 3; ++i) w.wait(pool, *queues[i], 10 * i + round);
    CHECK(w.drop(pool, *queues[gone]) == std::vector<int>{10 * gone + 1, 10 * gone + 2});

    w.wait(pool, *queues[gone], 99);
    std::vector<int> expected;
    for (int round = 1; round <= 2; ++round) {
      for (int i = 0; i < 3; ++i)
        if (i != gone) expected.push_back(10 * i + round);
      if (round == 1) expected.push_back(99);
    }
    CHECK(served(pool) == expected);
  }
}

TEST_CASE("A request that is removed leaves the others in their order, wherever it waits") {
  const std::vector<int> order{11, 21, 31, 12, 22, 13};
  for (const int gone : order) {
    CAPTURE(gone);
    SmallPool pool;
    Waiters w;
    Request* removed = nullptr;
    const auto wait = [&](Queue& queue, int name) {
      Request& request = w.wait(pool, queue, name);
      if (name == gone) removed = &request;
    };
    for (const int name : {11, 12, 13}) wait(w.a, name);
    for (const int name : {21, 22}) wait(w.b, name);
    wait(w.c, 31);
    REQUIRE(removed != nullptr);
    CHECK(pool.remove_waiter(*removed));
    CHECK_FALSE(pool.remove_waiter(*removed));
    w.wait(pool, w.c, 99);
    std::multiset<int> left(order.begin(), order.end());
    left.erase(gone);
    left.insert(99);
    std::vector<int> names = served(pool);
    std::map<int, int> last_of_queue;
    for (const int name : names) {
      CHECK(last_of_queue[name / 10] < name);
      last_of_queue[name / 10] = name;
    }
    CHECK(std::multiset<int>(names.begin(), names.end()) == left);
    CHECK_FALSE(pool.has_waiters());
  }
}

// Shares --------------------------------------------------------------------------------------------------------------

namespace {

struct Hosts {
  Hosts() {
    for (unsigned i = 0; i < queues.size(); ++i) queues[i].share = static_cast<uint16_t>(i);
  }

  // Null: it was not served, and waits.
  Request* ask(unsigned host, uint32_t pages) {
    Request& request = requests[used++];
    request.queue = &queues[host];
    request.length_bytes = pages * kPage;
    if (pool.take(request)) return &request;
    pool.wait(request);
    return nullptr;
  }
  // As many as it gets.
  std::vector<Request*> take_all(unsigned host, uint32_t pages) {
    std::vector<Request*> taken;
    while (Request* const request = ask(host, pages)) taken.push_back(request);
    drop(host);
    return taken;
  }
  void drop(unsigned host) {
    for (Request& request : requests)
      if (request.queue == &queues[host]) pool.remove_waiter(request);
  }
  void give_back(Request* request) { pool.release(request->data); }

  BufferPool pool{region(256 * kPage), 64 * kPage};
  std::vector<Queue> queues = std::vector<Queue>(8);
  std::vector<Request> requests = std::vector<Request>(2000);
  unsigned used = 0;
};

uint64_t over_share(const Queue& queue) { return queue.traffic.over_share.get(); }

}  // namespace

TEST_CASE("A host alone can use three quarters of a pool, and each further one leaves as much of the rest") {
  Hosts hosts;
  CHECK(hosts.take_all(0, 1).size() == 192);
  CHECK(hosts.pool.held_bytes(0) == 192 * kPage);
  CHECK(hosts.take_all(1, 1).size() == 48);
  CHECK(hosts.take_all(2, 1).size() == 12);
  CHECK(hosts.take_all(3, 1).size() == 3);
  CHECK(hosts.take_all(4, 1).size() == 1);
  CHECK(hosts.take_all(5, 1).empty());  // now there is nothing left at all
  CHECK(over_share(hosts.queues[0]) == 1);
  CHECK(over_share(hosts.queues[5]) == 0);
}

TEST_CASE("A host that holds nothing gets the largest buffer, if there is one") {
  Hosts hosts;
  CHECK(hosts.take_all(0, 64).size() == 3);
  CHECK(hosts.ask(1, 64) != nullptr);
  CHECK(hosts.pool.used_bytes() == hosts.pool.size_bytes());
}

TEST_CASE("A host that has used up its share waits, and keeps nobody waiting") {
  Hosts hosts;
  Request* held = nullptr;
  while (Request* const request = hosts.ask(0, 1)) held = request;
  CHECK(hosts.ask(0, 1) == nullptr);
  CHECK_FALSE(hosts.pool.is_dry());
  for (int i = 0; i < 20; ++i) {
    Request* const other = hosts.ask(1, 2);
    REQUIRE(other != nullptr);
    hosts.give_back(other);
    CHECK(hosts.pool.serve_next() == nullptr);
  }
  hosts.give_back(held);
  CHECK(hosts.pool.serve_next() != nullptr);
  CHECK(hosts.pool.serve_next() == nullptr);
}

TEST_CASE("Who may have memory when there is none comes before all that come later, but not behind those over theirs") {
  Hosts hosts;
  Request* const first = hosts.ask(0, 64);
  REQUIRE(first != nullptr);
  hosts.take_all(0, 16);
  CHECK(hosts.ask(1, 16) != nullptr);
  CHECK(hosts.ask(2, 64) == nullptr);  // 48 pages are free
  CHECK(hosts.pool.is_dry());
  CHECK(hosts.ask(0, 64) == nullptr);
  CHECK(hosts.ask(3, 1) == nullptr);
  CHECK(hosts.pool.serve_next() == nullptr);
  hosts.give_back(first);
  const Request* const served = hosts.pool.serve_next();
  REQUIRE(served != nullptr);
  CHECK(served->queue == &hosts.queues[2]);
  REQUIRE(hosts.pool.serve_next() != nullptr);  // host 3: host 0 is over its share again
  CHECK(hosts.pool.serve_next() == nullptr);
  CHECK_FALSE(hosts.pool.is_dry());
}

TEST_CASE("When the request that the pool was too dry for goes away, those behind it are served") {
  Hosts hosts;
  while (hosts.ask(0, 16) != nullptr) continue;
  CHECK(hosts.ask(1, 16) != nullptr);
  CHECK(hosts.ask(2, 64) == nullptr);
  CHECK(hosts.ask(3, 1) == nullptr);
  hosts.drop(2);
  const Request* const served = hosts.pool.serve_next();
  REQUIRE(served != nullptr);
  CHECK(served->queue == &hosts.queues[3]);
}

// Issue: the pool stayed dry, and with all of its memory free the next request waited for somebody to give some back.
TEST_CASE("When the only request that waits goes away, the pool is not dry any more") {
  Hosts hosts;
  std::vector<Request*> held;
  for (const unsigned host : {0u, 1u})
    while (Request* const request = hosts.ask(host, 16)) held.push_back(request);
  hosts.drop(0);
  hosts.drop(1);
  REQUIRE(hosts.ask(2, 64) == nullptr);
  REQUIRE(hosts.pool.is_dry());
  hosts.drop(2);
  CHECK_FALSE(hosts.pool.is_dry());
  for (Request* const request : held) hosts.give_back(request);
  CHECK(hosts.ask(3, 64) != nullptr);
}

TEST_CASE("A small command does not overtake a large one of its own host for ever") {
  Hosts hosts;
  std::vector<Request*> held = hosts.take_all(0, 1);
  CHECK(hosts.ask(0, 32) == nullptr);
  // 192 pages held and 64 free: 8 pages on, 32 more are within the share.
  for (int i = 0; i < 7; ++i) {
    hosts.give_back(held.back());
    held.pop_back();
    CHECK(hosts.pool.serve_next() == nullptr);
    CHECK(hosts.ask(0, 1) == nullptr);
  }
  hosts.give_back(held.back());
  const Request* const served = hosts.pool.serve_next();
  REQUIRE(served != nullptr);
  CHECK(served->length_bytes == 32 * kPage);
}
