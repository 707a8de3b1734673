#include "tests/lab/programs/host_queue.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace nvmf::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr milliseconds kSetUpTimeout{10'000};
constexpr milliseconds kAskTimeout{3'000};  // of one attempt to resolve the address
constexpr milliseconds kNap{1};
constexpr uint64_t kSendId = ~uint64_t{0};

void expect(bool good, const char* what) {
  if (!good) throw verbs::VerbsError(errno, what);
}

sockaddr_in internet_address(const std::string& literal) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (inet_pton(AF_INET, literal.c_str(), &address.sin_addr) != 1)
    throw std::runtime_error("'" + literal + "' is not an IPv4 address");
  return address;
}

std::string described(const verbs::CmEvent& event) {
  if (!event) return "no answer in time";
  return std::string(rdma_event_str(event->event)) + ", status " + std::to_string(event->status);
}

}  // namespace

HostQueue::HostQueue(const Address& address, const HostQueueOptions& options)
    : options_(options), data_(kDataBytes), capsule_(kCapsuleBytes), channel_(verbs::create_cm_channel()) {
  resolve(address);
  make_queue_pair();
}

// Asks again for a while: the first answer to ARP may be lost while both guests of a busy machine start.
void HostQueue::resolve(const Address& address) {
  const auto deadline = Clock::now() + kSetUpTimeout;
  while (const auto unresolved = ask_for_address(address)) {
    if (Clock::now() >= deadline) throw std::runtime_error("no RNIC reaches " + address.host + ": " + *unresolved);
    std::this_thread::sleep_for(milliseconds(100));
  }
  expect(rdma_resolve_route(id_.get(), static_cast<int>(kSetUpTimeout.count())) == 0, "cannot resolve the route");
  const auto routed = await_event(kSetUpTimeout);
  if (!routed || routed->event != RDMA_CM_EVENT_ROUTE_RESOLVED)
    throw std::runtime_error("there is no route to " + address.host + ": " + described(routed));
}

std::optional<std::string> HostQueue::ask_for_address(const Address& address) {
  rdma_cm_id* raw = nullptr;
  expect(rdma_create_id(channel_.get(), &raw, nullptr, RDMA_PS_TCP) == 0, "cannot create an RDMA connection id");
  id_.reset(raw);
  auto to = internet_address(address.host);
  to.sin_port = htons(address.service);
  sockaddr_in from{};
  if (!options_.from.empty()) from = internet_address(options_.from);
  auto* const source = options_.from.empty() ? nullptr : reinterpret_cast<sockaddr*>(&from);
  expect(rdma_resolve_addr(raw, source, reinterpret_cast<sockaddr*>(&to), static_cast<int>(kAskTimeout.count())) == 0,
         "cannot resolve the address");
  const auto resolved = await_event(kSetUpTimeout);
  if (resolved && resolved->event == RDMA_CM_EVENT_ADDR_RESOLVED) return std::nullopt;
  return described(resolved);
}

// Not by rdma_create_qp(): librdmacm would then finish every handshake by itself.
void HostQueue::make_queue_pair() {
  domain_ = verbs::allocate_protection_domain(id_->verbs);
  constexpr int kRemote = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
  data_region_ = verbs::register_memory(domain_.get(), data_.data(), data_.size(), kRemote);
  capsule_region_ = verbs::register_memory(domain_.get(), capsule_.data(), capsule_.size(), 0);
  response_region_ =
      verbs::register_memory(domain_.get(), responses_.data(), sizeof responses_, IBV_ACCESS_LOCAL_WRITE);
  completions_ = verbs::create_completion_queue(id_->verbs, kReceives + 2, nullptr);

  ibv_qp_init_attr attributes{};
  attributes.send_cq = attributes.recv_cq = completions_.get();
  attributes.cap = {
      .max_send_wr = 2, .max_recv_wr = kReceives, .max_send_sge = 2, .max_recv_sge = 1, .max_inline_data = 0};
  attributes.qp_type = IBV_QPT_RC;
  queue_pair_.reset(ibv_create_qp(domain_.get(), &attributes));
  expect(queue_pair_ != nullptr, "cannot create a queue pair");

  ibv_qp_attr init{};
  int mask = 0;
  init.qp_state = IBV_QPS_INIT;
  expect(rdma_init_qp_attr(id_.get(), &init, &mask) == 0, "cannot ask for the INIT attributes");
  init.qp_access_flags |= kRemote;
  expect(ibv_modify_qp(queue_pair_.get(), &init, mask) == 0, "cannot move the queue pair to INIT");
  for (size_t slot = 0; slot < options_.receives; ++slot) post_receive(slot);
}

HostQueue::Answer HostQueue::connect(std::span<const std::byte> private_data, uint8_t responder_resources,
                                     Handshake handshake) {
  rdma_conn_param parameters{};
  parameters.private_data = private_data.data();
  parameters.private_data_len = static_cast<uint8_t>(private_data.size());
  parameters.responder_resources = responder_resources;
  parameters.retry_count = parameters.rnr_retry_count = 7;
  parameters.qp_num = queue_pair_->qp_num;
  expect(rdma_connect(id_.get(), &parameters) == 0, "cannot ask for a connection");

  const auto event = await_event(kSetUpTimeout);
  if (!event) return {.accepted = false, .rejection = {}, .event = "nothing"};
  Answer answer{.accepted = event->event == RDMA_CM_EVENT_CONNECT_RESPONSE,
                .rejection = {},
                .event = rdma_event_str(event->event)};
  const rdma_conn_param& said = event->param.conn;
  if (event->event == RDMA_CM_EVENT_REJECTED && said.private_data_len >= sizeof(nvme::RdmaCmReject)) {
    nvme::RdmaCmReject rejection;
    std::memcpy(&rejection, said.private_data, sizeof rejection);
    answer.rejection = rejection.sts;
  }
  if (!answer.accepted || handshake == Handshake::StopBeforeReadyToUse) return answer;

  for (const ibv_qp_state state : {IBV_QPS_RTR, IBV_QPS_RTS}) {
    ibv_qp_attr next{};
    int mask = 0;
    next.qp_state = state;
    expect(rdma_init_qp_attr(id_.get(), &next, &mask) == 0, "cannot ask for the queue pair's attributes");
    if (state == IBV_QPS_RTR) next.max_dest_rd_atomic = responder_resources;
    expect(ibv_modify_qp(queue_pair_.get(), &next, mask) == 0, "cannot move the queue pair to RTR and RTS");
  }
  expect(rdma_establish(id_.get()) == 0, "cannot say that the connection is ready to use");
  return answer;
}

bool HostQueue::send(std::span<const std::byte> capsule) {
  const auto deadline = Clock::now() + kSetUpTimeout;
  for (turn(); send_busy_ && !dead_ && Clock::now() < deadline; turn()) std::this_thread::sleep_for(kNap);
  if (dead_ || send_busy_) return false;
  if (!capsule.empty()) std::memcpy(capsule_.data(), capsule.data(), capsule.size());
  ibv_sge piece{reinterpret_cast<uintptr_t>(capsule_.data()), static_cast<uint32_t>(capsule.size()),
                capsule_region_->lkey};
  return post({&piece, capsule.empty() ? size_t{0} : size_t{1}});
}

bool HostQueue::send_half(uint32_t packet_bytes) {
  const auto start = reinterpret_cast<uintptr_t>(capsule_.data());
  ibv_sge pieces[] = {{start, packet_bytes, capsule_region_->lkey}, {start, 64, 0}};
  return post(pieces);
}

bool HostQueue::post(std::span<ibv_sge> pieces) {
  ibv_send_wr work{};
  work.wr_id = kSendId;
  work.sg_list = pieces.data();
  work.num_sge = static_cast<int>(pieces.size());
  work.opcode = IBV_WR_SEND;
  work.send_flags = IBV_SEND_SIGNALED;
  ibv_send_wr* bad = nullptr;
  send_busy_ = ibv_post_send(queue_pair_.get(), &work, &bad) == 0;
  return send_busy_;
}

std::optional<nvme::Cqe> HostQueue::response(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (turn(); arrived_.empty() && !dead_ && Clock::now() < deadline; turn()) std::this_thread::sleep_for(kNap);
  if (arrived_.empty()) return std::nullopt;
  const size_t slot = arrived_.front();
  arrived_.erase(arrived_.begin());
  const nvme::Cqe response = responses_[slot];
  if (options_.reposts) post_receive(slot);
  return response;
}

bool HostQueue::closed(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (turn(); !dead_ && Clock::now() < deadline; turn()) std::this_thread::sleep_for(kNap);
  return dead_;
}

void HostQueue::turn() {
  ibv_wc completion;
  while (ibv_poll_cq(completions_.get(), 1, &completion) > 0) {
    if (completion.status != IBV_WC_SUCCESS) {
      dead_ = true;
    } else if (completion.wr_id == kSendId) {
      send_busy_ = false;
    } else if (completion.byte_len == sizeof(nvme::Cqe)) {
      arrived_.push_back(completion.wr_id);
    }
  }
  if (const auto event = await_event(milliseconds(0))) {
    dead_ |= event->event == RDMA_CM_EVENT_DISCONNECTED || event->event == RDMA_CM_EVENT_DEVICE_REMOVAL ||
             event->event == RDMA_CM_EVENT_CONNECT_ERROR || event->event == RDMA_CM_EVENT_UNREACHABLE;
  }
}

verbs::CmEvent HostQueue::await_event(milliseconds timeout) {
  pollfd waited{channel_->fd, POLLIN, 0};
  if (poll(&waited, 1, static_cast<int>(timeout.count())) <= 0) return nullptr;
  return verbs::next_event(channel_.get());
}

void HostQueue::post_receive(size_t slot) {
  ibv_sge piece{reinterpret_cast<uintptr_t>(&responses_[slot]), sizeof responses_[slot], response_region_->lkey};
  ibv_recv_wr work{};
  work.wr_id = slot;
  work.sg_list = &piece;
  work.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  ibv_post_recv(queue_pair_.get(), &work, &bad);  // fails only once the connection is gone, which turn() sees
}

}  // namespace nvmf::lab
