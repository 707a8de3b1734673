// What hosts can do to each other, and to the target's RNIC.
#include <algorithm>
#include <memory>

#include "target/core/datapath/limits.h"
#include "tests/rnic/queue_pair.h"
#include "tests/transport/network.h"

namespace nvmf::test {

TEST_CASE("a host's commands are answered again and again, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost host(network);
    REQUIRE(host.connect());
    for (unsigned i = 1; i <= 20; ++i) {
      host.take_answers(1);
      host.send_command();
      REQUIRE(network.run_until([&] { return host.is_answered(i); }));
      network.settle();  // the control thread sleeps in between
    }
  }
}

TEST_CASE("a host that sends more commands than its queue has entries is disconnected, and no other is kept waiting") {
  Network network(rnic::connectx());
  ModelHost flood(network), honest(network);
  REQUIRE(flood.connect());
  REQUIRE(honest.connect());
  // It takes no answers: these keep its request objects, and what comes after that its receive slots.
  const unsigned most = rdma::requests_of(ModelHost::kDepth) + ModelHost::kDepth;
  for (unsigned i = 0; i < most; ++i) {
    flood.send_command();
    network.step();
  }
  network.settle();
  CHECK_FALSE(network.said("more commands than its queue has entries"));
  CHECK_FALSE(flood.is_disconnected());
  honest.take_answers(1);
  honest.send_command();
  CHECK(network.run_until([&] { return honest.is_answered(1); }));

  flood.send_command();
  CHECK(network.run_until([&] { return network.said("more commands than its queue has entries"); }));
  CHECK(network.run_until([&] { return network.transport->connections() == 1; }));
  honest.take_answers(1);
  honest.send_command();
  CHECK(network.run_until([&] { return honest.is_answered(2); }));
}

TEST_CASE("a host with as many commands outstanding as its queue has entries, and as slow as it likes, is never cut") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile, 7);
    ModelHost host(network);
    REQUIRE(host.connect());
    unsigned sent = 0;
    for (; sent < ModelHost::kDepth; ++sent) {
      host.take_answers(1);
      host.send_command();
    }
    for (unsigned answered = 1; answered <= 300; ++answered) {
      REQUIRE(network.run_until([&] { return host.is_answered(answered); }));
      host.take_answers(1);
      host.send_command();
    }
    CHECK_FALSE(host.is_disconnected());
    CHECK_FALSE(network.said("failed"));
  }
}

TEST_CASE("whatever hosts leave behind, all receive slots come home, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile, 3);
    network.settle();
    const size_t slots = Network::receives(network.group()).posted();
    for (int round = 0; round < 40; ++round) {
      ModelHost host(network);
      REQUIRE(host.connect());
      if (round % 3 != 0) host.take_answers(8);
      for (int i = 0; i < 8; ++i) host.send_command();
      for (int i = 0; i < round * 3; ++i) network.step();
    }
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    network.settle();
    CHECK(Network::receives(network.group()).posted() >= slots);  // and those of slabs that came meanwhile
    CHECK(network.group().commands_in_flight() == 0);
  }
}

TEST_CASE("half-sent capsules take no receive slots away for good, whatever other hosts do, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile, 5);
    network.device.set_mtu(IBV_MTU_1024);
    network.settle();
    const size_t slots = Network::receives(network.io_group()).posted();
    // One that says nothing while the others come and go, and one that goes on.
    ModelHost silent(network, 1), busy(network, 1);
    REQUIRE(silent.connect());
    REQUIRE(busy.connect());
    for (unsigned round = 1; round <= 200; ++round) {
      ModelHost hostile(network, 1);
      REQUIRE(hostile.connect());
      hostile.send_half_a_capsule();
      for (int i = 0; i < 30; ++i) network.step();
      hostile.leave();
      REQUIRE(network.run_until([&] { return network.transport->connections() == 2; }));
      busy.take_answers(1);
      busy.send_command();
      REQUIRE(network.run_until([&] { return busy.is_answered(round); }));
    }
    // As soon as it cannot be the silent one that has them, they are back.
    silent.take_answers(1);
    silent.send_command();
    REQUIRE(network.run_until([&] { return silent.is_answered(1); }));
    {
      ModelHost last(network, 1);
      REQUIRE(last.connect());
    }
    REQUIRE(network.run_until([&] { return network.transport->connections() == 2; }));
    network.settle();
    CHECK(Network::receives(network.io_group()).posted() >= slots);
  }
}

// No capsule of anybody tells that younger slots have been taken.
TEST_CASE("half-sent capsules alone, more than there are slots: the next host is served, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    for (const bool beside_idle_host : {false, true}) {
      CAPTURE(profile.name);
      CAPTURE(beside_idle_host);
      Network network(profile, 5);
      network.device.set_mtu(IBV_MTU_1024);
      network.settle();
      const size_t slots = Network::receives(network.io_group()).posted();
      ModelHost idle(network, 1);
      if (beside_idle_host) REQUIRE(idle.connect());
      const unsigned others = beside_idle_host ? 1 : 0;
      for (unsigned round = 0; round < 2 * slots; ++round) {
        ModelHost hostile(network, 1);
        REQUIRE(hostile.connect());
        hostile.send_half_a_capsule();
        for (int i = 0; i < 30; ++i) network.step();
        hostile.leave();
        REQUIRE(network.run_until([&] { return network.transport->connections() == others; }));
      }
      ModelHost honest(network, 1);
      REQUIRE(honest.connect());
      honest.take_answers(1);
      honest.send_command();
      CHECK(network.run_until([&] { return honest.is_answered(1); }));
      if (!beside_idle_host) continue;
      idle.take_answers(1);
      idle.send_command();
      CHECK(network.run_until([&] { return idle.is_answered(1); }));
    }
  }
}

TEST_CASE("a host that takes no answers is disconnected in the end, one that takes them late is not") {
  Network network(rnic::connectx());
  ModelHost stalled(network), late(network);
  REQUIRE(stalled.connect());
  REQUIRE(late.connect());
  stalled.send_command();
  for (uint32_t ms = 0; ms <= core::limits::kStalledAnswersMs; ms += core::limits::kStallCheckMs) {
    CHECK_FALSE(network.said("does not receive its completions"));
    late.send_command();
    network.settle();
    network.group().find_stalled_hosts();  // as the transport does in real time
    network.settle();
    late.take_answers(1);
    network.settle();
  }
  CHECK(network.run_until([&] { return network.said("does not receive its completions"); }));
  CHECK(network.run_until([&] { return network.transport->connections() == 1; }));
  CHECK_FALSE(late.is_disconnected());
  CHECK((network.transport->counters().stalled == std::array<uint64_t, rdma::kStalls>{1, 0, 0, 0}));
}

TEST_CASE("silent connections of one address: the oldest goes when there are too many, and others have room") {
  Network network(rnic::connectx());
  network.transport->set_rate({.per_s = 0, .per_s_of_address = 0});
  std::vector<std::unique_ptr<ModelHost>> silent;
  for (unsigned i = 0; i < core::limits::kMaxUnfinishedConnections; ++i) {
    silent.push_back(std::make_unique<ModelHost>(network));
    REQUIRE(silent.back()->connect());
  }
  CHECK_FALSE(silent.front()->is_disconnected());
  ModelHost next(network);
  REQUIRE(next.connect());
  CHECK(network.run_until([&] { return silent.front()->is_disconnected(); }));
  CHECK_FALSE(silent[1]->is_disconnected());
  CHECK(network.run_until([&] { return network.transport->connections() == core::limits::kMaxUnfinishedConnections; }));
}

// The receive slots come back soon; how long the host waits before it tries again is what the target has asked for.
TEST_CASE("beside floods of connections that never send Connect, each command of an honest host is answered in 50 ms") {
  for (const rnic::Profile& profile : {rnic::connectx(), rnic::soft_roce()}) {
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost honest(network);
    REQUIRE(honest.connect());
    for (unsigned round = 1; round <= 5; ++round) {
      CAPTURE(round);
      std::vector<std::unique_ptr<ModelHost>> floods;
      for (int i = 0; i < 8; ++i) {
        floods.push_back(std::make_unique<ModelHost>(network));
        REQUIRE(floods.back()->connect());
      }
      for (const auto& flood : floods)
        for (int i = 0; i < 200; ++i) flood->send_command();
      network.stall(1'000'000);
      REQUIRE(Network::receives(network.group()).posted() == 0);
      honest.take_answers(1);
      const uint64_t sent_ns = network.fabric.now_ns();
      honest.send_command();
      network.stall(100'000);
      REQUIRE(network.run_until([&] { return honest.is_answered(round); }));
      CHECK(network.fabric.now_ns() - sent_ns < 50'000'000);
    }
    CHECK_FALSE(honest.is_disconnected());
  }
}

TEST_CASE("an accepted queue pair has a short RNR timer; MTU and read depths are what the two sides agreed on") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    network.device.set_mtu(IBV_MTU_2048);
    ModelHost host(network);
    REQUIRE(host.connect());
    network.transport->visit([&](const rdma::Connection& connection) {
      const ibv_qp_attr& agreed = static_cast<const rnic::QueuePair*>(connection.queue_pair().qp)->attributes;
      CHECK(agreed.min_rnr_timer == 5);  // 60 us
      CHECK(agreed.path_mtu == IBV_MTU_2048);
      CHECK(agreed.max_rd_atomic == std::min(4, profile.max_read_depth));
      CHECK(agreed.max_dest_rd_atomic == 0);
    });
  }
}

// Queue pairs of I/O queues, which are destroyed when the test says so: on Soft-RoCE the kernel may take a minute.
struct SlowlyDestroyed {
  explicit SlowlyDestroyed(Network& of) : network(of) {
    network.device.set_mtu(IBV_MTU_1024);
    network.transport->destroy_elsewhere = [this](std::function<void()> work, std::function<void()> done) {
      ends.push_back([work = std::move(work), done = std::move(done)] {
        work();
        done();
      });
    };
    network.settle();
    slots = posted();
  }
  ~SlowlyDestroyed() { network.transport->destroy_elsewhere = nullptr; }
  size_t posted() const { return Network::receives(network.io_group()).posted(); }
  std::unique_ptr<ModelHost> connected_host() const {
    auto host = std::make_unique<ModelHost>(network, 1);
    REQUIRE(host->connect());
    return host;
  }
  void send_half_a_capsule(ModelHost& host) const {
    host.send_half_a_capsule();
    for (int i = 0; i < 50; ++i) network.step();
  }
  void answer_a_command_of(ModelHost& host) const {
    const unsigned answered = host.answered();
    host.take_answers(1);
    host.send_command();
    REQUIRE(network.run_until([&] { return host.is_answered(answered + 1); }));
  }

  Network& network;
  std::vector<std::function<void()>> ends;
  size_t slots = 0;
};

TEST_CASE("queue pairs that end together: the receive slots of all are found again") {
  Network network(rnic::soft_roce(), 5);
  SlowlyDestroyed world(network);
  const auto busy = world.connected_host();
  auto first = world.connected_host();
  auto second = world.connected_host();
  world.send_half_a_capsule(*first);
  world.send_half_a_capsule(*second);
  world.answer_a_command_of(*busy);
  CHECK(world.posted() == world.slots - 2);
  first.reset();
  second.reset();
  REQUIRE(network.run_until([&] { return world.ends.size() == 2; }));
  world.ends[0]();
  network.reactor.mailbox().receive();  // the reactor has searched, and says so
  world.ends[1]();
  network.settle();
  CHECK(network.transport->connections() == 1);
  CHECK(world.posted() == world.slots);
}

TEST_CASE("a queue pair that takes long to be destroyed does not keep the receive slots of others from being found") {
  Network network(rnic::soft_roce(), 5);
  SlowlyDestroyed world(network);
  const auto busy = world.connected_host();
  auto hostile = world.connected_host();
  world.send_half_a_capsule(*hostile);
  world.answer_a_command_of(*busy);
  auto slow = world.connected_host();
  slow.reset();
  REQUIRE(network.run_until([&] { return world.ends.size() == 1; }));
  hostile.reset();
  REQUIRE(network.run_until([&] { return world.ends.size() == 2; }));
  CHECK(world.posted() == world.slots - 1);
  world.ends[1]();
  network.settle();
  CHECK(world.posted() == world.slots);
  world.ends[0]();
}

// Room for four admin queues, which connections of these addresses have taken: they say nothing.
struct FullRnic {
  static constexpr const char* kAddresses[] = {"198.18.0.1", "198.18.0.2", "198.18.0.2", "198.18.0.3"};
  static NetworkOptions options() {
    NetworkOptions options;
    options.groups.max_queue_sets = 2;
    return options;
  }
  static rnic::Profile profile() {
    rnic::Profile profile = rnic::irdma_gen3();
    profile.max_srq_wr = 2 * ModelHost::kDepth;
    return profile;
  }
  FullRnic() : network(profile(), options()) {
    rnic::Device& hosts = *network.fabric.devices().back();
    for (const char* const address : {"198.18.0.1", "198.18.0.2", "198.18.0.3", "198.18.0.9"})
      hosts.add_address(address);
    for (const char* const address : kAddresses) {
      silent.push_back(std::make_unique<ModelHost>(network, 0, address));
      REQUIRE(silent.back()->connect());
    }
  }
  std::vector<bool> disconnected() const {
    std::vector<bool> are;
    for (const auto& host : silent) are.push_back(host->is_disconnected());
    return are;
  }

  Network network;
  std::vector<std::unique_ptr<ModelHost>> silent;
};

TEST_CASE("silent connections of many addresses fill the RNIC: a host that comes gets the room of the oldest") {
  FullRnic world;
  ModelHost first(world.network, 0, "198.18.0.9");
  REQUIRE(first.connect());  // in the place of the older one of the address that has two
  CHECK(world.network.said("another host needs the room"));
  CHECK(world.network.run_until([&] { return world.disconnected() == std::vector{false, true, false, false}; }));
  ModelHost second(world.network, 0, "198.18.0.9");
  REQUIRE(second.connect());  // each address has one: in the place of the oldest of all
  CHECK(world.network.run_until([&] { return world.disconnected() == std::vector{true, true, false, false}; }));
  CHECK_FALSE(first.is_disconnected());
  CHECK_FALSE(world.network.said("no resources for one more"));
}

}  // namespace nvmf::test
