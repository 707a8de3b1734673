// What an RNIC does not flush, or flushes late, of a queue pair that has failed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "target/core/datapath/limits.h"
#include "tests/rnic/completion_queue.h"
#include "tests/rnic/queue_pair.h"
#include "tests/simulation/with_each_profile.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kUntilEndedNs = (core::limits::kFlushTimeoutMs + 1000) * uint64_t{1'000'000};

// Of its I/O queue.
rnic::QueuePair& target_end_of(World& world, Host& host) {
  return *world.fabric.find_queue_pair(static_cast<rnic::QueuePair*>(host.io(1).queue_pair())->attributes.dest_qp_num);
}

// The operator, of commands that are not flushed.
bool is_told(const World& world, const std::string& words) {
  return std::ranges::any_of(world.events, [&](const std::string& line) {
    return line.find("rnic0 has not completed the work of ") == 0 && line.find(words) != std::string::npos;
  });
}

// The device fails the target's end of a host's I/O queue while a disk has 4 reads and the RNIC reads the data of 4
// writes. The reads are answered at once, before the target has heard of the failure.
struct FailedUnderCommands {
  FailedUnderCommands(World& in, Host& host) : world(in), number(target_end_of(in, host).qp_num) {
    rnic::QueuePair& model = target_end_of(world, host);
    world.disk.hang(true);
    for (unsigned i = 0; i < 4; ++i)
      host.io(1).send(transfer_command(nvme_cmd_read, i * 128, 8), Direction::ToHost, Bytes(4096));
    REQUIRE(world.wait([&] { return world.disk.in_flight() == 4; }));
    for (unsigned i = 4; i < 8; ++i)
      host.io(1).send(transfer_command(nvme_cmd_write, i * 128, 128), Direction::ToController, pattern(65536, i));
    REQUIRE(world.wait([&] { return model.reads_posted() != 0; }));
    group().queue_sets().front()->visit_requests([&](const rdma::RdmaRequest& request) {
      if (request.queue_pair != nullptr) answers.push_back(request.completion_id(rdma::Completion::Response));
    });
    REQUIRE(answers.size() >= 5);
    model.fail();
    world.disk.hang(false);
  }
  rdma::PollGroup& group() const { return *world.transport()->rnics().front()->io_groups().front(); }
  bool is_ended_without_rnic() const { return is_told(world, "the target has ended them"); }
  // As an RNIC that flushes later than anybody waits for, and has given the queue pair's number to another one.
  void flush_late(uint32_t as_number) const {
    for (const uint64_t answer : answers) {
      rnic::Completion late;
      late.entry.wr_id = answer;
      late.entry.status = IBV_WC_WR_FLUSH_ERR;
      late.entry.qp_num = as_number;
      static_cast<rnic::CompletionQueue*>(group().queue_sets().front()->send_cq.get())->add(late);
    }
  }

  World& world;
  const uint32_t number;
  std::vector<uint64_t> answers{};
};

// siw flushes nothing that is posted then. Issue: such a command stayed under way for good.
TEST_CASE("answers to a queue pair that the device has just failed: the connection ends, with each provider") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    const FailedUnderCommands failed(world, host);
    CHECK(world.wait([&] { return world.transport()->connections() == 1; }, kUntilEndedNs));
    CHECK(failed.is_ended_without_rnic() == (world.device->profile().error_is_final));
    host.leave();
    Host another(world, options);
    REQUIRE_MESSAGE(another.bring_up(), another.failure);
    CHECK(another.read(1, 0, 8).ok());
    another.leave();
    world.check_quiet();
  });
}

TEST_CASE("an RNIC flushes nothing of a failed queue pair: it is reset, and its commands end, with each provider") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    world.device->lose_flushes(true);
    const FailedUnderCommands failed(world, host);
    REQUIRE(world.wait([&] { return failed.is_ended_without_rnic(); }, kUntilEndedNs));
    const rnic::QueuePair* const model = world.fabric.find_queue_pair(failed.number);
    REQUIRE(model != nullptr);
    CHECK(model->now == (world.device->profile().error_is_final ? IBV_QPS_ERR : IBV_QPS_RESET));
    CHECK(failed.group().dram().used_bytes() == 0);
    world.device->lose_flushes(false);
    CHECK(world.wait([&] { return world.transport()->connections() == 1; }));
    CHECK(world.transport()->counters().unflushed != 0);
    host.leave();
    world.check_quiet();
  });
}

// What the RNIC still has may be written to.
TEST_CASE("a queue pair that is not flushed cannot be reset: its commands keep their memory until it can") {
  World world({});
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  world.device->lose_flushes(true);
  world.device->refuse(IBV_QPS_RESET, true);
  const FailedUnderCommands failed(world, host);
  REQUIRE(world.wait([&] { return is_told(world, "its queue pair cannot be reset"); }, kUntilEndedNs));
  world.wait([] { return false; }, 3 * kUntilEndedNs);
  CHECK(failed.group().dram().used_bytes() != 0);
  CHECK_FALSE(failed.is_ended_without_rnic());
  Host another(world, {});
  REQUIRE_MESSAGE(another.bring_up(), another.failure);
  CHECK(another.read(1, 0, 8).ok());
  world.device->lose_flushes(false);
  world.device->refuse(IBV_QPS_RESET, false);
  CHECK(world.wait([&] { return failed.is_ended_without_rnic(); }, kUntilEndedNs));
  another.leave();
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("what an RNIC flushes after its commands have ended without it is nobody's, nor once it is destroyed") {
  World world({});
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  world.device->lose_flushes(true);
  const FailedUnderCommands failed(world, host);
  REQUIRE(world.wait([&] { return failed.is_ended_without_rnic(); }, kUntilEndedNs));
  world.device->lose_flushes(false);
  REQUIRE(world.transport()->connections() == 2);
  failed.flush_late(failed.number);
  CHECK(world.wait([&] { return world.transport()->connections() == 1; }));
  failed.flush_late(failed.number);
  Host another(world, {});
  REQUIRE_MESSAGE(another.bring_up(), another.failure);
  failed.flush_late(target_end_of(world, another).qp_num);
  for (int i = 0; i < 20; ++i) CHECK(another.read(1, 0, 8).ok());
  another.leave();
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// The queue pair goes on: the RNIC sends the answers, and the data before them, as soon as the host takes one.
TEST_CASE("a queue pair can neither be failed nor be reset: what it still sends is its own host's data") {
  for (const bool can_be_reset : {false, true}) {
    CAPTURE(can_be_reset);
    World world({});
    for (uint64_t block = 0; block < 64; ++block)
      std::memset(world.disk.block(1024 + block), 0xab, 1 << World::kLbaShift);
    Host host(world, {.keep_alive_ms = 500, .takes_answers = false});
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    std::vector<uint16_t> cids;
    for (int i = 0; i < 8; ++i)
      cids.push_back(host.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(4096)));
    world.wait([] { return false; }, 50'000'000);
    world.device->refuse(IBV_QPS_ERR, true);
    world.device->refuse(IBV_QPS_RESET, !can_be_reset);
    REQUIRE(world.wait([&] { return is_told(world, "of queue 1 of host "); }));
    world.device->refuse(IBV_QPS_ERR, false);

    // Another host's data goes through the buffers that came back, if any did.
    Host other(world, {.nqn = "nqn.2024-01.org.example:other", .hostid = 7, .address = World::kHostAddresses[1]});
    REQUIRE_MESSAGE(other.bring_up(), other.failure);
    for (int i = 0; i < 15; ++i) CHECK(other.read(1, 1024, 8).ok());
    Bytes room(sizeof(nvme::Cqe));
    ibv_qp* const queue_pair = host.io(1).queue_pair();
    const auto region = verbs::register_memory(queue_pair->pd, room.data(), room.size(), IBV_ACCESS_LOCAL_WRITE);
    ibv_sge piece{reinterpret_cast<uintptr_t>(room.data()), static_cast<uint32_t>(room.size()), region->lkey};
    ibv_recv_wr work{.wr_id = 0, .next = nullptr, .sg_list = &piece, .num_sge = 1};
    ibv_recv_wr* bad = nullptr;
    CHECK(ibv_post_recv(queue_pair, &work, &bad) == 0);
    world.wait([] { return false; }, 50'000'000);
    for (const uint16_t cid : cids) CHECK(host.io(1).received(cid).front() != std::byte{0xab});

    world.device->refuse(IBV_QPS_RESET, false);
    CHECK(world.wait([&] { return world.transport()->connections() == 2; }));
    other.leave();
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

TEST_CASE("data of writes is asked for on a queue pair that the device has just failed, with each provider") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    rnic::QueuePair& model = target_end_of(world, host);
    const auto& receives = *static_cast<rnic::CompletionQueue*>(model.recv_cq);
    for (int i = 0; i < 6; ++i)
      host.io(1).send(transfer_command(nvme_cmd_write, 0, 8), Direction::ToController, Bytes(4096));
    REQUIRE(world.wait([&] { return receives.waiting() != 0; }));
    model.fail();
    CHECK(world.wait([&] { return world.transport()->connections() == 1; }, kUntilEndedNs));
    host.leave();
    world.check_quiet();
  });
}

// What a disk has is not the RNIC's.
TEST_CASE("a host goes while a disk hangs longer than RNICs may take to flush, with each provider") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    world.disk.hang(true);
    for (int i = 0; i < 4; ++i) {
      host.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(4096));
      host.io(1).send(transfer_command(nvme_cmd_write, 0, 8), Direction::ToController, Bytes(4096));
    }
    REQUIRE(world.wait([&] { return world.disk.in_flight() == 8; }));
    host.vanish();
    world.wait([] { return false; }, 2 * kUntilEndedNs);
    CHECK(world.disk.in_flight() == 8);
    CHECK_FALSE(is_told(world, ""));
    world.disk.hang(false);
    CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
    world.check_quiet();
  });
}

TEST_CASE("a host that takes no answers is missed: its connections are gone within 2 s, with each provider") {
  with_each_profile([](World& world, HostOptions options) {
    options.keep_alive_ms = 500;
    options.takes_answers = false;
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    for (int i = 0; i < 8; ++i) host.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(4096));
    REQUIRE(world.wait([&] { return world.target.counters.keep_alive_expiries == 1; }));
    CHECK(world.wait([&] { return world.transport()->connections() == 0; }, 2'000'000'000));
    world.check_quiet();
  });
}

}  // namespace
}  // namespace nvmf::simulation
