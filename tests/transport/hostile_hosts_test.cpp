// What hosts can do to each other, and to the target's RNIC.
#include <memory>

#include "target/core/datapath/limits.h"
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

}  // namespace nvmf::test
