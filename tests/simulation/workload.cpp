#include "tests/simulation/workload.h"

#include <algorithm>
#include <array>

#include "target/core/datapath/limits.h"

namespace nvmf::simulation {
namespace {

constexpr uint32_t kMostBlocks = 64;
constexpr unsigned kMostDescriptors = core::limits::kMaxSglDescriptors;
constexpr uint64_t kPauseNs = 2'000'000;
constexpr uint64_t kBusyNs = 200'000;  // between two looks at its queues, at most
// The same of a host that goes on at leisure, and of one that does it in troubled times: these take seconds.
constexpr uint64_t kLeisureNs = 10'000'000;
constexpr uint64_t kTroubledNs = 100'000'000;
constexpr unsigned kMostAtLeisure = 40;  // commands of a connection
constexpr unsigned kSetUps = 200;
// So long an honest host tries to come in, where nothing disturbs it: so many times the bound of a set-up.
constexpr uint64_t kBoundsToComeIn = 3;
constexpr std::array kNames = {"a Read", "a Write", "a Write Zeroes", "a Flush"};  // by kind
constexpr uint64_t kMissedNs = 2'000'000'000;

}  // namespace

Workload::Workload(World& world, const WorkloadOptions& options, uint64_t first_block, uint64_t blocks)
    : world_(world), options_(options), history_(options.number, first_block, blocks, 1u << World::kLbaShift) {}

void Workload::fault(const std::string& what) {
  world_.fabric.fault("host " + std::to_string(options_.number) + ": " + what);
}

void Workload::run() {
  rnic::Random& random = world_.fabric.schedule().random();
  for (unsigned i = 0; i < options_.connections || is_to_go_on(); ++i) {
    Host host(world_, options_.host);
    if (!connect(host)) return;
    transfer(host, i >= options_.connections);
    world_.fabric.note("host %llu ends its connection %llu", options_.number, i);
    if (random.chance(30) || world_.is_disturbed())
      host.vanish();
    else
      host.leave();
  }
}

// A host tries again: the target may refuse it for good reasons (a device that is away, hosts that come too fast).
bool Workload::connect(Host& host) {
  uint64_t undisturbed_since_ns = world_.fabric.now_ns();
  for (unsigned tries = 0; tries < kSetUps; ++tries) {
    const uint64_t begun_ns = world_.fabric.now_ns();
    world_.fabric.note("host %llu sets up its connection, try %llu", options_.number, tries);
    if (host.bring_up()) {
      if (world_.is_overdue(begun_ns, options_.bound_ns)) fault("the set-up took too long");
      return true;
    }
    host.vanish();
    const uint64_t now = world_.fabric.now_ns();
    if (world_.is_disturbed_since(undisturbed_since_ns)) undisturbed_since_ns = now;
    if (options_.bound_ns != 0 && now - undisturbed_since_ns > kBoundsToComeIn * options_.bound_ns)
      return fault("does not come in: " + host.failure), false;
    const uint64_t until = world_.fabric.now_ns() + kPauseNs * (1 + tries);
    world_.wait([&] { return world_.fabric.now_ns() >= until; });
  }
  fault("never came in: " + host.failure);
  return false;
}

void Workload::transfer(Host& host, bool at_leisure) {
  std::vector<Lane> lanes;
  for (uint16_t qid = 1; qid <= options_.host.io_queues; ++qid) lanes.push_back({&host.io(qid), {}});
  AdminLane admin(world_, host, options_.bound_ns);
  rnic::Random& random = world_.fabric.schedule().random();
  unsigned left = at_leisure ? 1 + static_cast<unsigned>(random.below(kMostAtLeisure)) : options_.commands;
  bool alive = true;
  bool gives_up = false;
  while (alive && (left != 0 || std::ranges::any_of(lanes, [](const Lane& lane) { return !lane.under_way.empty(); }))) {
    Lane& lane = lanes[random.below(lanes.size())];
    for (unsigned burst = 1 + static_cast<unsigned>(random.below(4)); burst != 0 && left != 0; --burst) {
      if (!lane.queue->has_room()) break;
      send(lane, admin);
      --left;
    }
    world_.wait(
        [&] {
          host.admin().turn();
          for (Lane& one : lanes) one.queue->turn();
          return std::ranges::any_of(lanes, [at_leisure](const Lane& one) {
            return one.queue->state() != HostQueue::State::Connected || (!at_leisure && !one.queue->answered().empty());
          });
        },
        random.below(!at_leisure             ? kBusyNs
                     : world_.is_disturbed() ? kTroubledNs
                                             : kLeisureNs));
    if (options_.administers) administer(lanes, admin);
    const auto kept_alive_ns = host.keep_alive();
    if (kept_alive_ns && world_.is_late(host.admin(), *kept_alive_ns, options_.bound_ns))
      fault("a Keep Alive is not answered in time");
    for (Lane& one : lanes) collect(one);
    gives_up = is_missing_target(lanes) || (kept_alive_ns && world_.is_missed(host.admin(), *kept_alive_ns, kMissedNs));
    alive =
        std::ranges::all_of(lanes, [](const Lane& one) { return one.queue->state() == HostQueue::State::Connected; }) &&
        host.admin().state() == HostQueue::State::Connected && !gives_up;
  }
  for (Lane& lane : lanes)
    for (const Transfer& transfer : lane.under_way)
      if (transfer.kind == Kind::Read) history_.forget_read(transfer.number);
  completed_ += admin.completed();
  if (!alive && !gives_up && !world_.is_disturbed()) fault("the target has ended an honest host's connection");
}

// A command of the first queue that is outstanding while an Abort with its identifier is may end by that.
void Workload::administer(std::vector<Lane>& lanes, AdminLane& admin) const {
  std::deque<Transfer>& first = lanes.front().under_way;
  const auto mark = [&] {
    for (Transfer& transfer : first) transfer.may_be_aborted |= admin.is_aborting(transfer.cid);
  };
  mark();
  std::vector<uint16_t> cids;
  for (const Transfer& transfer : first) cids.push_back(transfer.cid);
  admin.turn(cids);
  mark();
}

bool Workload::is_missing_target(const std::vector<Lane>& lanes) const {
  return std::ranges::any_of(lanes, [this](const Lane& lane) {
    return !lane.under_way.empty() && world_.is_missed(*lane.queue, lane.under_way.front().sent_ns, kMissedNs);
  });
}

Workload::Kind Workload::some_kind() const {
  rnic::Random& random = world_.fabric.schedule().random();
  if (random.chance(3)) return Kind::Flush;
  if (random.chance(50)) return Kind::Read;
  return random.chance(10) ? Kind::WriteZeroes : Kind::Write;
}

void Workload::send(Lane& lane, const AdminLane& admin) {
  rnic::Random& random = world_.fabric.schedule().random();
  const auto most = std::min<uint64_t>(history_.count(), kMostBlocks);
  const auto blocks = static_cast<uint32_t>(1 + random.below(random.chance(20) ? most : 8));
  const uint64_t slba = history_.first() + random.below(history_.count() - blocks + 1);
  Transfer transfer{0, ++numbers_, world_.fabric.now_ns(), some_kind(), {}, false};
  transfer.cid = send(*lane.queue, transfer, slba, blocks);
  constexpr std::array kNotes = {"host %llu reads, command %llu", "host %llu writes, command %llu",
                                 "host %llu writes zeroes, command %llu", "host %llu flushes, command %llu"};
  world_.fabric.note_routine(kNotes[static_cast<size_t>(transfer.kind)], options_.number, transfer.cid);
  transfer.may_be_aborted = admin.is_aborting(transfer.cid);
  lane.under_way.push_back(transfer);
}

// Returns its CID.
uint16_t Workload::send(HostQueue& queue, Transfer& transfer, uint64_t slba, uint32_t blocks) {
  rnic::Random& random = world_.fabric.schedule().random();
  const auto descriptors = static_cast<unsigned>(random.chance(30) ? 2 + random.below(kMostDescriptors - 1) : 1);
  const auto command = [&](uint8_t opcode) { return transfer_command(opcode, slba, blocks, options_.nsid); };
  Bytes data(size_t{blocks} << World::kLbaShift);
  switch (transfer.kind) {
    case Kind::Read:
      history_.begin_read(transfer.number, slba, blocks);
      return queue.send(command(nvme_cmd_read), Direction::ToHost, data, false, descriptors);
    case Kind::Write:
      transfer.write = history_.begin_write(slba, blocks, data);
      return queue.send(command(nvme_cmd_write), Direction::ToController, data,
                        data.size() <= 4096 && random.chance(50), descriptors);
    case Kind::WriteZeroes:
      transfer.write = history_.begin_zeroes(slba, blocks);
      return queue.send(command(nvme_cmd_write_zeroes), Direction::None, {});
    case Kind::Flush:
      break;
  }
  nvme::Sqe flush = command(nvme_cmd_flush);
  flush.cdw10 = flush.cdw11 = flush.cdw12 = 0;
  return queue.send(flush, Direction::None, {});
}

void Workload::collect(Lane& lane) {
  for (const uint16_t cid : lane.queue->answered()) {
    const auto found = std::ranges::find(lane.under_way, cid, &Transfer::cid);
    end(lane, *found);
    lane.under_way.erase(found);
  }
  for (const Transfer& transfer : lane.under_way)
    if (lane.queue->state() == HostQueue::State::Connected &&
        world_.is_late(*lane.queue, transfer.sent_ns, options_.bound_ns))
      return fault("command " + std::to_string(transfer.cid) + ", " + kNames[static_cast<size_t>(transfer.kind)] +
                   " since " + std::to_string(transfer.sent_ns / 1000) + " us, is not answered in time");
}

bool Workload::may_fail(const Transfer& transfer, int status) const {
  if (transfer.may_be_aborted && status == NVME_SC_ABORT_REQ) return true;
  if (world_.may_lose_its_path(status, transfer.sent_ns)) return true;
  return !options_.namespace_stays || !world_.storage_is_sound_since(transfer.sent_ns);
}

void Workload::end(Lane& lane, const Transfer& transfer) {
  const int status = lane.queue->answer(transfer.cid)->status >> 1 & 0x7ff;
  const Bytes data = lane.queue->take(transfer.cid);
  ++completed_;
  if (status != 0) {
    if (transfer.kind == Kind::Read) history_.forget_read(transfer.number);
    if (!may_fail(transfer, status)) fault("a command failed with status " + std::to_string(status));
  } else if (transfer.kind == Kind::Write || transfer.kind == Kind::WriteZeroes) {
    history_.end_write(transfer.write);
  } else if (transfer.kind == Kind::Flush) {
    return;
  } else if (const std::string wrong = history_.end_read(transfer.number, data); !wrong.empty()) {
    fault("wrong data: " + wrong);
  }
}

}  // namespace nvmf::simulation
