#include "tests/simulation/hostile.h"

#include <algorithm>
#include <cstring>

namespace nvmf::simulation {
namespace {

constexpr uint64_t kPatienceNs = 200'000'000;

using State = HostQueue::State;

void pause(World& world, uint64_t most_ns) {
  const uint64_t until = world.fabric.now_ns() + world.fabric.schedule().random().below(most_ns);
  world.wait([&] { return world.fabric.now_ns() >= until; });
}

// Until the target has had enough, or the host has.
void linger(World& world, HostQueue& queue) {
  world.wait([&] { return queue.turn(), queue.state() != State::Connected; }, kPatienceNs);
}

bool comes_in(World& world, HostQueue& queue) {
  world.wait([&] {
    queue.turn();
    return queue.state() != State::Resolving && queue.state() != State::Connecting;
  });
  return queue.state() == State::Connected;
}

HostOptions options_of(uint32_t number) {
  HostOptions options;
  options.nqn = "nqn.2024-01.org.example:hostile-" + std::to_string(number);
  options.hostid = static_cast<uint8_t>(number);
  options.depth = 8;
  options.keep_alive_ms = 500;  // how the target misses it
  return options;
}

void send_too_many(World& world, Host& host) {
  HostQueue& queue = host.io(1);
  const ibv_sge capsule = queue.some_memory(sizeof(nvme::Sqe));
  const nvme::Sqe sqe = transfer_command(nvme_cmd_flush, 0, 1);
  std::memcpy(reinterpret_cast<void*>(capsule.addr), &sqe, sizeof sqe);
  for (int i = 0; i < 24 && queue.state() == State::Connected; ++i) queue.send_raw({capsule});
  linger(world, queue);
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

void take_no_answers(World& world, uint32_t number) {
  HostOptions options = options_of(number);
  options.takes_answers = false;
  Host host(world, options);
  if (!host.bring_up()) return;
  HostQueue& queue = host.io(1);
  while (queue.has_room())
    queue.send(transfer_command(nvme_cmd_read, 0, 128), Direction::ToHost, Bytes(World::kMaxTransferBytes));
  linger(world, queue);
}

void send_no_connect(World& world) {
  std::vector<std::unique_ptr<HostQueue>> silent;
  for (int i = 0; i < 6; ++i) silent.push_back(std::make_unique<HostQueue>(world, HostQueueOptions{}));
  for (const auto& queue : silent) comes_in(world, *queue);
  for (const auto& queue : silent) linger(world, *queue);
}

void vanish_at_any_step(World& world, uint32_t number) {
  rnic::Random& random = world.fabric.schedule().random();
  if (random.chance(50)) {
    HostQueue queue(world, {});
    const uint64_t until = world.fabric.now_ns() + random.below(600'000);
    world.wait([&] { return queue.turn(), world.fabric.now_ns() >= until; });
    queue.die();
    return;
  }
  Host host(world, options_of(number));
  if (!host.connect_admin() || (random.chance(70) && !host.bring_up())) return;
  host.die();
}

}  // namespace

void be_hostile(World& world, Hostility how, uint32_t number) {
  world.fabric.note("host %llu is hostile, kind %llu", number, static_cast<uint64_t>(how));
  for (int i = 0; i < 4; ++i) {
    pause(world, 5'000'000);
    if (how == Hostility::NoConnect) {
      send_no_connect(world);
      continue;
    }
    if (how == Hostility::TakesNoAnswers) {
      take_no_answers(world, number);
      continue;
    }
    if (how == Hostility::VanishesAtAnyStep) {
      vanish_at_any_step(world, number);
      continue;
    }
    Host host(world, options_of(number));
    if (!host.bring_up()) continue;
    HostQueue& queue = world.fabric.schedule().random().chance(70) ? host.io(1) : host.admin();
    if (how == Hostility::TooManyCapsules) send_too_many(world, host);
    if (how == Hostility::HalfCapsules) send_halves(world, host.io(1));
    if (how == Hostility::Garbage) send_garbage(world, queue);
    if (how == Hostility::WrongKeys) send_wrong_keys(world, host.io(1));
  }
}

}  // namespace nvmf::simulation
