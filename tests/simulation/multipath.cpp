#include "tests/simulation/multipath.h"

#include <algorithm>
#include <utility>

namespace nvmf::simulation {
namespace {

constexpr uint32_t kMostBlocks = 16;
constexpr size_t kMostUnderWay = 8;
// Until a command is answered, on whichever path: its first one may end a few seconds after its device.
constexpr uint64_t kBoundNs = 20'000'000'000;
constexpr uint64_t kLookNs = 2'000'000;
// What a host's Keep Alive finds out: a path of which nothing is heard has ended.
constexpr uint64_t kMissedNs = 3'000'000'000;

}  // namespace

Multipath::Multipath(World& world, uint32_t number, uint64_t first_block, uint64_t blocks, const char* address)
    : world_(world),
      number_(number),
      address_(address),
      history_(number, first_block, blocks, 1u << World::kLbaShift) {}

void Multipath::fault(const std::string& what) {
  world_.fabric.fault("host " + std::to_string(number_) + " with two paths: " + what);
}

HostOptions Multipath::options_of(size_t path) const {
  HostOptions options;
  options.nqn = "nqn.2024-01.org.example:host-" + std::to_string(number_);
  options.hostid = static_cast<uint8_t>(number_);
  options.address = address_;
  options.target = path == 0 ? World::kAddress : World::kSecondAddress;
  options.invalidates = false;
  options.keep_alive_ms = World::kKeepAliveMs;
  return options;
}

void Multipath::keep_paths() {
  while (!is_over_) {
    for (size_t i = 0; i < paths_.size(); ++i) {
      Path& path = paths_[i];
      if (path.is_up || is_over_) continue;
      path.host = std::make_unique<Host>(world_, options_of(i));
      path.is_up = path.host->bring_up();
      world_.fabric.note(path.is_up ? "host %llu has path %llu" : "host %llu has no path %llu", number_, i);
      if (!path.is_up) path.host->vanish();
    }
    const uint64_t until = world_.fabric.now_ns() + kLookNs;
    world_.wait([&] { return is_over_ || world_.fabric.now_ns() >= until; });
  }
  for (Path& path : paths_)
    if (path.is_up) path.host->leave();
}

void Multipath::run(unsigned commands) {
  while (world_.fabric.faults().empty() && (commands != 0 || !under_way_.empty() || !waiting_.empty())) {
    collect();
    while (!waiting_.empty() && path_with_room() != nullptr) {
      const Command again = waiting_.back();
      waiting_.pop_back();
      send(again);
    }
    if (commands != 0 && under_way_.size() + waiting_.size() < kMostUnderWay && path_with_room() != nullptr) {
      begin();
      --commands;
    }
    const uint64_t until = world_.fabric.now_ns() + world_.fabric.schedule().random().below(60'000);
    world_.wait([&] { return world_.fabric.now_ns() >= until; });
  }
  is_over_ = true;
}

// By chance one of those that have.
Multipath::Path* Multipath::path_with_room() {
  const size_t first = world_.fabric.schedule().random().below(paths_.size());
  for (size_t i = 0; i < paths_.size(); ++i) {
    Path& path = paths_[(first + i) % paths_.size()];
    if (path.is_up && path.host->io(1).has_room()) return &path;
  }
  return nullptr;
}

void Multipath::begin() {
  rnic::Random& random = world_.fabric.schedule().random();
  Command command;
  command.writes = random.chance(50);
  command.blocks = static_cast<uint32_t>(1 + random.below(kMostBlocks));
  command.slba = history_.first() + random.below(history_.count() - command.blocks + 1);
  command.begun_ns = world_.fabric.now_ns();
  send(command);
}

// A write that is sent again is another one to the history: the first one may have happened, and may still.
void Multipath::send(Command command) {
  Path& path = *path_with_room();
  HostQueue& queue = path.host->io(1);
  command.number = ++numbers_;
  command.sent_ns = world_.fabric.now_ns();
  command.path = static_cast<size_t>(&path - paths_.data());
  Bytes data(size_t{command.blocks} << World::kLbaShift);
  if (command.writes)
    command.write = history_.begin_write(command.slba, command.blocks, data);
  else
    history_.begin_read(command.number, command.slba, command.blocks);
  const uint8_t opcode = command.writes ? nvme_cmd_write : nvme_cmd_read;
  command.cid = queue.send(transfer_command(opcode, command.slba, command.blocks),
                           command.writes ? Direction::ToController : Direction::ToHost, std::move(data));
  under_way_.push_back(command);
}

void Multipath::again(const Command& command) {
  waiting_.push_back(command);
  ++retried_;
}

void Multipath::collect() {
  const uint64_t now = world_.fabric.now_ns();
  for (size_t i = 0; i < paths_.size(); ++i) {
    Path& path = paths_[i];
    if (!path.is_up) continue;
    HostQueue& queue = path.host->io(1);
    path.host->admin().turn();
    queue.turn();
    const auto kept_alive_ns = path.host->keep_alive();
    std::erase_if(under_way_, [&](const Command& command) {
      if (command.path != i || !queue.answer(command.cid)) return false;
      take(command, queue);
      return true;
    });
    const bool is_silent = std::ranges::any_of(under_way_, [&](const Command& command) {
      return command.path == i && world_.is_missed(queue, command.sent_ns, kMissedNs);
    });
    path.is_up = !is_silent && !(kept_alive_ns && world_.is_missed(path.host->admin(), *kept_alive_ns, kMissedNs)) &&
                 queue.state() == HostQueue::State::Connected &&
                 path.host->admin().state() == HostQueue::State::Connected;
    if (path.is_up) continue;
    if (!world_.is_disturbed()) fault("a path has ended");
    path.host->vanish();
    std::erase_if(under_way_, [&](const Command& command) {
      if (command.path != i) return false;
      if (!command.writes) history_.forget_read(command.number);
      again(command);
      return true;
    });
  }
  const auto is_late = [&](const Command& command) { return now - command.begun_ns > kBoundNs; };
  if (std::ranges::any_of(under_way_, is_late) || std::ranges::any_of(waiting_, is_late))
    fault("a command is not answered in time, although there were two paths");
}

void Multipath::take(const Command& command, HostQueue& queue) {
  const int status = queue.answer(command.cid)->status >> 1 & 0x7ff;
  const Bytes data = queue.take(command.cid);
  if (world_.may_lose_its_path(status, command.sent_ns)) {
    if (!command.writes) history_.forget_read(command.number);
    return again(command);
  }
  ++completed_;
  if (status != 0) {
    if (!command.writes) history_.forget_read(command.number);
    if (world_.storage_is_sound_since(command.sent_ns)) fault("a command failed with status " + std::to_string(status));
  } else if (command.writes) {
    history_.end_write(command.write);
  } else if (const std::string wrong = history_.end_read(command.number, data); !wrong.empty()) {
    fault("wrong data: " + wrong);
  }
}

}  // namespace nvmf::simulation
