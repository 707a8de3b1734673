#include "tests/simulation/host.h"

#include <bit>
#include <cstring>
#include <utility>

#include "target/nvme/fabrics.h"

namespace nvmf::simulation {
namespace {

constexpr uint32_t kEnable = 1u | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT;
constexpr uint16_t kAdminDepth = 32;
constexpr uint64_t kKeepAliveEveryNs = 200'000'000;

nvme::Sqe property(uint8_t fctype, uint32_t offset, uint64_t value) {
  nvme::PropertyCommand command{};
  command.opcode = nvme_admin_fabrics;
  command.fctype = fctype;
  command.offset = offset;
  command.value = value;
  return std::bit_cast<nvme::Sqe>(command);
}

}  // namespace

nvme::Sqe transfer_command(uint8_t opcode, uint64_t slba, uint32_t blocks, uint32_t nsid) {
  nvme::Sqe sqe{};
  sqe.opcode = opcode;
  sqe.nsid = nsid;
  sqe.cdw10 = static_cast<uint32_t>(slba);
  sqe.cdw11 = static_cast<uint32_t>(slba >> 32);
  sqe.cdw12 = blocks - 1;
  return sqe;
}

bool Host::fail(const std::string& step, const Answer& answer) {
  failure = step + ": " + (answer.came ? "status " + std::to_string(answer.status) : std::string("no answer"));
  return false;
}

std::unique_ptr<HostQueue> Host::open(uint16_t qid, uint16_t depth) {
  HostQueueOptions options;
  options.qid = qid;
  options.depth = depth;
  options.reposts = qid == 0 ? options_.takes_admin_answers : options_.takes_answers;
  options.receives = qid == 0 || options.reposts ? depth : uint16_t{1};
  options.cntlid = cntlid_;
  options.invalidates = options_.invalidates;
  options.address = options_.address;
  options.target = options_.target;
  auto queue = std::make_unique<HostQueue>(world_, options);
  world_.wait([&] {
    queue->turn();
    return queue->state() != HostQueue::State::Resolving && queue->state() != HostQueue::State::Connecting;
  });
  if (queue->state() == HostQueue::State::Connected) return queue;
  failure = "queue " + std::to_string(qid) + " is not accepted";
  if (queue->rejection()) failure += ", status " + std::to_string(*queue->rejection());
  return nullptr;
}

Answer Host::connect_command(HostQueue& queue, uint16_t qid, uint16_t depth) {
  nvme::ConnectCommand command{};
  command.opcode = nvme_admin_fabrics;
  command.fctype = nvme_fabrics_type_connect;
  command.qid = qid;
  command.sqsize_z = static_cast<uint16_t>(depth - 1);
  command.kato_ms = qid == 0 ? options_.keep_alive_ms : 0;
  nvmf_connect_data data{};
  std::memset(data.hostid, options_.hostid, sizeof data.hostid);
  data.cntlid = qid == 0 ? nvme::kCntlidDynamic : cntlid_;
  std::strcpy(data.subsysnqn, World::kNqn);
  options_.nqn.copy(data.hostnqn, sizeof data.hostnqn - 1);
  const auto* begin = reinterpret_cast<const std::byte*>(&data);
  return run(queue, std::bit_cast<nvme::Sqe>(command), Direction::ToController, {begin, begin + sizeof data}, qid != 0);
}

bool Host::connect_admin() {
  admin_ = open(0, kAdminDepth);
  if (!admin_) return false;
  const Answer connected = connect_command(*admin_, 0, kAdminDepth);
  if (!connected.ok()) return fail("Connect", connected);
  cntlid_ = static_cast<uint16_t>(connected.result);
  return is_authenticated(*admin_);
}

bool Host::connect_io(uint16_t qid) {
  auto queue = open(qid, options_.depth);
  if (!queue) return false;
  const Answer connected = connect_command(*queue, qid, options_.depth);
  if (!connected.ok()) return fail("Connect of queue " + std::to_string(qid), connected);
  io_.push_back(std::move(queue));
  return is_authenticated(*io_.back());
}

bool Host::is_authenticated(HostQueue& queue) {
  if (!options_.authenticate || options_.authenticate(*this, queue)) return true;
  failure = "the authentication has come to nothing";
  return false;
}

bool Host::bring_up() {
  if (!connect_admin()) return false;
  const Answer enabled = property_set(NVME_REG_CC, kEnable);
  if (!enabled.ok()) return fail("enabling the controller", enabled);
  for (Answer ready; !ready.ok() || (ready.result & 1) == 0;)
    if (ready = property_get(NVME_REG_CSTS); !ready.ok()) return fail("CSTS.RDY", ready);
  const Answer identified = identify_controller();
  if (!identified.ok()) return fail("Identify", identified);
  nvme::Sqe queues{};
  queues.opcode = nvme_admin_set_features;
  queues.cdw10 = NVME_FEAT_FID_NUM_QUEUES;
  queues.cdw11 = (options_.io_queues - 1u) | (options_.io_queues - 1u) << 16;
  const Answer granted = run(*admin_, queues, Direction::None);
  if (!granted.ok()) return fail("Set Features, Number of Queues", granted);
  for (uint16_t qid = 1; qid <= options_.io_queues; ++qid)
    if (!connect_io(qid)) return false;
  keep_alive_sent_ns_ = world_.fabric.now_ns();
  return true;
}

void Host::leave() {
  for (const auto& queue : io_) queue->disconnect();
  if (admin_) admin_->disconnect();
  vanish();
}

void Host::vanish() {
  io_.clear();
  admin_.reset();
}

void Host::die() {
  for (const auto& queue : io_) queue->die();
  if (admin_) admin_->die();
  vanish();
}

Answer Host::run(HostQueue& queue, const nvme::Sqe& sqe, Direction direction, Bytes data, bool in_capsule) {
  Answer answer;
  world_.wait([&] {
    queue.turn();
    return queue.has_room() || queue.state() != HostQueue::State::Connected;
  });
  if (queue.state() != HostQueue::State::Connected) return answer;
  const uint16_t cid = queue.send(sqe, direction, std::move(data), in_capsule);
  world_.wait(
      [&] {
        queue.turn();
        return queue.answer(cid) || queue.state() != HostQueue::State::Connected;
      },
      options_.patience_ns);
  const auto cqe = queue.answer(cid);
  if (!cqe) {
    if (options_.takes_answers && options_.takes_admin_answers && queue.reaches_target())
      world_.fabric.fault("host " + options_.nqn + ": a command with opcode " + std::to_string(sqe.opcode) +
                          " is not answered, although " + (&queue == admin_.get() ? "the admin" : "an I/O") +
                          " queue reaches the target");
    return answer;
  }
  answer.came = true;
  answer.status = cqe->status >> 1 & 0x7ff;
  answer.result = cqe->result;
  answer.data = queue.take(cid);
  return answer;
}

Answer Host::read(uint16_t qid, uint64_t slba, uint32_t blocks) {
  return run(io(qid), transfer_command(nvme_cmd_read, slba, blocks), Direction::ToHost,
             Bytes(size_t{blocks} << World::kLbaShift));
}

Answer Host::write(uint16_t qid, uint64_t slba, const Bytes& data, bool in_capsule) {
  const auto blocks = static_cast<uint32_t>(data.size() >> World::kLbaShift);
  return run(io(qid), transfer_command(nvme_cmd_write, slba, blocks), Direction::ToController, data, in_capsule);
}

Answer Host::identify_controller() {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_identify;
  sqe.cdw10 = NVME_IDENTIFY_CNS_CTRL;
  return run(*admin_, sqe, Direction::ToHost, Bytes(4096));
}

std::optional<uint64_t> Host::keep_alive() {
  const uint64_t now = world_.fabric.now_ns();
  if (keep_alive_cid_ && admin_->answer(*keep_alive_cid_)) {
    if (admin_->answer(*keep_alive_cid_)->status != 0) world_.fabric.fault("a Keep Alive failed");
    admin_->take(*std::exchange(keep_alive_cid_, std::nullopt));
  }
  if (!keep_alive_cid_ && now - keep_alive_sent_ns_ >= kKeepAliveEveryNs && admin_->has_room()) {
    nvme::Sqe sqe{};
    sqe.opcode = nvme_admin_keep_alive;
    keep_alive_cid_ = admin_->send(sqe, Direction::None, {});
    keep_alive_sent_ns_ = now;
  }
  return keep_alive_cid_ ? std::optional(keep_alive_sent_ns_) : std::nullopt;
}

Answer Host::property_get(uint32_t offset) {
  return run(*admin_, property(nvme_fabrics_type_property_get, offset, 0), Direction::None);
}

Answer Host::property_set(uint32_t offset, uint64_t value) {
  return run(*admin_, property(nvme_fabrics_type_property_set, offset, value), Direction::None);
}

}  // namespace nvmf::simulation
