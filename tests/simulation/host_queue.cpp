#include "tests/simulation/host_queue.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tests/rnic/connection_manager.h"
#include "tests/rnic/queue_pair.h"

namespace nvmf::simulation {
namespace {

// Of a SEND's identifier; below is the CID of the command that it carries, if any.
constexpr uint64_t kSent = uint64_t{1} << 32;
constexpr uint64_t kNoCommand = 0xffff;
constexpr uint64_t kIntrusion = 0xfffe;
constexpr int kRemote = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;

sockaddr_in ipv4(const char* address, uint16_t service) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(service);
  inet_pton(AF_INET, address, &in.sin_addr);
  return in;
}

sockaddr* raw(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

void describe(nvme::SglDescriptor& sgl, uint64_t address, size_t length, uint32_t key, bool invalidate) {
  sgl.address = address;
  for (unsigned i = 0; i < 3; ++i) sgl.specific[i] = static_cast<uint8_t>(length >> 8 * i);
  for (unsigned i = 0; i < 4; ++i) sgl.specific[3 + i] = static_cast<uint8_t>(key >> 8 * i);
  const auto subtype = invalidate ? nvme::SglSubtype::InvalidateRemotely : nvme::SglSubtype::Address;
  sgl.identifier =
      static_cast<uint8_t>(static_cast<unsigned>(nvme::SglType::KeyedDataBlock) << 4 | static_cast<unsigned>(subtype));
}

void describe_in_capsule(nvme::SglDescriptor& sgl, nvme::SglType type, size_t length) {
  sgl = {};
  for (unsigned i = 0; i < 4; ++i) sgl.specific[i] = static_cast<uint8_t>(length >> 8 * i);
  sgl.identifier =
      static_cast<uint8_t>(static_cast<unsigned>(type) << 4 | static_cast<unsigned>(nvme::SglSubtype::Offset));
}

}  // namespace

HostQueue::HostQueue(World& world, const HostQueueOptions& options)
    : world_(world), options_(options), channel_(verbs::create_cm_channel()), commands_(options.depth) {
  rdma_cm_id* id = nullptr;
  rdma_create_id(channel_.get(), &id, nullptr, RDMA_PS_TCP);
  id_.reset(id);
  sockaddr_in from = ipv4(options.address, 0);
  sockaddr_in to = ipv4(options.target, World::kService);
  if (rdma_resolve_addr(id, raw(from), raw(to), 1000) != 0) state_ = State::Ended;
}

HostQueue::~HostQueue() {
  queue_pair_.reset();
  commands_.clear();
}

// Not by rdma_create_qp(): the handshake is the host's own then, as the kernel's driver has it.
void HostQueue::make_queue_pair() {
  domain_ = verbs::allocate_protection_domain(id_->verbs);
  completions_ = verbs::create_completion_queue(id_->verbs, 4 * options_.depth + options_.receives, nullptr);
  answers_.resize(options_.receives * sizeof(nvme::Cqe));
  answers_region_ = verbs::register_memory(domain_.get(), answers_.data(), answers_.size(), IBV_ACCESS_LOCAL_WRITE);
  ibv_qp_init_attr attributes{};
  attributes.send_cq = attributes.recv_cq = completions_.get();
  attributes.qp_type = IBV_QPT_RC;
  attributes.cap = {3u * options_.depth, std::max<uint32_t>(options_.receives, 1), 2, 1, 0};
  queue_pair_.reset(ibv_create_qp(domain_.get(), &attributes));
  if (!queue_pair_) throw std::runtime_error("the model host has no queue pair");
  ibv_qp_attr next{};
  int mask = 0;
  next.qp_state = IBV_QPS_INIT;
  rdma_init_qp_attr(id_.get(), &next, &mask);
  next.qp_access_flags |= kRemote;
  ibv_modify_qp(queue_pair_.get(), &next, mask);
  for (size_t slot = 0; slot < options_.receives; ++slot) post_receive(slot);
}

void HostQueue::ask() {
  nvme::RdmaCmRequest request{};
  request.qid = options_.qid;
  request.hrqsize = options_.depth;
  request.hsqsize_z = static_cast<uint16_t>(options_.depth - 1);
  request.cntlid = options_.qid == 0 ? 0 : options_.cntlid;
  rdma_conn_param parameters{};
  parameters.private_data = &request;
  parameters.private_data_len = sizeof request;
  parameters.responder_resources = options_.responder_resources;
  parameters.retry_count = 7;
  parameters.rnr_retry_count = 7;
  parameters.qp_num = queue_pair_->qp_num;
  state_ = rdma_connect(id_.get(), &parameters) == 0 ? State::Connecting : State::Ended;
}

void HostQueue::turn() {
  if (!channel_) return;
  while (const verbs::CmEvent event = verbs::next_event(channel_.get())) on_cm_event(*event);
  if (!completions_) return;
  ibv_wc completion;
  while (ibv_poll_cq(completions_.get(), 1, &completion) > 0) {
    if (completion.status != IBV_WC_SUCCESS)
      state_ = state_ == State::Rejected ? state_ : State::Ended;
    else if (completion.wr_id < kSent)
      on_answer(completion);
    else if (completion.wr_id == (kSent | kIntrusion))
      fault("the target's RNIC lets a host into the target's memory");
    else if (completion.wr_id != (kSent | kNoCommand))
      commands_[completion.wr_id & ~kSent].sending = false;
  }
}

void HostQueue::on_cm_event(const rdma_cm_event& event) {
  switch (event.event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
      rdma_resolve_route(id_.get(), 1000);
      return;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
      make_queue_pair();
      return ask();
    case RDMA_CM_EVENT_CONNECT_RESPONSE: {
      for (const ibv_qp_state state : {IBV_QPS_RTR, IBV_QPS_RTS}) {
        ibv_qp_attr next{};
        int mask = 0;
        next.qp_state = state;
        rdma_init_qp_attr(id_.get(), &next, &mask);
        if (state == IBV_QPS_RTR) {
          next.max_dest_rd_atomic = options_.responder_resources;
          next.min_rnr_timer = 6;
          next.qp_access_flags = kRemote;
        }
        ibv_modify_qp(queue_pair_.get(), &next, mask);
      }
      state_ = rdma_establish(id_.get()) == 0 ? State::Connected : State::Ended;
      return;
    }
    case RDMA_CM_EVENT_REJECTED:
      state_ = State::Rejected;
      if (event.param.conn.private_data_len >= sizeof(nvme::RdmaCmReject)) {
        nvme::RdmaCmReject rejection;
        std::memcpy(&rejection, event.param.conn.private_data, sizeof rejection);
        rejection_ = rejection.sts;
      }
      return;
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
    case RDMA_CM_EVENT_ESTABLISHED:
      return;
    default:
      state_ = State::Ended;
  }
}

bool HostQueue::reaches_target() const {
  return state_ == State::Connected && static_cast<const rnic::QueuePair*>(queue_pair_.get())->is_connected();
}

size_t HostQueue::room() const {
  if (state_ != State::Connected) return 0;
  const auto used = static_cast<size_t>(std::ranges::count_if(commands_, &Command::is_in_use));
  return options_.depth - std::min<size_t>(used + 1, options_.depth);
}

uint16_t HostQueue::send(nvme::Sqe sqe, Direction direction, Bytes data, bool in_capsule, unsigned descriptors) {
  const auto place = std::ranges::find_if(commands_, [](const Command& one) { return !one.is_in_use(); });
  Command& command = *place;
  sqe.cid = static_cast<uint16_t>(place - commands_.begin());
  sqe.flags |= static_cast<uint8_t>(static_cast<unsigned>(nvme::Psdt::SglMptrContiguous) << 6);
  command.direction = direction;
  command.in_capsule = in_capsule;
  command.data_bytes = data.size();
  if (command.capsule.empty()) {
    command.capsule.resize(sizeof sqe + options_.in_capsule_bytes);
    command.capsule_region = verbs::register_memory(domain_.get(), command.capsule.data(), command.capsule.size(), 0);
  }
  size_t behind_bytes = 0;
  if (in_capsule) {
    describe_in_capsule(sqe.sgl1, nvme::SglType::DataBlock, data.size());
    std::ranges::copy(data, command.capsule.begin() + sizeof sqe);
    behind_bytes = data.size();
  } else {
    if (command.data.size() < data.size()) {
      command.data_region.reset();
      command.data.resize(data.size());
    }
    std::ranges::copy(data, command.data.begin());
    behind_bytes = describe_data(command, sqe, descriptors);
  }
  std::memcpy(command.capsule.data(), &sqe, sizeof sqe);
  command.live = command.sending = true;
  command.answered = false;
  ++outstanding_;
  const ibv_sge piece{reinterpret_cast<uintptr_t>(command.capsule.data()),
                      static_cast<uint32_t>(sizeof sqe + behind_bytes), command.capsule_region->lkey};
  if (!post(&piece, 1, sqe.cid)) fault("command " + std::to_string(sqe.cid) + " cannot be posted");
  return sqe.cid;
}

// A fresh key for each command, which the target may invalidate.
void HostQueue::prepare_data(Command& command) {
  if (!command.data_region) {
    command.data_region = verbs::register_memory(domain_.get(), command.data.data(), command.data.size(), kRemote);
    auto& region = *static_cast<rnic::MemoryRegion*>(command.data_region.get());
    region.can_be_invalidated = true;
    region.on_remote_access = [this, &command](const rnic::RemoteAccess& access) { on_access(command, access); };
  } else {
    static_cast<rnic::MemoryRegion*>(command.data_region.get())->renew_key();
  }
}

// The first descriptor asks for the key to be invalidated, which is that of all.
size_t HostQueue::describe_data(Command& command, nvme::Sqe& sqe, unsigned descriptors) {
  if (command.data_bytes == 0) return describe(sqe.sgl1, 0, 0, 0, false), 0;
  prepare_data(command);
  const uint32_t key = command.data_region->rkey;
  auto address = reinterpret_cast<uintptr_t>(command.data.data());
  if (descriptors == 1) return describe(sqe.sgl1, address, command.data_bytes, key, options_.invalidates), 0;
  std::vector<nvme::SglDescriptor> list(descriptors);
  size_t left = command.data_bytes;
  for (unsigned i = 0; i < descriptors; ++i) {
    const unsigned to_come = descriptors - i - 1;
    const size_t length = to_come == 0 ? left : 1 + world_.fabric.schedule().random().below(left - to_come);
    describe(list[i], address, length, key, i == 0 && options_.invalidates);
    address += length;
    left -= length;
  }
  const size_t bytes = list.size() * sizeof list.front();
  describe_in_capsule(sqe.sgl1, nvme::SglType::LastSegment, bytes);
  std::memcpy(command.capsule.data() + sizeof sqe, list.data(), bytes);
  return bytes;
}

void HostQueue::on_access(const Command& command, const rnic::RemoteAccess& access) {
  const auto cid = std::to_string(&command - commands_.data());
  const std::string what = (access.writes ? "writes to" : "reads from") + std::string(" the memory of command ") + cid;
  if (!command.live) return fault("the target " + what + ", which is answered already");
  const size_t offset = static_cast<size_t>(access.address - command.data.data());
  if (offset + access.length_bytes > command.data_bytes) fault("the target " + what + " outside of its descriptors");
  if (access.writes != (command.direction == Direction::ToHost))
    fault("the target " + what + ", in the wrong direction");
}

bool HostQueue::send_raw(const std::vector<ibv_sge>& pieces) {
  sends_raw_ = true;
  return post(pieces.data(), static_cast<int>(pieces.size()), kNoCommand);
}

bool HostQueue::intrude(ibv_wr_opcode opcode, uint64_t address, uint32_t key) {
  sends_raw_ = true;
  ibv_sge piece = some_memory(sizeof(nvme::Sqe));
  ibv_send_wr work{};
  work.wr_id = kSent | kIntrusion;
  work.sg_list = &piece;
  work.num_sge = 1;
  work.opcode = opcode;
  work.send_flags = IBV_SEND_SIGNALED;
  work.wr.rdma = {address, key};
  ibv_send_wr* bad = nullptr;
  return ibv_post_send(queue_pair_.get(), &work, &bad) == 0;
}

bool HostQueue::post(const ibv_sge* pieces, int count, uint64_t cid) {
  ibv_sge copies[2];
  std::copy_n(pieces, count, copies);
  ibv_send_wr work{};
  work.wr_id = kSent | cid;
  work.sg_list = copies;
  work.num_sge = count;
  work.opcode = IBV_WR_SEND;
  work.send_flags = IBV_SEND_SIGNALED;
  ibv_send_wr* bad = nullptr;
  return ibv_post_send(queue_pair_.get(), &work, &bad) == 0;
}

ibv_sge HostQueue::some_memory(uint32_t bytes) {
  Command& command = commands_.front();
  if (command.capsule.empty()) {
    command.capsule.resize(sizeof(nvme::Sqe) + options_.in_capsule_bytes);
    command.capsule_region = verbs::register_memory(domain_.get(), command.capsule.data(), command.capsule.size(), 0);
  }
  return {reinterpret_cast<uintptr_t>(command.capsule.data()), bytes, command.capsule_region->lkey};
}

void HostQueue::post_receive(size_t slot) {
  ibv_sge piece{reinterpret_cast<uintptr_t>(answers_.data() + slot * sizeof(nvme::Cqe)), sizeof(nvme::Cqe),
                answers_region_->lkey};
  ibv_recv_wr work{};
  work.wr_id = slot;
  work.sg_list = &piece;
  work.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  ibv_post_recv(queue_pair_.get(), &work, &bad);
}

void HostQueue::on_answer(const ibv_wc& completion) {
  nvme::Cqe cqe;
  std::memcpy(&cqe, answers_.data() + completion.wr_id * sizeof cqe, sizeof cqe);
  if (options_.reposts) post_receive(completion.wr_id);
  if (completion.byte_len != sizeof cqe) return fault("an answer of " + std::to_string(completion.byte_len) + " bytes");
  if (cqe.cid >= commands_.size() || !commands_[cqe.cid].live) {
    if (sends_raw_) return;
    return fault("an answer to command " + std::to_string(cqe.cid) + ", which is not outstanding");
  }
  Command& command = commands_[cqe.cid];
  if ((completion.wc_flags & IBV_WC_WITH_INV) != 0 &&
      (!command.data_region || completion.invalidated_rkey != command.data_region->rkey))
    fault("the answer to command " + std::to_string(cqe.cid) + " invalidates a key that is not the command's");
  command.live = false;
  command.answered = true;
  command.cqe = cqe;
  --outstanding_;
  // As Linux's host does when the target has not: nobody may use the key any more.
  if (command.data_region) static_cast<rnic::MemoryRegion*>(command.data_region.get())->invalidate();
}

std::optional<nvme::Cqe> HostQueue::answer(uint16_t cid) const {
  return commands_[cid].answered ? std::optional(commands_[cid].cqe) : std::nullopt;
}

std::vector<uint16_t> HostQueue::answered() const {
  std::vector<uint16_t> cids;
  for (size_t cid = 0; cid < commands_.size(); ++cid)
    if (commands_[cid].answered) cids.push_back(static_cast<uint16_t>(cid));
  return cids;
}

Bytes HostQueue::take(uint16_t cid) {
  Command& command = commands_[cid];
  command.answered = false;
  if (command.in_capsule) return {};
  return {command.data.begin(), command.data.begin() + static_cast<ptrdiff_t>(command.data_bytes)};
}

void HostQueue::disconnect() {
  if (queue_pair_) {
    ibv_qp_attr error{};
    error.qp_state = IBV_QPS_ERR;
    ibv_modify_qp(queue_pair_.get(), &error, IBV_QP_STATE);
  }
  rdma_disconnect(id_.get());
  state_ = State::Ended;
}

void HostQueue::die() {
  static_cast<rnic::CmId*>(id_.get())->state = rnic::CmState::Ended;
  queue_pair_.reset();
  state_ = State::Ended;
}

}  // namespace nvmf::simulation
