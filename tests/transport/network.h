// The transport on a model RNIC (tests/rnic), with hosts of the tests' own: everything on one thread, in virtual time
// but for the transport's timers.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/fabrics.h"
#include "target/nvme/rdma_cm.h"
#include "tests/rnic/completion_queue.h"
#include "tests/rnic/device.h"
#include "tests/rnic/fabric.h"
#include "tests/rnic/memory.h"
#include "tests/rnic/shared_receive_queue.h"
#include "tests/transport/open_device.h"
#include "transport/rdma/asio_poller.h"
#include "transport/rdma/transport.h"
#include "transport/verbs/cm.h"

namespace nvmf::test {

inline sockaddr_storage ipv4(const char* address, uint16_t service) {
  sockaddr_storage storage{};
  auto& in = reinterpret_cast<sockaddr_in&>(storage);
  in.sin_family = AF_INET;
  in.sin_port = htons(service);
  inet_pton(AF_INET, address, &in.sin_addr);
  return storage;
}

// A reactor whose turns the test takes.
struct NoEngine final : core::IoEngine {
  void start() override {}
  unsigned poll() override { return 0; }
  void watch(int, void (*)(void*, uint64_t), void*) override {}
  void watch_readable(int, bool (*)(void*), void*) override {}
  void unwatch(int) override {}
  void sleep(std::optional<uint32_t>) override {}
};

struct NetworkOptions {
  uint64_t seed = 1;
  std::map<std::string, rdma::RemoteInvalidate> remote_invalidate{};  // by device
  rdma::PollGroupOptions groups{};
  std::set<std::string> iwarp{"rnic0"};
};

struct Network {
  static constexpr char kTarget[] = "192.0.2.1";
  static constexpr char kHost[] = "192.0.2.101";
  static constexpr uint32_t kNever = 3'600'000;  // ms: no test depends on how fast its machine is
  static constexpr char kNqn[] = "nqn.2024-01.org.example:disks";

  explicit Network(const rnic::Profile& profile, uint64_t seed = 1) : Network(profile, NetworkOptions{.seed = seed}) {}
  Network(const rnic::Profile& profile, const NetworkOptions& wanted)
      : fabric(wanted.seed), device(fabric.add_device("rnic0", kTarget, without_timers(profile))) {
    fabric.add_device("host0", kHost, rnic::connectx());
    target.on_event = [this](const core::Event& event) { events.push_back(event.message); };
    const core::Port port{.id = 1, .address = kTarget, .service = 4420};
    target.add_port(port);
    target.add_subsystem(
        {.nqn = kNqn, .serial = "SN", .model = "Model", .ports = {1}, .allow_any_host = true, .allowed_hosts = {}});
    rdma::PollGroupOptions options = wanted.groups;
    options.connect_timeout_ms = options.stall_check_ms = kNever;
    transport.emplace(io, target, control, std::vector<rdma::ReactorSeat>{{&reactor, {}}}, options);
    transport->set_remote_invalidate(wanted.remote_invalidate);
    transport->set_iwarp(wanted.iwarp);
    transport->on_port_lost = [](uint16_t) {};
    transport->on_device_drained = [](rdma::Rnic&) {};
    mailbox.emplace(io, control, [this] { transport->turn_admin(); });
    rdma::Rnic& rnic = *open_device(io, *transport, port);
    rnic.join(0);
    transport->put_in_service(rnic);
    transport->listen(port);
  }
  ~Network() {
    bool drained = false;
    transport->stop([&] { drained = true; });
    CHECK(run_until([&] { return drained; }));
    settle();
    transport.reset();
    CHECK(fabric.faults() == std::vector<std::string>{});
  }

  // A queue pair whose last receive is not reported is given back by a timer, and timers take real time here: the
  // simulation has those.
  static rnic::Profile without_timers(rnic::Profile profile) {
    profile.reports_last_wqe = true;
    return profile;
  }

  rdma::PollGroup& group() { return transport->rnics().front()->admin_group(); }
  rdma::PollGroup& io_group() { return *transport->rnics().front()->io_groups().front(); }
  static rnic::SharedReceiveQueue& receives(const rdma::PollGroup& group) {
    return *static_cast<rnic::SharedReceiveQueue*>(group.queue_sets().front()->shared_receives.get());
  }

  void step() {
    io.poll();
    if (!mailbox_waits) reactor.mailbox().receive();
    for (const auto& rnic : transport->rnics())
      for (const auto& io_queues : rnic->io_groups()) {
        io_queues->poll();
        io_queues->flush();
      }
    if (!fabric.schedule().step()) fabric.schedule().advance(1000);
  }
  // The target's threads do not run for so long.
  void stall(uint64_t ns) {
    const uint64_t until = fabric.now_ns() + ns;
    while (fabric.now_ns() < until)
      if (!fabric.schedule().step()) fabric.schedule().advance(1000);
  }
  // False: it does not happen for long. (The model answers an RNR for ever: there is always a next step.)
  bool run_until(const std::function<bool()>& happened) {
    for (int i = 0; i < 200'000; ++i) {
      if (happened()) return true;
      step();
    }
    return false;
  }
  void settle() {
    for (int i = 0; i < 3000; ++i) step();
  }
  bool said(const std::string& words) const {
    return std::ranges::any_of(events, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  }

  rnic::Fabric fabric;
  rnic::Device& device;
  boost::asio::io_context io;
  core::Mailbox control;
  NoEngine engine;
  core::Reactor reactor{{}, engine};
  // What the control thread sends to the reactor comes after the reactor has looked into its mailbox, each turn.
  bool mailbox_waits = false;
  core::Target target{core::TargetOptions{}};
  std::vector<std::string> events;
  std::optional<rdma::Transport> transport;
  std::optional<rdma::AsioMailbox> mailbox;
};

// A host's admin queue, from the connection request on. It does what it is told, no more.
class ModelHost {
 public:
  static constexpr uint16_t kDepth = 32;

  // Of an admin queue, or of an I/O queue that names no controller.
  explicit ModelHost(Network& network, uint16_t qid = 0, const char* address = Network::kHost)
      : network_(network), qid_(qid), address_(address), channel_(verbs::create_cm_channel()) {
    keeps_open_ = verbs::open_device(channel_.get(), ipv4(Network::kHost, 0));
    domain_ = verbs::allocate_protection_domain(keeps_open_->verbs);
    region_ = verbs::register_memory(domain_.get(), memory_.data(), memory_.size(),
                                     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
    keyed_ = verbs::register_memory(domain_.get(), memory_.data() + kData, kAnswers - kData,
                                    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
    static_cast<rnic::MemoryRegion*>(keyed_.get())->can_be_invalidated = true;
    sends_ = verbs::create_completion_queue(keeps_open_->verbs, 1024, nullptr);
    answers_ = verbs::create_completion_queue(keeps_open_->verbs, 1024, nullptr);
  }
  ~ModelHost() { leave(); }

  // False: it was refused.
  bool connect() {
    rdma_cm_id* id = nullptr;
    REQUIRE(rdma_create_id(channel_.get(), &id, nullptr, RDMA_PS_TCP) == 0);
    id_.reset(id);
    auto from = ipv4(address_, 0);
    auto to = ipv4(Network::kTarget, 4420);
    REQUIRE(rdma_resolve_addr(id, reinterpret_cast<sockaddr*>(&from), reinterpret_cast<sockaddr*>(&to), 1000) == 0);
    REQUIRE(next_event() == RDMA_CM_EVENT_ADDR_RESOLVED);
    REQUIRE(rdma_resolve_route(id, 1000) == 0);
    REQUIRE(next_event() == RDMA_CM_EVENT_ROUTE_RESOLVED);
    ibv_qp_init_attr attributes{};
    attributes.send_cq = sends_.get();
    attributes.recv_cq = answers_.get();
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap = {256, 256, 2, 1, 0};
    REQUIRE(rdma_create_qp(id, domain_.get(), &attributes) == 0);
    nvme::RdmaCmRequest asked{};
    asked.qid = qid_;
    asked.hrqsize = kDepth;
    asked.hsqsize_z = kDepth - 1;
    rdma_conn_param parameters{};
    parameters.private_data = &asked;
    parameters.private_data_len = sizeof asked;
    parameters.responder_resources = parameters.initiator_depth = 4;
    parameters.retry_count = parameters.rnr_retry_count = 7;
    REQUIRE(rdma_connect(id, &parameters) == 0);
    return next_event() == RDMA_CM_EVENT_ESTABLISHED;
  }
  // As a host that is switched off: it has been heard of last.
  void leave() {
    if (id_ && id_->qp != nullptr) rdma_destroy_qp(id_.get());
    while (poll_event()) {
    }
    id_.reset();
  }

  void take_answers(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      ibv_sge piece{address_of(kAnswers), sizeof(nvme::Cqe), region_->lkey};
      ibv_recv_wr receive{.wr_id = 0, .next = nullptr, .sg_list = &piece, .num_sge = 1};
      ibv_recv_wr* bad = nullptr;
      REQUIRE(ibv_post_recv(id_->qp, &receive, &bad) == 0);
    }
  }
  // Property Get before Connect: answered with an error, and without data.
  void send_command() {
    auto* sqe = reinterpret_cast<nvme::Sqe*>(memory_.data());
    *sqe = {};
    sqe->opcode = 0x7f;
    sqe->flags = 0x40;
    post_capsule();
  }
  // Connect, with data that the target reads and a key that it is to invalidate; the data is all zero: refused.
  void send_connect() {
    auto* sqe = reinterpret_cast<nvme::ConnectCommand*>(memory_.data());
    *sqe = {};
    sqe->opcode = 0x7f;
    sqe->fctype = 0x01;
    sqe->flags = 0x40;
    sqe->sqsize_z = kDepth - 1;
    sqe->sgl1.address = address_of(kData);
    sqe->sgl1.specific[1] = sizeof(nvmf_connect_data) >> 8;
    std::memcpy(&sqe->sgl1.specific[3], &keyed_->rkey, 4);
    sqe->sgl1.identifier = 0x4f;
    post_capsule();
  }
  // The first packet of a capsule, and no more: the second one's memory is out of its own RNIC's reach.
  void send_half_a_capsule() {
    ibv_sge pieces[2] = {{address_of(0), 1024, region_->lkey}, {address_of(0), 1024, 0xbad}};
    post(pieces, 2);
  }
  // A message that is longer than any slot: the target's RNIC moves its queue pair to the error state.
  void send_too_long_a_message() {
    ibv_sge piece{address_of(0), kAnswers, region_->lkey};
    post(&piece, 1);
  }
  bool is_answered(unsigned count) {
    for (ibv_wc completion; ibv_poll_cq(answers_.get(), 1, &completion) == 1;)
      if (completion.status == IBV_WC_SUCCESS) {
        ++answered_;
        if ((completion.wc_flags & IBV_WC_WITH_INV) != 0) ++invalidated_;
      }
    return answered_ >= count;
  }
  unsigned answered() {
    is_answered(0);
    return answered_;
  }
  // Answers that have invalidated a key.
  unsigned invalidated() const { return invalidated_; }
  bool is_disconnected() {
    while (const auto event = poll_event()) disconnected_ |= *event == RDMA_CM_EVENT_DISCONNECTED;
    return disconnected_;
  }

 private:
  static constexpr size_t kData = 4096, kAnswers = 8192;

  uintptr_t address_of(size_t offset) const { return reinterpret_cast<uintptr_t>(memory_.data() + offset); }
  void post_capsule() {
    for (ibv_wc completion; ibv_poll_cq(sends_.get(), 1, &completion) == 1;) continue;  // send entries are free then
    ibv_sge piece{address_of(0), 64, region_->lkey};
    post(&piece, 1);
  }
  void post(ibv_sge* pieces, int count) {
    ibv_send_wr work{};
    work.sg_list = pieces;
    work.num_sge = count;
    work.opcode = IBV_WR_SEND;
    work.send_flags = IBV_SEND_SIGNALED;
    ibv_send_wr* bad = nullptr;
    REQUIRE(ibv_post_send(id_->qp, &work, &bad) == 0);
  }
  std::optional<rdma_cm_event_type> poll_event() {
    const verbs::CmEvent event = verbs::next_event(channel_.get());
    return event ? std::optional(event->event) : std::nullopt;
  }
  rdma_cm_event_type next_event() {
    std::optional<rdma_cm_event_type> event;
    REQUIRE(network_.run_until([&] {
      event = poll_event();
      return event.has_value();
    }));
    return *event;
  }

  Network& network_;
  uint16_t qid_;
  const char* address_;
  verbs::CmChannel channel_;
  verbs::CmId keeps_open_;
  verbs::ProtectionDomain domain_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(16384);
  verbs::MemoryRegion region_, keyed_;
  verbs::CompletionQueue sends_, answers_;
  verbs::CmId id_;
  unsigned answered_ = 0;
  unsigned invalidated_ = 0;
  bool disconnected_ = false;
};

}  // namespace nvmf::test
