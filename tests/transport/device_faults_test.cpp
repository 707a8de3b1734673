// What RNICs do that Soft-RoCE does not.
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "tests/transport/network.h"

namespace nvmf::test {

TEST_CASE("a failed shared receive queue, or completion queue, ends its hosts and is made anew for the next ones") {
  for (const bool srq : {true, false}) {
    CAPTURE(srq);
    Network network(rnic::connectx());
    ModelHost before(network);
    REQUIRE(before.connect());
    if (srq)
      Network::receives(network.group()).fail();
    else
      static_cast<rnic::CompletionQueue*>(network.group().queue_sets().front()->receive_cq.get())->fail();
    CHECK(network.run_until([&] { return network.said("created again; the hosts reconnect"); }));
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.run_until([&] { return network.said("the queues of a reactor were created again"); }));

    ModelHost after(network);
    REQUIRE(after.connect());
    for (unsigned i = 1; i <= 40; ++i) {
      after.take_answers(1);
      after.send_command();
      REQUIRE(network.run_until([&] { return after.is_answered(i); }));
    }
  }
}

// irdma: only what is posted before is flushed by the device itself. Where nothing is, a timer ends it, and timers take
// real time here: the simulation has that.
TEST_CASE("an answer that is posted to a queue pair that the device has failed comes home, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    if (profile.error_is_final) continue;
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost host(network);
    REQUIRE(host.connect());
    host.send_command();
    host.send_too_long_a_message();
    for (int i = 0; i < 40; ++i) network.fabric.schedule().step();  // the target has not looked yet
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.group().commands_in_flight() == 0);
  }
}

// ucma_shutdown(): for iWARP, disconnecting moves the queue pair to SQD, where nothing is flushed.
TEST_CASE("a host goes while an answer waits for its receive: its connection ends at once, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost host(network);
    REQUIRE(host.connect());
    host.send_command();
    for (int i = 0; i < 200; ++i) network.step();
    const uint64_t begin_ns = network.fabric.now_ns();
    host.leave();
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.fabric.now_ns() - begin_ns < 500'000'000);
  }
}

// The device goes on for a moment: its queue pairs are destroyed after its removal is told.
TEST_CASE("answers that leave after the target has given a removed device up are nobody's any more") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Network network(profile, seed);
      ModelHost host(network, 1);
      REQUIRE(host.connect());
      host.take_answers(ModelHost::kDepth);
      for (unsigned i = 0; i < ModelHost::kDepth; ++i) host.send_command();
      network.stall(2'000'000);
      network.io_group().poll();  // finds all, and posts the answers
      network.io_group().flush();
      network.fabric.remove(network.device);
      CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
      CHECK(network.io_group().commands_in_flight() == 0);
    }
  }
}

// The reactor hears that its queues have failed while it polls: in the message that makes a new queue pair known.
TEST_CASE("what a reactor's turn has linked when its group's queues fail ends once") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost known(network, 1), unknown(network, 1);
    REQUIRE(known.connect());
    network.settle();
    network.mailbox_waits = true;
    REQUIRE(unknown.connect());
    known.take_answers(1);
    known.send_command();
    network.stall(1'000'000);
    unknown.send_command();
    network.stall(1'000'000);
    Network::receives(network.io_group()).fail();
    network.stall(10'000'000);
    while (!network.said("created again; the hosts reconnect")) network.io.poll();
    network.io_group().poll();
    network.io_group().flush();
    network.mailbox_waits = false;
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.io_group().commands_in_flight() == 0);
    CHECK(network.run_until([&] { return network.said("the queues of a reactor were created again"); }));
  }
}

// Later than the target waits for an RNIC that does not say when it is done with a queue pair.
TEST_CASE("a capsule that comes after its queue pair was given back: its slot is posted again, once") {
  Network network(rnic::soft_roce());
  std::function<void()> destroy, destroyed;
  network.transport->destroy_elsewhere = [&](std::function<void()> work, std::function<void()> done) {
    destroy = std::move(work);
    destroyed = std::move(done);
  };
  network.settle();
  rnic::SharedReceiveQueue& receives = Network::receives(network.group());
  const size_t slots = receives.posted();
  {
    ModelHost host(network);
    REQUIRE(host.connect());
  }
  REQUIRE(network.run_until([&] { return destroy != nullptr; }));
  rnic::Completion late;
  late.entry.wr_id = receives.take()->wr_id;
  late.entry.status = IBV_WC_SUCCESS;
  late.entry.byte_len = 64;
  late.entry.qp_num = 12345;
  late.receives = &receives;
  static_cast<rnic::CompletionQueue*>(network.group().queue_sets().front()->receive_cq.get())->add(late);
  network.settle();
  CHECK(receives.posted() == slots);
  network.transport->destroy_elsewhere = nullptr;
  destroy();
  destroyed();
}

// Providers of which most count the room of an entry as free when its completion is polled. Here none comes.
TEST_CASE("receive slots that find no room in their queue again are missed by nobody but new hosts") {
  rnic::Profile profile = rnic::connectx();
  profile.reports_half_received = false;
  profile.rounds_up_queues = false;
  profile.max_srq_wr = 2 * ModelHost::kDepth;
  Network network(profile);
  network.device.set_mtu(IBV_MTU_1024);
  network.settle();
  {
    ModelHost busy(network, 1);
    REQUIRE(busy.connect());
    for (unsigned round = 1; round <= 100; ++round) {
      CAPTURE(round);
      ModelHost hostile(network, 1);
      REQUIRE(hostile.connect());
      hostile.take_answers(1);
      hostile.send_command();
      REQUIRE(network.run_until([&] { return hostile.is_answered(1); }));
      hostile.send_half_a_capsule();
      for (int i = 0; i < 50; ++i) network.step();
      hostile.leave();
      REQUIRE(network.run_until([&] { return network.transport->connections() == 1; }));
      busy.take_answers(1);
      busy.send_command();
      REQUIRE(network.run_until([&] { return busy.is_answered(round); }));
    }
    CHECK(network.io_group().queue_sets().size() > 1);
  }
  // With the last host gone the queues are made anew.
  CHECK(network.run_until([&] { return network.said("the queues of a reactor were created again"); }));
  for (const auto& queues : network.io_group().queue_sets())
    CHECK(static_cast<rnic::SharedReceiveQueue*>(queues->shared_receives.get())->posted() == queues->slots);
  ModelHost next(network, 1);
  REQUIRE(next.connect());
  next.take_answers(1);
  next.send_command();
  CHECK(network.run_until([&] { return next.is_answered(1); }));
}

std::string failure_to_open(Network& network, const core::Port& port) {
  try {
    open_device(network.io, *network.transport, port);
  } catch (const verbs::VerbsError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("an RNIC without shared receive queues is refused, and the message says that it has none") {
  Network network(rnic::connectx());
  network.fabric.add_device("rocep1s0", "192.0.2.2", rnic::irdma_gen2());
  const std::string failure = failure_to_open(network, {.id = 2, .address = "192.0.2.2", .service = 4420});
  CHECK(failure.find("rocep1s0: this RNIC's driver has no shared receive queues, which nvmf-p2p needs: use an RNIC "
                     "whose driver has them") == 0);
  CHECK(network.transport->rnics().size() == 1);
}

TEST_CASE("an iWARP RNIC is refused unless the operator names it, and the message says why") {
  Network network(rnic::connectx());
  network.fabric.add_device("siw0", "192.0.2.2", rnic::siw());
  const core::Port port{.id = 2, .address = "192.0.2.2", .service = 4420};
  const std::string failure = failure_to_open(network, port);
  CHECK(failure.find("siw0: this RNIC's transport is iWARP, where a host that knows or guesses a memory key can "
                     "overwrite the data of other hosts, so it is not served; \"iwarp\": true for it") == 0);
  network.transport->set_iwarp({"siw0"});
  CHECK(failure_to_open(network, port).empty());
}

// What others could otherwise overwrite: objects with addresses of functions.
TEST_CASE("no region that a host can write to holds anything but data, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    network.transport->rnics().front()->visit([&](rdma::PollGroup& group) {
      group.queue_sets().front()->visit_requests([&](const rdma::RdmaRequest& request) {
        for (const auto& [key, region] : network.device.regions) {
          const auto* const begin = static_cast<const std::byte*>(region->addr);
          const auto* const at = reinterpret_cast<const std::byte*>(&request);
          if (at >= begin && at < begin + region->length) CHECK((region->access & IBV_ACCESS_REMOTE_WRITE) == 0);
        }
      });
    });
    const bool opens_data = profile.transport == IBV_TRANSPORT_IWARP;
    CHECK(std::ranges::any_of(network.device.regions, [](const auto& one) {
            return (one.second->access & IBV_ACCESS_REMOTE_WRITE) != 0;
          }) == opens_data);
  }
}

TEST_CASE("memory that an RNIC cannot register: the message says what to change, and the device opens once it can") {
  Network network(rnic::connectx());
  rnic::Device& device = network.fabric.add_device("rnic1", "192.0.2.2", rnic::connectx());
  const core::Port port{.id = 2, .address = "192.0.2.2", .service = 4420};
  device.limit_memory(1U << 20U);
  const std::string failure = failure_to_open(network, port);
  CHECK(failure.find("rnic1: cannot register ") == 0);
  CHECK(failure.find("raise the locked-memory limit") != std::string::npos);
  CHECK(failure.find("\"dram_pool_mib\" smaller") != std::string::npos);
  CHECK(device.objects() == 0);
  device.limit_memory(std::nullopt);
  CHECK(failure_to_open(network, port).empty());
  CHECK(network.transport->rnics().size() == 2);
}

// Issue: no exception may leave a handler of the control thread.
TEST_CASE("memory that runs out when a host connects: this host is refused, and the next one is served") {
  NetworkOptions options;
  options.groups.initial_slots = ModelHost::kDepth;
  Network network(rnic::connectx(), options);
  ModelHost first(network, 1), second(network, 1), third(network, 1);
  REQUIRE(first.connect());
  network.device.limit_memory(4096);
  CHECK_FALSE(second.connect());
  CHECK(network.said("cannot register "));
  network.device.limit_memory(std::nullopt);
  REQUIRE(third.connect());
  for (ModelHost* const host : {&first, &third}) {
    host->take_answers(1);
    host->send_command();
    CHECK(network.run_until([&] { return host->is_answered(1); }));
  }
}

}  // namespace nvmf::test
