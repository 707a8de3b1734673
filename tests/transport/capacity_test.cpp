// How many queues one RNIC serves, and how many hosts may come at once.
#include <memory>
#include <string>

#include "tests/rnic/connection_manager.h"
#include "tests/transport/network.h"

namespace nvmf::test {
namespace {

struct CrowdOptions {
  size_t queues = 0;
  uint16_t qid = 0;
  uint16_t depth = 0;
  size_t of_one_address = 1;
};

// Many connections of one machine, all asked for at once: they share what a host has.
class Crowd {
 public:
  Crowd(Network& network, const CrowdOptions& options)
      : options_(options), channel_(verbs::create_cm_channel()), queues_(options.queues) {
    rnic::Device& device = *network.fabric.devices().back();
    keeps_open_ = verbs::open_device(channel_.get(), ipv4(Network::kHost, 0));
    domain_ = verbs::allocate_protection_domain(keeps_open_->verbs);
    region_ = verbs::register_memory(domain_.get(), memory_.data(), memory_.size(), IBV_ACCESS_LOCAL_WRITE);
    completions_ = verbs::create_completion_queue(keeps_open_->verbs, 1 << 20, nullptr);
    for (size_t i = 0; i < queues_.size(); ++i) {
      const std::string address = address_of(i / options.of_one_address);
      if (i % options.of_one_address == 0) device.add_address(address);
      rdma_cm_id* id = nullptr;
      REQUIRE(rdma_create_id(channel_.get(), &id, nullptr, RDMA_PS_TCP) == 0);
      queues_[i].reset(id);
      auto from = ipv4(address.c_str(), 0);
      auto to = ipv4(Network::kTarget, 4420);
      REQUIRE(rdma_resolve_addr(id, reinterpret_cast<sockaddr*>(&from), reinterpret_cast<sockaddr*>(&to), 1000) == 0);
    }
  }
  ~Crowd() {
    for (const verbs::CmId& id : queues_)
      if (id->qp != nullptr) rdma_destroy_qp(id.get());
    while (verbs::next_event(channel_.get())) continue;
    queues_.clear();
  }

  // Until each has its answer: accepted, or refused.
  bool is_through() {
    while (const verbs::CmEvent event = verbs::next_event(channel_.get())) on_event(*event);
    return accepted_ + refused_ == queues_.size();
  }
  size_t accepted() const { return accepted_; }
  size_t refused() const { return refused_; }

  // Property Get before Connect, on each queue; answered with an error.
  void send_commands() {
    auto* sqe = reinterpret_cast<nvme::Sqe*>(memory_.data());
    *sqe = {};
    sqe->opcode = 0x7f;
    sqe->flags = 0x40;
    for (const verbs::CmId& id : queues_) {
      ibv_sge answer{reinterpret_cast<uintptr_t>(memory_.data()) + 64, sizeof(nvme::Cqe), region_->lkey};
      ibv_recv_wr receive{.wr_id = kAnswer, .next = nullptr, .sg_list = &answer, .num_sge = 1};
      ibv_recv_wr* not_received = nullptr;
      REQUIRE(ibv_post_recv(id->qp, &receive, &not_received) == 0);
      ibv_sge capsule{reinterpret_cast<uintptr_t>(memory_.data()), 64, region_->lkey};
      ibv_send_wr work{};
      work.sg_list = &capsule;
      work.num_sge = 1;
      work.opcode = IBV_WR_SEND;
      ibv_send_wr* bad = nullptr;
      REQUIRE(ibv_post_send(id->qp, &work, &bad) == 0);
    }
  }
  // So many answers have come since the crowd came.
  bool is_answered(size_t count) {
    ibv_wc found[64];
    for (int taken; (taken = ibv_poll_cq(completions_.get(), 64, found)) > 0;)
      for (int i = 0; i < taken; ++i)
        if (found[i].wr_id == kAnswer && found[i].status == IBV_WC_SUCCESS) ++answered_;
    return answered_ >= count;
  }

 private:
  static constexpr uint64_t kAnswer = 7;

  static std::string address_of(size_t host) {
    return "198.18." + std::to_string(host / 250) + "." + std::to_string(host % 250 + 1);
  }

  void on_event(const rdma_cm_event& event) {
    switch (event.event) {
      case RDMA_CM_EVENT_ADDR_RESOLVED:
        REQUIRE(rdma_resolve_route(event.id, 1000) == 0);
        return;
      case RDMA_CM_EVENT_ROUTE_RESOLVED:
        return ask(event.id);
      case RDMA_CM_EVENT_ESTABLISHED:
        ++accepted_;
        return;
      case RDMA_CM_EVENT_REJECTED:
        ++refused_;
        return;
      case RDMA_CM_EVENT_DISCONNECTED:
      case RDMA_CM_EVENT_TIMEWAIT_EXIT:
        return;
      default:
        FAIL("an event that nobody expects: " << rdma_event_str(event.event));
    }
  }

  void ask(rdma_cm_id* id) {
    ibv_qp_init_attr attributes{};
    attributes.send_cq = attributes.recv_cq = completions_.get();
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap = {4, 4, 1, 1, 0};
    REQUIRE(rdma_create_qp(id, domain_.get(), &attributes) == 0);
    nvme::RdmaCmRequest asked{};
    asked.qid = options_.qid;
    asked.hrqsize = options_.depth;
    asked.hsqsize_z = static_cast<uint16_t>(options_.depth - 1);
    rdma_conn_param parameters{};
    parameters.private_data = &asked;
    parameters.private_data_len = sizeof asked;
    parameters.responder_resources = parameters.initiator_depth = 4;
    parameters.retry_count = parameters.rnr_retry_count = 7;
    REQUIRE(rdma_connect(id, &parameters) == 0);
  }

  const CrowdOptions options_;
  verbs::CmChannel channel_;
  verbs::CmId keeps_open_;
  verbs::ProtectionDomain domain_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(4096);
  verbs::MemoryRegion region_;
  verbs::CompletionQueue completions_;
  std::vector<verbs::CmId> queues_;
  size_t accepted_ = 0;
  size_t refused_ = 0;
  size_t answered_ = 0;
};

NetworkOptions with_small_capsules() {
  NetworkOptions options;
  options.groups.in_capsule_bytes = 0;
  options.groups.dram_pool_bytes = 4U << 20U;
  return options;
}

// Long enough for any crowd, and no time is asserted.
bool lasts_until(Network& network, const std::function<bool()>& happened) {
  for (int i = 0; i < 500; ++i)
    if (network.run_until(happened)) return true;
  return false;
}

void serve_two_commands_each(Network& network, Crowd& crowd, size_t queues) {
  for (size_t round = 1; round <= 2; ++round) {
    crowd.send_commands();
    REQUIRE(lasts_until(network, [&] { return crowd.is_answered(round * queues); }));
  }
}

}  // namespace

TEST_CASE("10,000 I/O queues of one RNIC are connected and served, with as many completion queues as it takes") {
  const size_t queues = 10'000;
  for (const rnic::Profile& profile : {rnic::connectx(), rnic::irdma_gen3()}) {
    CAPTURE(profile.name);
    Network network(profile, with_small_capsules());
    {
      Crowd crowd(network, {.queues = queues, .qid = 1, .depth = 8, .of_one_address = 50});
      REQUIRE(lasts_until(network, [&] { return crowd.is_through(); }));
      CHECK(crowd.refused() == 0);
      CHECK(network.io_group().queue_pairs() == queues);
      CHECK(network.io_group().queue_sets().size() > 1);
      serve_two_commands_each(network, crowd, queues);
    }
    CHECK(lasts_until(network, [&] { return network.transport->connections() == 0; }));
    CHECK(network.io_group().commands_in_flight() == 0);
  }
}

TEST_CASE("the room for admin queues is not bound by one completion queue") {
  const size_t queues = 1000;
  NetworkOptions options;
  options.groups.slot_memory_bytes = 128U << 20U;  // one set of I/O queues; those of admin queues take less
  Network network(rnic::connectx(), options);
  {
    Crowd crowd(network, {.queues = queues, .qid = 0, .depth = 32, .of_one_address = 50});
    REQUIRE(lasts_until(network, [&] { return crowd.is_through(); }));
    CHECK(crowd.refused() == 0);
    CHECK(network.group().queue_pairs() == queues);
    CHECK(network.group().queue_sets().size() > 1);
    serve_two_commands_each(network, crowd, queues);
  }
  CHECK(lasts_until(network, [&] { return network.transport->connections() == 0; }));
}

TEST_CASE("a storm of hosts that all come at once: none is refused, and each is answered") {
  const size_t hosts = 2000;
  Network network(rnic::connectx());
  {
    Crowd storm(network, {.queues = hosts, .qid = 0, .depth = 32, .of_one_address = 1});
    REQUIRE(lasts_until(network, [&] { return storm.is_through(); }));
    CHECK(storm.refused() == 0);
    serve_two_commands_each(network, storm, hosts);
  }
  CHECK(lasts_until(network, [&] { return network.transport->connections() == 0; }));
}

TEST_CASE("a device whose queues are short gets more of them, each full of slots that come home") {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 256;
  Network network(profile, with_small_capsules());
  const size_t queues = 60;
  for (int round = 0; round < 2; ++round) {
    {
      Crowd crowd(network, {.queues = queues, .qid = 1, .depth = 32, .of_one_address = 50});
      REQUIRE(lasts_until(network, [&] { return crowd.is_through(); }));
      CHECK(crowd.refused() == 0);
      CHECK(network.io_group().queue_sets().size() == 8);
      serve_two_commands_each(network, crowd, queues);
    }
    CHECK(lasts_until(network, [&] { return network.transport->connections() == 0; }));
    network.settle();
    for (const auto& queues_of : network.io_group().queue_sets())
      CHECK(static_cast<rnic::SharedReceiveQueue*>(queues_of->shared_receives.get())->posted() == queues_of->slots);
  }
}

// Four have room. Four more each have the place of one of these, which are silent; for the ninth there is nobody left.
TEST_CASE("an RNIC without room for one more set of queues refuses the host, and says what is missing") {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 64;
  NetworkOptions options = with_small_capsules();
  options.groups.max_queue_sets = 2;
  std::vector<std::function<void()>> ends;
  Network network(profile, options);
  network.transport->destroy_elsewhere = [&](const std::function<void()>& work, const std::function<void()>& done) {
    ends.insert(ends.end(), {work, done});
  };
  Crowd crowd(network, {.queues = 9, .qid = 1, .depth = 32, .of_one_address = 50});
  const auto is_one_refused = [&] { return crowd.is_through(), crowd.refused() == 1 && ends.size() == 8; };
  REQUIRE(lasts_until(network, is_one_refused));
  CHECK(crowd.accepted() == 4);
  CHECK(network.said("no resources for one more I/O queue of 32 entries"));
  network.transport->destroy_elsewhere = nullptr;
  for (const auto& part : ends) part();
  REQUIRE(lasts_until(network, [&] { return crowd.is_through(); }));
  CHECK(crowd.accepted() == 8);
}

TEST_CASE("a queue that no RNIC of this kind has room for is refused, and takes nobody's place") {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 64;
  Network network(profile, with_small_capsules());
  ModelHost silent(network, 1);
  REQUIRE(silent.connect());
  Crowd crowd(network, {.queues = 1, .qid = 1, .depth = 100, .of_one_address = 1});
  REQUIRE(lasts_until(network, [&] { return crowd.is_through(); }));
  CHECK(crowd.refused() == 1);
  CHECK(network.said("no resources for one more I/O queue of 100 entries"));
  CHECK_FALSE(silent.is_disconnected());
}

// The capsule has the reactor deliver what is in its mailbox while it polls one set after the other.
TEST_CASE("a queue of the first set sends its first capsule when the reactor has yet to hear of it, and of a new set") {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 2 * ModelHost::kDepth;
  Network network(profile, with_small_capsules());
  std::vector<std::unique_ptr<ModelHost>> hosts;
  const auto one_more = [&]() -> ModelHost& {
    hosts.push_back(std::make_unique<ModelHost>(network, 1));
    REQUIRE(hosts.back()->connect());
    return *hosts.back();
  };
  for (int round = 0; round < 4; ++round) {
    const size_t sets = network.io_group().queue_sets().size();
    while (hosts.size() < 2 * sets) one_more();  // they are full
    hosts.erase(hosts.begin());                  // there is room in its set, which is not the last one
    REQUIRE(network.run_until([&] { return network.transport->connections() == hosts.size(); }));
    network.mailbox_waits = true;
    ModelHost& in_an_old_set = one_more();
    one_more();
    REQUIRE(network.io_group().queue_sets().size() == sets + 1);
    in_an_old_set.take_answers(1);
    in_an_old_set.send_command();
    CHECK(network.run_until([&] { return in_an_old_set.is_answered(1); }));
    network.mailbox_waits = false;
    network.step();
  }
}

TEST_CASE("hosts that never let the reactor find the end of its completion queue do not keep another's end waiting") {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq_wr = 8 * ModelHost::kDepth;
  Network network(profile, with_small_capsules());
  std::vector<std::unique_ptr<ModelHost>> busy;
  std::vector<unsigned> sent(4);
  for (size_t i = 0; i < sent.size(); ++i) {
    busy.push_back(std::make_unique<ModelHost>(network, 1));
    REQUIRE(busy.back()->connect());
  }
  auto leaving = std::make_unique<ModelHost>(network, 1);
  REQUIRE(leaving->connect());
  REQUIRE(network.io_group().queue_sets().size() == 1);
  const auto& found = *static_cast<rnic::CompletionQueue*>(network.io_group().queue_sets()[0]->receive_cq.get());

  // What one poll takes, and more, waits before each turn of the reactor.
  const auto busy_turn = [&] {
    for (int steps = 0; found.waiting() < 40 && steps < 100'000; ++steps) {
      for (size_t i = 0; i < sent.size(); ++i)
        for (; sent[i] - busy[i]->answered() < ModelHost::kDepth; ++sent[i]) {
          busy[i]->take_answers(1);
          busy[i]->send_command();
        }
      network.fabric.schedule().step();
    }
    REQUIRE(found.waiting() >= 40);
    network.io.poll();
    network.reactor.mailbox().receive();
    network.io_group().poll();
    network.io_group().flush();
  };
  for (int turn = 0; turn < 20; ++turn) busy_turn();
  leaving.reset();
  int turns = 0;
  for (; turns < 1000 && network.transport->connections() != busy.size(); ++turns) busy_turn();
  CHECK(network.transport->connections() == busy.size());
  CHECK(turns < 100);
}

}  // namespace nvmf::test
