#include "tests/simulation/world.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <utility>

#include "tests/rnic/shared_receive_queue.h"
#include "tests/simulation/host_queue.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kStepNs = 300;
// The world leaps over time in which nobody has anything to do, so far at once: Asio's timers are not in the schedule.
constexpr uint64_t kLongestLeapNs = 32'000'000;
// A link may lose a host's farewell. It is missed after two periods of the longest keep-alive that hosts have.
constexpr uint64_t kMissedNs = 2 * World::kLongestKeepAliveMs * uint64_t{1'000'000} + 2'000'000'000;
// Slots that a queue pair took with it are found when the next one ends.
constexpr uint64_t kSlotsNs = 2'000'000'000;
// In troubled times a command may take so many times its bound.
constexpr uint64_t kTroubledBounds = 3;
constexpr uint64_t kReloadNs = 60'000'000'000;
constexpr uint32_t kDepth = 16;  // to ask for the room for queues
constexpr char kDisk[] = "disk1";
constexpr char kConfigFile[] = "config.json";

WorldConfig config_of(const WorldOptions& options) {
  WorldConfig config;
  config.addresses = {World::kAddress};
  if (options.ports == 2) config.addresses.emplace_back(World::kSecondAddress);
  config.service = World::kService;
  config.nqn = World::kNqn;
  config.mdts_bytes = World::kMaxTransferBytes;
  config.max_queue_depth = options.max_queue_depth;
  config.max_new_controllers_per_s = options.max_new_controllers_per_s;
  config.max_new_controllers_per_s_per_host = options.max_new_controllers_per_s_per_host;
  config.namespaces = {{.nsid = World::kNsid,
                        .disk = kDisk,
                        .uses_cmb = options.cmb_bytes != 0,
                        .memory_bytes = options.in_memory ? World::kBlocks << World::kLbaShift : 0}};
  return config;
}

}  // namespace

Disturbance::Disturbance(World& world) : world_(world) { ++world_.disturbances_; }

Disturbance::~Disturbance() {
  --world_.disturbances_;
  world_.calm_since_ns_ = world_.fabric.now_ns() + World::kAftermathNs;
}

World::World(const WorldOptions& options)
    : fabric(options.seed),
      target({.max_transfer_bytes = kMaxTransferBytes,
              .max_queue_depth = options.max_queue_depth,
              .max_io_queues = 8,
              .in_capsule_bytes = 4096}),
      disk(fabric, kBlocks, kLbaShift),
      device(&fabric.add_device("rnic0", kAddress, options.profile)),
      host_device(fabric.add_device("host0", kHostAddress, rnic::connectx())),
      config_(config_of(options)),
      keep_alive_timer_(io_),
      credits_(fabric) {
  device->set_mtu(options.mtu);
  for (const char* const address : kHostAddresses)
    if (address != kHostAddress) host_device.add_address(address);
  if (options.ports == 2) fabric.add_device("rnic1", kSecondAddress, options.profile);
  if (options.cmb_bytes != 0) {
    cmb_ = std::make_unique<ModelCmb>(fabric, WorldConfig::kCmbSsd, options.cmb_bytes, options.cmb_can_be_pinned);
    disk.pci_address = WorldConfig::kCmbSsd;
    if (!options.second_reaches_cmb) cmb_->put_out_of_reach("rnic1");
  }
  target.on_event = [this](const core::Event& event) {
    // The fingerprint of a key is another one in each run.
    fabric.note("the target reports: " + event.message.substr(0, event.message.find(", with the key ")));
    events.push_back(event.message);
  };
  target.on_earlier_deadline = [this](core::Target::Clock::time_point deadline) { await_deadline(deadline); };
  for (unsigned i = 0; i < options.reactors; ++i)
    reactors_.push_back(std::make_unique<SteppedReactor>(i, fabric.schedule(), options.poll_us));
  rdma::PollGroupOptions group;
  group.dram_pool_bytes = options.dram_pool_bytes;
  group.max_transfer_bytes = kMaxTransferBytes;
  group.initial_slots = options.initial_slots;
  transport_ = std::make_unique<rdma::Transport>(io_, target, control_, seats(), group);
  transport_->set_iwarp({"rnic0", "rnic1"});
  transport_->destroy_elsewhere = [this](auto work, auto done) { destroy_on_fiber(std::move(work), std::move(done)); };
  // What blocks a fiber blocks nobody else; what blocks the control thread or a reactor blocks all that is behind it.
  fabric.block = [this](uint64_t ns) {
    const uint64_t until = fabric.now_ns() + ns;
    if (Fiber::current() == nullptr) return fabric.schedule().advance(ns);
    wait([&] { return fabric.now_ns() >= until; }, 2 * ns);
  };
  directory_.write(kDisk, {});
  directory_.write("none", {});
  directory_.write(kConfigFile, config_.text(directory_));
  const ControlPlane::Parts parts{.io = io_,
                                  .target = target,
                                  .control = control_,
                                  .transport = *transport_,
                                  .reactors = reactors_,
                                  .disk_at = [this](const std::string& path) -> ModelDisk& { return disk_at(path); }};
  control_plane_ = std::make_unique<ControlPlane>(parts, directory_.path_of(kConfigFile), config_.text(directory_));
  mailbox_ = std::make_unique<rdma::AsioMailbox>(io_, control_, [this] { transport_->turn_admin(); });
  control_plane_->start();
  if (!wait([this] { return control_plane_->is_started() && is_in_service(); }))
    throw std::runtime_error("the target does not come up");
}

World::~World() {
  // Those that still run are forgotten: nothing of theirs may be called once the target is gone.
  hosts_.clear();
  fabric.on_call = nullptr;
  if (device != nullptr) shut_down();
}

std::vector<rdma::ReactorSeat> World::seats() {
  std::vector<rdma::ReactorSeat> seats;
  for (const auto& one : reactors_) seats.push_back({&one->reactor, {}});
  return seats;
}

ModelDisk& World::disk_at(const std::string& path) {
  for (const auto& [name, one] : more_disks_)
    if (directory_.path_of(name) == path) return *one;
  return disk;
}

ModelDisk& World::add_disk(const std::string& name, uint64_t blocks) {
  auto& added = more_disks_[name] = std::make_unique<ModelDisk>(fabric, blocks, kLbaShift);
  directory_.write(name, {});
  return *added;
}

std::string World::reload(const WorldConfig& wanted) {
  directory_.write(kConfigFile, wanted.text(directory_));
  const auto change = std::make_shared<std::optional<daemon::ConfigChange>>();  // it may end when nobody waits any more
  control_plane_->reload([change](const daemon::ConfigChange& done) { *change = done; });
  if (!wait([&] { return change->has_value(); }, kReloadNs)) return "the reload does not come to an end";
  config_ = wanted;
  const daemon::ConfigChange& done = **change;
  if (done.verdict == daemon::ConfigChange::Verdict::Good) return {};
  return "the reload was refused: " + (done.reasons.empty() ? std::string("?") : done.reasons.front());
}

void World::charge_control_thread(uint64_t ns_of_call) {
  fabric.on_call = [this, ns_of_call] {
    if (Fiber::current() != nullptr) return;  // a host's call, or a reactor's
    for (const uint64_t until = fabric.now_ns() + ns_of_call; fabric.now_ns() < until;) {
      fabric.schedule().advance(kStepNs);
      if (!hosts_.empty()) hosts_[fabric.schedule().random().below(hosts_.size())]->resume();
    }
  };
}

std::optional<uint64_t> World::time_on_control_thread(std::function<void()> work) {
  const uint64_t begun_ns = fabric.now_ns();
  bool done = false;
  boost::asio::post(io_, [&] {
    work();
    done = true;
  });
  if (!wait([&] { return done; })) return std::nullopt;
  return fabric.now_ns() - begun_ns;
}

void World::destroy_on_fiber(std::function<void()> work, std::function<void()> done) {
  destroyers_.push_back(std::make_unique<Fiber>([this, work = std::move(work), done = std::move(done)] {
    work();
    boost::asio::post(io_, done);
  }));
}

bool World::is_in_service() const { return transport_->is_listening(kPort); }

void World::remove_device() {
  device_is_away_.emplace(*this);
  fabric.remove(*std::exchange(device, nullptr));
}

void World::return_device(const rnic::Profile& profile) {
  device = &fabric.add_device("rnic0", kAddress, profile);
  device_is_away_.reset();
}

// What it has under way fails, and its memory is nobody's any more, before anybody is told.
void World::remove_ssd() {
  ssd_is_away_.emplace(*this);
  ssd_was_removed_ = true;
  if (cmb_) cmb_->revoke();
  disk.remove(true);
  directory_.remove(kDisk);
}

void World::return_ssd() {
  disk.remove(false);
  directory_.write(kDisk, {});
  ssd_is_away_.reset();
}

void World::await_deadline(core::Target::Clock::time_point deadline) {
  keep_alive_timer_.expires_at(deadline);
  keep_alive_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (const auto next = target.expire(core::Target::Clock::now())) await_deadline(*next);
    transport_->turn_admin();
  });
}

bool World::is_late(const HostQueue& queue, uint64_t sent_ns, uint64_t bound_ns) const {
  if (!is_disturbed_since(sent_ns)) return is_overdue(sent_ns, bound_ns);
  return bound_ns != 0 && fabric.now_ns() - sent_ns > kTroubledBounds * bound_ns && queue.reaches_target();
}

bool World::is_overdue(uint64_t begun_ns, uint64_t bound_ns) const {
  return bound_ns != 0 && fabric.now_ns() - begun_ns > bound_ns && !is_disturbed_since(begun_ns);
}

bool World::is_missed(const HostQueue& queue, uint64_t sent_ns, uint64_t patience_ns) const {
  return fabric.now_ns() - sent_ns > patience_ns && is_disturbed_since(sent_ns) && !queue.reaches_target();
}

bool World::shut_down() {
  bool drained = false;
  control_plane_->stop();
  transport_->stop([&drained] { drained = true; });
  return wait([&] { return drained; });
}

void World::expect(bool good, const std::string& what) {
  if (!good) fabric.fault("when all hosts had gone, " + what);
}

void World::check_quiet() {
  expect(wait([this] { return transport_->connections() == 0; }, kMissedNs), "connections were left");
  expect(wait([this] { return disk.in_flight() == 0; }), "commands were left in the disk");
  for (const auto& ssd : control_plane_->peer_memories().prepared())
    for (const auto& pair : ssd.pairs)
      for (const core::BufferPool* pool : pair.pools)
        expect(pool->used_bytes() == 0, "pieces of the CMB were not given back");
  for (const auto& rnic : transport_->rnics()) {
    rnic->visit([this](rdma::PollGroup& group) { check_quiet(group); });
    const uint32_t capacity = rnic->io_queue_capacity(kDepth);
    const uint32_t room = rnic->reserve_io_queues(capacity, kDepth);
    rnic->release_io_queues(room);
    expect(room == capacity, std::to_string(capacity - room) + " I/O queues were still granted");
  }
  expect(shut_down(), "the target did not shut down");
  check_device();
}

void World::check_quiet(rdma::PollGroup& group) {
  expect(wait([&] { return group.commands_in_flight() == 0; }), "commands were left in a poll group");
  expect(group.dram().used_bytes() == 0, "buffers were not given back");
  expect(group.queue_pairs() == 0, "the room of a queue was not given back");
  for (const auto& queues : group.queue_sets()) {
    const auto& receives = *static_cast<const rnic::SharedReceiveQueue*>(queues->shared_receives.get());
    // The last queue pairs to go may have taken some: the next capsule shows it.
    expect(wait([&] { return receives.posted() + queues->slots_in_doubt.get() >= queues->slots; }, kSlotsNs),
           "of " + std::to_string(queues->slots) + " receive slots " + std::to_string(receives.posted()) +
               " were with their shared receive queue");
  }
}

// The target lets go of its devices: nothing that it made there may be left.
void World::check_device() {
  bool closed = false;
  control_plane_->close_devices([&] { closed = true; });
  if (!wait([&] { return closed; })) return fabric.fault("the target does not let go of its devices");
  for (const rnic::Device* one : fabric.devices()) {
    if (one == &host_device || one->objects() == 0) continue;
    fabric.fault("when the device was closed, " + std::to_string(one->objects()) + " verbs objects of it were left");
  }
}

void World::start_host(std::function<void()> body) { hosts_.push_back(std::make_unique<Fiber>(std::move(body))); }

bool World::hosts_are_done() const {
  return std::ranges::all_of(hosts_, [](const auto& host) { return host->has_ended(); });
}

bool World::wait(const std::function<bool()>& good, uint64_t most_ns) {
  const uint64_t deadline = fabric.now_ns() + most_ns;
  while (!good()) {
    if (fabric.now_ns() >= deadline) return false;
    if (Fiber::current() != nullptr)
      Fiber::yield();
    else
      step();
  }
  return true;
}

void World::step() {
  rnic::Random& random = fabric.schedule().random();
  bool found_work = false;
  std::erase_if(destroyers_, [](const auto& one) { return one->has_ended(); });
  const uint64_t whose = random.below(2 + reactors_.size() + hosts_.size() + destroyers_.size());
  if (whose == 0) {
    found_work = io_.poll_one() != 0;
    if (found_work) credits_.check(*transport_, control_plane_->peer_memories());
  } else if (whose <= reactors_.size()) {
    SteppedReactor& stepped = *reactors_[whose - 1];
    found_work = stepped.step() && stepped.engine.idle_polls() < 4;
    if (found_work) credits_.check(*transport_, control_plane_->peer_memories());
  } else if (whose <= reactors_.size() + hosts_.size()) {
    hosts_[whose - 1 - reactors_.size()]->resume();
  } else if (whose <= reactors_.size() + hosts_.size() + destroyers_.size()) {
    destroyers_[whose - 1 - reactors_.size() - hosts_.size()]->resume();
  } else {
    const auto next = fabric.schedule().next_ns();
    if (next && *next <= fabric.now_ns() + kLeapNs / 20) found_work = fabric.schedule().step();
  }
  pass_time(found_work);
}

// Longer and longer while nothing happens, but not over what waits for the control thread.
void World::pass_time(bool found_work) {
  idle_steps_ = found_work ? 0 : idle_steps_ + 1;
  if (found_work) leap_ns_ = kLeapNs;
  if (idle_steps_ < 8 * (2 + reactors_.size() + hosts_.size() + destroyers_.size()))
    return fabric.schedule().advance(kStepNs);
  idle_steps_ = 0;
  if (io_.poll_one() != 0) return;
  const auto next = fabric.schedule().next_ns();
  const uint64_t until = next ? std::min(*next, fabric.now_ns() + leap_ns_) : fabric.now_ns() + leap_ns_;
  fabric.schedule().advance(until - fabric.now_ns());
  leap_ns_ = std::min(2 * leap_ns_, kLongestLeapNs);
}

}  // namespace nvmf::simulation
