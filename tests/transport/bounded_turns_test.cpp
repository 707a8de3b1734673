// However much ends at once, no turn of the control thread or of a reactor does more than a bounded part of it.
#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "tests/rnic/queue_pair.h"
#include "tests/transport/network.h"

namespace nvmf::test {
namespace {

constexpr size_t kMostOfATurn = 16;
constexpr size_t kCrowd = 60;

std::vector<std::unique_ptr<ModelHost>> connected_hosts(Network& network, size_t count, uint16_t qid,
                                                        const char* address = Network::kHost) {
  std::vector<std::unique_ptr<ModelHost>> hosts;
  for (size_t i = 0; i < count; ++i) {
    hosts.push_back(std::make_unique<ModelHost>(network, qid, address));
    REQUIRE(hosts.back()->connect());
  }
  return hosts;
}

size_t closing(const Network& network) {
  size_t count = 0;
  network.transport->visit([&](const rdma::Connection& connection) { count += connection.is_closing() ? 1 : 0; });
  return count;
}

// A turn of the reactor, without looking into its mailbox.
void turn_of_groups(Network& network) {
  for (const auto& rnic : network.transport->rnics())
    for (const auto& group : rnic->io_groups()) {
      group->poll();
      group->flush();
    }
}

void step(Network& network) {
  network.reactor.mailbox().receive();
  turn_of_groups(network);
  if (!network.fabric.schedule().step()) network.fabric.schedule().advance(1000);
}

// The most by which `count` grew in one turn of the control thread, until there are `all`.
template <class Count>
size_t most_in_a_turn(Network& network, size_t all, Count count) {
  size_t most = 0;
  size_t before = count();
  for (int i = 0; i < 200'000 && before < all; ++i) {
    network.io.poll_one();
    const size_t now = count();
    most = std::max(most, now - std::min(now, before));
    before = now;
    step(network);
  }
  CHECK(before >= all);
  return most;
}

// Small queues: two queue pairs fill a set.
rnic::Profile small_sets() {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 2 * ModelHost::kDepth;
  return profile;
}

NetworkOptions with_small_capsules() {
  NetworkOptions options;
  options.groups.in_capsule_bytes = 0;
  options.groups.dram_pool_bytes = 4U << 20U;
  return options;
}

std::vector<const ibv_cq*> receive_queues(rdma::PollGroup& group) {
  std::vector<const ibv_cq*> queues;
  for (const auto& set : group.queue_sets()) queues.push_back(set->receive_cq.get());
  return queues;
}

}  // namespace

TEST_CASE("an RNIC reports very much at once: the control thread hears a few events each turn, and all in the end") {
  Network network(rnic::connectx());
  network.settle();
  const size_t before = network.events.size();
  constexpr size_t kEvents = 100;
  for (size_t i = 0; i < kEvents; ++i) network.device.change_gid();
  network.stall(10'000'000);
  const auto heard = [&] { return network.events.size() - before; };
  CHECK(heard() == 0);
  CHECK(most_in_a_turn(network, kEvents, heard) <= kMostOfATurn);
  network.settle();
  CHECK(heard() == kEvents);
}

TEST_CASE("an RNIC goes away: its connections are lost a few each turn, and it is drained when all have ended") {
  for (const uint16_t qid : {0, 1}) {
    CAPTURE(qid);
    Network network(rnic::connectx(), with_small_capsules());
    bool drained = false;
    network.transport->on_device_drained = [&](rdma::Rnic& rnic) {
      CHECK_FALSE(rnic.is_changing());
      drained = true;
    };
    const auto hosts = connected_hosts(network, kCrowd, qid);
    for (const auto& host : hosts) host->send_command();  // nobody takes the answer
    network.settle();
    network.fabric.remove(network.device);
    const auto ended = [&] { return kCrowd - network.transport->connections() + closing(network); };
    CHECK(most_in_a_turn(network, kCrowd, ended) <= kMostOfATurn);
    CHECK(network.run_until([&] { return drained; }));
    CHECK(network.transport->connections() == 0);
    CHECK(network.group().commands_in_flight() == 0);
    CHECK(network.io_group().commands_in_flight() == 0);
  }
}

TEST_CASE("a completion queue fails: the connections of its group are lost a few each turn, and no other host comes") {
  Network network(rnic::connectx(), with_small_capsules());
  const auto hosts = connected_hosts(network, kCrowd, 1);
  const auto admin = connected_hosts(network, 1, 0);
  Network::receives(network.io_group()).fail();
  bool takes_others = false;
  const auto ended = [&] {
    const size_t count = kCrowd + 1 - network.transport->connections() + closing(network);
    takes_others |= count != 0 && !network.io_group().takes_no_queue_pairs();
    return count;
  };
  CHECK(most_in_a_turn(network, kCrowd, ended) <= kMostOfATurn);
  CHECK_FALSE(takes_others);
  CHECK(network.run_until([&] { return network.said("the queues of a reactor were created again"); }));
  CHECK(network.transport->connections() == 1);
  const auto after = connected_hosts(network, 1, 1);
  after.front()->take_answers(1);
  after.front()->send_command();
  CHECK(network.run_until([&] { return after.front()->is_answered(1); }));
}

TEST_CASE("the target stops: a few connections each turn are told to end") {
  Network network(rnic::connectx(), with_small_capsules());
  const auto hosts = connected_hosts(network, kCrowd, 0);
  bool drained = false;
  network.transport->stop([&] { drained = true; });
  CHECK(closing(network) <= kMostOfATurn);
  const auto ended = [&] { return kCrowd - network.transport->connections() + closing(network); };
  CHECK(most_in_a_turn(network, kCrowd, ended) <= kMostOfATurn);
  CHECK(network.run_until([&] { return drained; }));
}

TEST_CASE(
    "a group leaves: its reactor resets a few queue pairs each turn, and makes one set of queues anew each turn") {
  Network network(small_sets(), with_small_capsules());
  {
    const auto hosts = connected_hosts(network, kCrowd, 1);
    for (const auto& host : hosts) host->send_command();
    network.settle();
    const std::vector<const ibv_cq*> former = receive_queues(network.io_group());
    REQUIRE(former.size() == kCrowd / 2);
    std::vector<const rnic::QueuePair*> queue_pairs;
    network.transport->visit([&](const rdma::Connection& connection) {
      queue_pairs.push_back(static_cast<const rnic::QueuePair*>(connection.queue_pair().qp));
    });
    Network::receives(network.io_group()).fail();
    size_t resets = 0;
    size_t most_reset = 0;
    size_t most_renewed = 0;
    std::vector<const ibv_cq*> queues = former;
    bool counts_resets = true;
    for (int i = 0; i < 200'000 && !network.said("created again: "); ++i) {
      network.io.poll();
      network.reactor.mailbox().receive();
      // None of them is destroyed before all have been reset.
      counts_resets &= network.transport->connections() == kCrowd;
      if (counts_resets) {
        const auto is_reset = [](const rnic::QueuePair* one) { return one->attributes.qp_state == IBV_QPS_RESET; };
        const auto now = static_cast<size_t>(std::ranges::count_if(queue_pairs, is_reset));
        most_reset = std::max(most_reset, now - std::min(now, resets));
        resets = now;
      }
      const std::vector<const ibv_cq*> present = receive_queues(network.io_group());
      size_t renewed = 0;
      for (size_t set = 0; set < present.size(); ++set) renewed += present[set] != queues[set] ? 1 : 0;
      most_renewed = std::max(most_renewed, renewed);
      queues = present;
      turn_of_groups(network);
      network.fabric.schedule().step();
      if (network.said("the queues of a reactor were created again")) break;
    }
    CHECK(network.said("the queues of a reactor were created again"));
    CHECK(most_reset > 0);
    CHECK(most_reset <= kMostOfATurn);
    CHECK(most_renewed == 1);
    CHECK(network.io_group().commands_in_flight() == 0);
  }
  const auto after = connected_hosts(network, kCrowd, 1);
  for (const auto& host : after) {
    host->take_answers(1);
    host->send_command();
    CHECK(network.run_until([&] { return host->is_answered(1); }));
  }
}

TEST_CASE("a host that comes while the only group is being made anew waits for that, and is not refused") {
  Network network(rnic::connectx(), with_small_capsules());
  network.io_group().leave();
  network.mailbox_waits = true;  // the reactor does not get to it
  const rnic::Life life;
  // The host gives up after seconds: time must not leap there while nothing else is to happen.
  for (uint64_t us = 1000; us < 3000; ++us)
    network.fabric.schedule().after(us * 1000, life, [&] { network.mailbox_waits = false; });
  ModelHost host(network, 1);
  REQUIRE(host.connect());
  CHECK_FALSE(network.mailbox_waits);
  host.take_answers(1);
  host.send_command();
  CHECK(network.run_until([&] { return host.is_answered(1); }));
}

// Abort, and the end of a connection, look at no others.
TEST_CASE("each queue pair has request objects of its own, and gives them back when it ends") {
  Network network(rnic::connectx(), with_small_capsules());
  const auto spare = [&] {
    size_t count = 0;
    for (const auto& set : network.io_group().queue_sets())
      for (const rdma::RdmaRequest* one = set->spare_requests.front(); one != nullptr; one = one->next) ++count;
    return count;
  };
  const auto all = [&] {
    size_t count = 0;
    for (const auto& set : network.io_group().queue_sets())
      set->visit_requests([&](const rdma::RdmaRequest&) { ++count; });
    return count;
  };
  for (int round = 0; round < 3; ++round) {
    {
      const auto hosts = connected_hosts(network, 20, 1);
      hosts.front()->send_command();
      network.settle();
      std::set<const rdma::RdmaRequest*> lent;
      size_t commands = 0;
      network.transport->visit([&](const rdma::Connection& connection) {
        const rdma::QueuePair& queue_pair = connection.queue_pair();
        size_t own = 0;
        for (const rdma::RdmaRequest* one = queue_pair.lent; one != nullptr; one = one->next_lent, ++own)
          CHECK(lent.insert(one).second);
        CHECK(own == rdma::requests_of(ModelHost::kDepth));
        queue_pair.visit_commands([&](const rdma::RdmaRequest& request) {
          CHECK(request.queue_pair == &queue_pair);
          ++commands;
        });
      });
      CHECK(commands == 1);
      CHECK(spare() + lent.size() == all());
    }
    REQUIRE(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(spare() == all());
  }
}

TEST_CASE("very many hosts take no answers at the same time: the reactor finds a few of them each turn, and all") {
  Network network(rnic::connectx(), with_small_capsules());
  std::vector<std::unique_ptr<ModelHost>> hosts;
  for (const char* const address : {"198.18.0.1", "198.18.0.2", "198.18.0.3"}) {
    network.fabric.devices().back()->add_address(address);
    for (auto& host : connected_hosts(network, kCrowd, 1, address)) hosts.push_back(std::move(host));
  }
  for (const auto& host : hosts) host->send_command();
  network.settle();
  size_t most = 0;
  for (uint32_t ms = 0; ms <= core::limits::kStalledAnswersMs + 1000; ms += core::limits::kStallCheckMs) {
    network.io_group().find_stalled_hosts();
    for (int turn = 0; turn < 20; ++turn) {
      const uint64_t failed = network.transport->counters().failed;
      network.reactor.mailbox().receive();
      network.control.receive();
      most = std::max<size_t>(most, network.transport->counters().failed - failed);
    }
  }
  CHECK(network.transport->counters().failed == hosts.size());
  CHECK(most < hosts.size());
  CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
}

}  // namespace nvmf::test
