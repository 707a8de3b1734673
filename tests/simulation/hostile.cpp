#include "tests/simulation/hostile.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "target/core/datapath/limits.h"
#include "transport/rdma/receive_slab.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kPatienceNs = 200'000'000;
// Longer than a host that takes no answers may stay.
constexpr uint64_t kLongPatienceNs = uint64_t{core::limits::kStalledAnswersMs + 3'000} * 1'000'000;
// No host is missed for want of a Keep Alive while it is patient; all are when they have gone without a farewell.
static_assert(World::kLongestKeepAliveMs * uint64_t{1'000'000} > kLongPatienceNs);
constexpr unsigned kFlood = 200;  // capsules
constexpr uint16_t kFloodDepth = 32;
constexpr uint16_t kNobodysCid = 0xfff0;  // no answer to it is taken for that of another command
constexpr uint32_t kPage = 4096;
constexpr unsigned kSilent = 6;  // connections
constexpr unsigned kFloodOfConnections = core::limits::kMaxUnfinishedConnections + 6;

using State = HostQueue::State;

void pause(World& world, uint64_t most_ns) {
  const uint64_t until = world.fabric.now_ns() + world.fabric.schedule().random().below(most_ns);
  world.wait([&] { return world.fabric.now_ns() >= until; });
}

// Until the target has had enough, or the host has.
void linger(World& world, HostQueue& queue) {
  world.wait([&] { return queue.turn(), queue.state() != State::Connected; }, kPatienceNs);
}

// Of a host that has to be disconnected. A link that is down keeps the news from it.
void expect_end(World& world, HostQueue& queue, uint64_t since_ns, const std::string& why) {
  world.wait([&] { return queue.turn(), queue.state() != State::Connected; }, kLongPatienceNs);
  if (queue.state() == State::Connected && !world.is_disturbed_since(since_ns))
    world.fabric.fault("a host " + why + " is not disconnected");
}

bool comes_in(World& world, HostQueue& queue) {
  world.wait([&] {
    queue.turn();
    return queue.state() != State::Resolving && queue.state() != State::Connecting;
  });
  return queue.state() == State::Connected;
}

HostOptions options_of(uint32_t number, const char* address) {
  HostOptions options;
  options.address = address;
  options.nqn = "nqn.2024-01.org.example:hostile-" + std::to_string(number);
  options.hostid = static_cast<uint8_t>(number);
  options.depth = 8;
  options.keep_alive_ms = 500;  // how the target misses it
  return options;
}

// It takes no answers, so that what it sends stays with the target.
void send_too_many(World& world, HostOptions options) {
  const uint64_t begin_ns = world.fabric.now_ns();
  options.takes_answers = false;
  options.keep_alive_ms = World::kLongestKeepAliveMs;
  Host host(world, options);
  if (!host.bring_up()) return;
  HostQueue& queue = host.io(1);
  const ibv_sge capsule = queue.some_memory(sizeof(nvme::Sqe));
  const nvme::Sqe sqe = transfer_command(nvme_cmd_flush, 0, 1);
  std::memcpy(reinterpret_cast<void*>(capsule.addr), &sqe, sizeof sqe);
  const unsigned most = rdma::requests_of(options.depth) + options.depth;
  for (unsigned sent = 0; sent <= most && queue.state() == State::Connected; queue.turn()) {
    if (queue.send_raw({capsule}))
      ++sent;
    else
      pause(world, 20'000);
  }
  expect_end(world, queue, begin_ns, "that sends more commands than its queue has entries");
}

void send_halves(World& world, HostQueue& queue) {
  ibv_sge first = queue.some_memory(4096);
  ibv_sge second = first;
  second.lkey = 0;
  second.length = 64;
  queue.send_raw({first, second});
  linger(world, queue);
}

void send_garbage(World& world, HostQueue& queue) {
  rnic::Random& random = world.fabric.schedule().random();
  for (int i = 0; i < 6 && queue.state() == State::Connected; ++i) {
    const auto length = static_cast<uint32_t>(random.chance(20) ? random.below(64) : 64 + random.below(256));
    const ibv_sge capsule = queue.some_memory(length);
    auto* const bytes = reinterpret_cast<uint8_t*>(capsule.addr);
    for (uint32_t at = 0; at < length; ++at) bytes[at] = static_cast<uint8_t>(random.next());
    if (random.chance(50)) bytes[1] = 0x40;  // so that more than its first field is looked at
    queue.send_raw({capsule});
    pause(world, 100'000);
    queue.turn();
  }
  linger(world, queue);
}

void send_wrong_keys(World& world, HostQueue& queue) {
  nvme::Sqe sqe = transfer_command(world.fabric.schedule().random().chance(50) ? nvme_cmd_read : nvme_cmd_write, 0, 8);
  sqe.flags = 0x40;
  sqe.sgl1.address = 0xdead0000;
  sqe.sgl1.specific[1] = 0x10;  // 4,096 bytes
  sqe.sgl1.specific[4] = 0xbe;
  sqe.sgl1.identifier = 0x40;
  const ibv_sge capsule = queue.some_memory(sizeof sqe);
  std::memcpy(reinterpret_cast<void*>(capsule.addr), &sqe, sizeof sqe);
  queue.send_raw({capsule});
  linger(world, queue);
}

// Takes all answers, so that the next commands may be sent. False: the connection has ended, or takes too long.
bool has_room_again(World& world, HostQueue& queue) {
  const bool came = world.wait(
      [&] {
        queue.turn();
        for (const uint16_t cid : queue.answered()) queue.take(cid);
        return queue.has_room() || queue.state() != State::Connected;
      },
      kPatienceNs);
  return came && queue.state() == State::Connected;
}

// More than the queue has entries, and than its own send queue takes at once.
void flood_raw(World& world, HostQueue& queue, nvme::Sqe sqe) {
  sqe.flags = 0x40;
  sqe.cid = kNobodysCid;
  const ibv_sge capsule = queue.some_memory(sizeof sqe);
  std::memcpy(reinterpret_cast<void*>(capsule.addr), &sqe, sizeof sqe);
  for (unsigned sent = 0; sent < kFlood && queue.state() == State::Connected; queue.turn()) {
    if (queue.send_raw({capsule}))
      ++sent;
    else
      pause(world, 20'000);
  }
}

void flood_before_connect(World& world, const HostQueueOptions& options) {
  std::vector<std::unique_ptr<HostQueue>> queues;
  for (int i = 0; i < 4; ++i) queues.push_back(std::make_unique<HostQueue>(world, options));
  nvme::Sqe sqe{};
  sqe.opcode = world.fabric.schedule().random().chance(50) ? nvme_admin_fabrics : nvme_admin_identify;
  for (const auto& queue : queues)
    if (comes_in(world, *queue)) flood_raw(world, *queue, sqe);
  for (const auto& queue : queues) linger(world, *queue);
}

nvme::Sqe admin_command(rnic::Random& random) {
  nvme::Sqe sqe{};
  switch (random.below(5)) {
    case 0:
      sqe.opcode = nvme_admin_identify;
      sqe.cdw10 = random.chance(50) ? NVME_IDENTIFY_CNS_CTRL : NVME_IDENTIFY_CNS_NS_ACTIVE_LIST;
      break;
    case 1:
      sqe.opcode = nvme_admin_get_log_page;
      sqe.nsid = NVME_NSID_ALL;
      sqe.cdw10 = (random.chance(50) ? NVME_LOG_LID_CMD_EFFECTS : NVME_LOG_LID_CHANGED_NS) | (kPage / 4 - 1) << 16;
      break;
    case 2:
      sqe.opcode = nvme_admin_async_event;
      break;
    case 3:
      sqe.opcode = nvme_admin_abort_cmd;
      sqe.cdw10 = static_cast<uint32_t>(random.below(2)) | static_cast<uint32_t>(random.below(kFloodDepth)) << 16;
      break;
    default:
      sqe.opcode = nvme_admin_keep_alive;
  }
  return sqe;
}

// With reads on the I/O queue, for Abort to look for.
void flood_admin_queue(World& world, Host& host) {
  rnic::Random& random = world.fabric.schedule().random();
  HostQueue& queue = host.admin();
  while (host.io(1).has_room()) host.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(kPage));
  for (unsigned sent = 0; sent < kFlood && has_room_again(world, queue); ++sent) {
    const nvme::Sqe sqe = admin_command(random);
    const bool reads = sqe.opcode == nvme_admin_identify || sqe.opcode == nvme_admin_get_log_page;
    queue.send(sqe, reads ? Direction::ToHost : Direction::None, Bytes(reads ? kPage : 0));
    host.io(1).turn();
  }
  if (random.chance(50)) flood_raw(world, queue, admin_command(random));
  linger(world, queue);
}

void flood_with_reports(World& world, HostQueue& queue) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_cmd_resv_report;
  sqe.nsid = World::kNsid;
  sqe.cdw10 = World::kMaxTransferBytes / 4 - 1;
  sqe.cdw11 = 1;  // EDS
  for (unsigned sent = 0; sent < kFlood && has_room_again(world, queue); ++sent)
    queue.send(sqe, Direction::ToHost, Bytes(World::kMaxTransferBytes));
  linger(world, queue);
}

// A patient one is not missed for want of a Keep Alive.
void take_no_answers(World& world, HostOptions options, bool is_patient) {
  const uint64_t begin_ns = world.fabric.now_ns();
  options.takes_answers = false;
  if (is_patient) options.keep_alive_ms = World::kLongestKeepAliveMs;
  Host host(world, options);
  if (!host.bring_up()) return;
  HostQueue& queue = host.io(1);
  while (queue.has_room())
    queue.send(transfer_command(nvme_cmd_read, 0, 128), Direction::ToHost, Bytes(World::kMaxTransferBytes));
  if (is_patient) return expect_end(world, queue, begin_ns, "that takes no answers");
  linger(world, queue);
}

void take_no_admin_answers(World& world, HostOptions options) {
  const uint64_t begin_ns = world.fabric.now_ns();
  options.takes_admin_answers = false;
  options.keep_alive_ms = World::kLongestKeepAliveMs;
  Host host(world, options);
  if (!host.bring_up()) return;
  HostQueue& queue = host.admin();
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_keep_alive;
  for (unsigned sent = 0; sent < 40 && has_room_again(world, queue); ++sent) queue.send(sqe, Direction::None, {});
  expect_end(world, queue, begin_ns, "that takes no answers on its admin queue");
}

// Memory that every transport but iWARP keeps to itself, whoever knows its keys.
void use_the_targets_keys(World& world, HostQueue& queue) {
  rnic::Random& random = world.fabric.schedule().random();
  if (world.device == nullptr || world.device->profile().transport == IBV_TRANSPORT_IWARP) return;
  std::vector<uint32_t> keys;
  for (const auto& [key, region] : world.device->regions) keys.push_back(key);
  std::ranges::sort(keys);
  if (keys.empty()) return;
  const uint32_t key = keys[random.below(keys.size())];
  const auto address = reinterpret_cast<uintptr_t>(world.device->regions.at(key)->addr);
  queue.intrude(random.chance(50) ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, address, key);
  linger(world, queue);
}

void send_no_connect(World& world, HostQueueOptions options, unsigned connections) {
  std::vector<std::unique_ptr<HostQueue>> silent;
  options.receives = 1;
  for (unsigned i = 0; i < connections; ++i) silent.push_back(std::make_unique<HostQueue>(world, options));
  for (const auto& queue : silent) comes_in(world, *queue);
  const auto has_ended = [](const auto& queue) { return queue->turn(), queue->state() != State::Connected; };
  world.wait([&] { return std::ranges::all_of(silent, has_ended); }, kPatienceNs);
}

void vanish_at_any_step(World& world, const HostOptions& options, const HostQueueOptions& of_queue) {
  rnic::Random& random = world.fabric.schedule().random();
  if (random.chance(50)) {
    HostQueue queue(world, of_queue);
    const uint64_t until = world.fabric.now_ns() + random.below(600'000);
    world.wait([&] { return queue.turn(), world.fabric.now_ns() >= until; });
    queue.die();
    return;
  }
  Host host(world, options);
  if (!host.connect_admin() || (random.chance(70) && !host.bring_up())) return;
  host.die();
}

// By hostility.
constexpr std::array<const char*, kHostilities> kNames{"it sends more capsules than its queue has entries",
                                                       "it takes no answers",
                                                       "it sends half capsules",
                                                       "it sends garbage",
                                                       "it sends no Connect",
                                                       "it names memory that it has not",
                                                       "it vanishes at any step",
                                                       "it floods queues before Connect",
                                                       "it floods its admin queue",
                                                       "it floods with Reservation Reports",
                                                       "it floods with connections",
                                                       "it reads and writes the target's memory"};

}  // namespace

void be_hostile(World& world, Hostility how, uint32_t number, const char* address) {
  world.fabric.note("host " + std::to_string(number) + " is hostile: " + kNames[static_cast<size_t>(how)]);
  HostOptions options = options_of(number, address);
  HostQueueOptions of_queue;
  of_queue.address = address;
  if (how == Hostility::FloodsAdminQueue || how == Hostility::FloodsWithReports) options.depth = kFloodDepth;
  for (int i = 0; i < 4; ++i) {
    pause(world, 5'000'000);
    if (how == Hostility::NoConnect || how == Hostility::FloodsConnections) {
      send_no_connect(world, of_queue, how == Hostility::NoConnect ? kSilent : kFloodOfConnections);
      continue;
    }
    if (how == Hostility::FloodsBeforeConnect) {
      flood_before_connect(world, of_queue);
      continue;
    }
    if (how == Hostility::TakesNoAnswers) {
      if (i == 1)
        take_no_admin_answers(world, options);
      else
        take_no_answers(world, options, i == 3);
      continue;
    }
    if (how == Hostility::TooManyCapsules) {
      send_too_many(world, options);
      continue;
    }
    if (how == Hostility::VanishesAtAnyStep) {
      vanish_at_any_step(world, options, of_queue);
      continue;
    }
    Host host(world, options);
    if (!host.bring_up()) continue;
    HostQueue& queue = world.fabric.schedule().random().chance(70) ? host.io(1) : host.admin();
    if (how == Hostility::UsesTheTargetsKeys) use_the_targets_keys(world, host.io(1));
    if (how == Hostility::HalfCapsules) send_halves(world, host.io(1));
    if (how == Hostility::Garbage) send_garbage(world, queue);
    if (how == Hostility::WrongKeys) send_wrong_keys(world, host.io(1));
    if (how == Hostility::FloodsAdminQueue) flood_admin_queue(world, host);
    if (how == Hostility::FloodsWithReports) flood_with_reports(world, host.io(1));
  }
}

}  // namespace nvmf::simulation
