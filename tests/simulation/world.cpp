#include "tests/simulation/world.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/rnic/shared_receive_queue.h"
#include "tests/transport/open_device.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kStepNs = 300;
// The world leaps over time in which nobody has anything to do, so far at once: Asio's timers are not in the schedule.
constexpr uint64_t kLeapNs = 2'000'000;
// Slots that a queue pair took with it are found when the next one ends.
constexpr uint64_t kSlotsNs = 2'000'000'000;
constexpr uint32_t kDepth = 16;  // to ask for the room for queues

core::Port port() { return {.id = World::kPort, .address = World::kAddress, .service = World::kService}; }

core::Target& with_port(core::Target& target) {
  target.add_port(port());
  return target;
}

core::NamespaceOptions namespace_options() {
  return {.nsid = World::kNsid,
          .lba_shift = World::kLbaShift,
          .block_count = World::kBlocks,
          .uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
}

}  // namespace

World::World(const WorldOptions& options)
    : fabric(options.seed),
      target({.max_transfer_bytes = kMaxTransferBytes,
              .max_queue_depth = options.max_queue_depth,
              .max_io_queues = 8,
              .in_capsule_bytes = 4096}),
      disk(fabric, kBlocks, kLbaShift),
      device(&fabric.add_device("rnic0", kAddress, options.profile)),
      host_device(fabric.add_device("host0", kHostAddress, rnic::connectx())),
      subsystem_(with_port(target).add_subsystem({.nqn = kNqn,
                                                  .serial = "SN-0001",
                                                  .model = "Model disks",
                                                  .ports = {kPort},
                                                  .allow_any_host = true,
                                                  .allowed_hosts = {}})),
      keep_alive_timer_(io_) {
  target.on_event = [this](const core::Event& event) {
    fabric.note("(an event was reported)");
    events.push_back(event.message);
  };
  target.on_earlier_deadline = [this](core::Target::Clock::time_point deadline) { await_deadline(deadline); };
  subsystem_.add_namespace(namespace_options());
  for (unsigned i = 0; i < options.reactors; ++i)
    reactors_.push_back(std::make_unique<SteppedReactor>(i, fabric.schedule(), options.poll_us));
  rdma::PollGroupOptions group;
  group.dram_pool_bytes = options.dram_pool_bytes;
  group.max_transfer_bytes = kMaxTransferBytes;
  group.initial_slots = options.initial_slots;
  transport_ = std::make_unique<rdma::Transport>(io_, target, control_, seats(), group);
  mailbox_ = std::make_unique<rdma::AsioMailbox>(io_, control_, [this] { transport_->turn_admin(); });
  transport_->on_port_lost = [](uint16_t) {};
  transport_->on_device_drained = [this](rdma::Rnic& rnic) { on_drained(rnic); };
  open_port();
  if (!wait([this] { return is_in_service(); })) throw std::runtime_error("the target does not come up");
}

World::~World() {
  // Those that still run are forgotten: nothing of theirs may be called once the target is gone.
  hosts_.clear();
  if (device) shut_down();
}

std::vector<rdma::ReactorSeat> World::seats() {
  std::vector<rdma::ReactorSeat> seats;
  for (const auto& one : reactors_) seats.push_back({&one->reactor, {}});
  return seats;
}

// As the daemon does it: open, join on every reactor, serve the namespaces, put in service, listen.
void World::open_port() {
  rdma::Rnic* const rnic = test::open_device(io_, *transport_, port());
  for (size_t i = 0; i < reactors_.size(); ++i) on_reactor(i, [rnic, i] { rnic->join(i); });
  serve(*rnic);
}

void World::serve(rdma::Rnic& rnic) {
  auto left = std::make_shared<size_t>(reactors_.size());
  for (size_t i = 0; i < reactors_.size(); ++i) {
    rdma::PollGroup& group = *rnic.io_groups()[i];
    group.open_table(subsystem_);
    auto view = std::make_unique<View>();
    view->channel = disk.open_channel(reactors_[i]->engine);
    view->gate = std::make_unique<core::WriteGate>();
    fused_turns_.add(*view->gate, &reactors_[i]->reactor.mailbox());
    view->view = std::make_unique<core::IoNamespace>();
    view->view->nsid = kNsid;
    view->view->lba_shift = kLbaShift;
    view->view->block_count = kBlocks;
    view->view->channel = view->channel.get();
    view->view->gate = view->gate.get();
    view->view->supports_write_zeroes = true;
    view->change.subsystem = &subsystem_;
    view->change.nsid = kNsid;
    view->change.next = view->view.get();
    view->changed = [this, left, &rnic] {
      if (--*left != 0) return;
      transport_->put_in_service(rnic);
      transport_->listen(port());
      rnic_in_service_ = &rnic;
    };
    view->change.context = view.get();
    view->change.done = [](rdma::NamespaceChange& change) { static_cast<View*>(change.context)->changed(); };
    group.change_namespace(view->change);
    views_.push_back(std::move(view));
  }
}

void World::on_reactor(size_t reactor, std::function<void()> work) {
  errands_.push_back(std::make_unique<Errand>());
  Errand& errand = *errands_.back();
  errand.work = std::move(work);
  errand.message.context = &errand;
  errand.message.deliver = [](core::Message& message) { static_cast<Errand*>(message.context)->work(); };
  reactors_[reactor]->reactor.mailbox().send(errand.message);
}

// Nothing of it is in use: it is parted from on every reactor, then closed.
void World::on_drained(rdma::Rnic& rnic) {
  auto left = std::make_shared<size_t>(reactors_.size());
  for (size_t i = 0; i < reactors_.size(); ++i) {
    on_reactor(i, [this, &rnic, i, left] {
      rnic.part(i);
      if (--*left == 0) boost::asio::post(io_, [this, &rnic] { transport_->close(rnic); });
    });
  }
}

void World::remove_device() {
  ++disturbances_;
  rnic_in_service_ = nullptr;
  fabric.remove(*std::exchange(device, nullptr));
}

void World::return_device(const rnic::Profile& profile) {
  device = &fabric.add_device("rnic0", kAddress, profile);
  open_port();
}

void World::await_deadline(core::Target::Clock::time_point deadline) {
  keep_alive_timer_.expires_at(deadline);
  keep_alive_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (const auto next = target.expire(core::Target::Clock::now())) await_deadline(*next);
    transport_->turn_admin();
  });
}

bool World::shut_down() {
  bool drained = false;
  transport_->stop([&drained] { drained = true; });
  return wait([&] { return drained; });
}

void World::expect(bool good, const std::string& what) {
  if (!good) fabric.fault("when all hosts had gone, " + what);
}

void World::check_quiet() {
  expect(wait([this] { return transport_->connections() == 0; }), "connections were left");
  expect(wait([this] { return disk.in_flight() == 0; }), "commands were left in the disk");
  for (const auto& rnic : transport_->rnics()) {
    rnic->visit([this](rdma::PollGroup& group) { check_quiet(group); });
    const uint32_t capacity = rnic->io_queue_capacity(kDepth);
    const uint32_t room = rnic->reserve_io_queues(capacity, kDepth);
    rnic->release_io_queues(room);
    expect(room == capacity, std::to_string(capacity - room) + " I/O queues were still granted");
  }
  expect(shut_down(), "the target did not shut down");
  if (device != nullptr) check_device();
}

void World::check_quiet(rdma::PollGroup& group) {
  expect(wait([&] { return group.commands_in_flight() == 0; }), "commands were left in a poll group");
  expect(group.dram().used_bytes() == 0, "buffers were not given back");
  expect(group.queue_pairs() == 0, "the room of a queue was not given back");
  for (const auto& queues : group.queue_sets()) {
    const auto& receives = *static_cast<const rnic::SharedReceiveQueue*>(queues->shared_receives.get());
    expect(wait([&] { return receives.posted() == queues->slots; }, kSlotsNs),
           "of " + std::to_string(queues->slots) + " receive slots " + std::to_string(receives.posted()) +
               " were with their shared receive queue");
  }
}

// The target lets go of its device: nothing that it made there may be left.
void World::check_device() {
  while (!transport_->rnics().empty()) {
    rdma::Rnic& rnic = *transport_->rnics().front();
    size_t left = reactors_.size();
    for (size_t i = 0; i < reactors_.size(); ++i) on_reactor(i, [&rnic, i, &left] { rnic.part(i), --left; });
    if (!wait([&] { return left == 0; })) return fabric.fault("a reactor did not part from its device");
    transport_->close(rnic);
  }
  const int objects = device->objects();
  if (objects != 0)
    fabric.fault("when the device was closed, " + std::to_string(objects) + " verbs objects of it were left");
}

void World::start_host(std::function<void()> body) { hosts_.push_back(std::make_unique<Fiber>(std::move(body))); }

bool World::hosts_are_done() const {
  return std::ranges::all_of(hosts_, [](const auto& host) { return host->has_ended(); });
}

bool World::wait(const std::function<bool()>& good, uint64_t most_ns) {
  const uint64_t deadline = fabric.now_ns() + most_ns;
  while (!good()) {
    if (fabric.now_ns() >= deadline) return false;
    if (Fiber::current())
      Fiber::yield();
    else
      step();
  }
  return true;
}

void World::step() {
  rnic::Random& random = fabric.schedule().random();
  bool found_work = false;
  const uint64_t whose = random.below(2 + reactors_.size() + hosts_.size());
  if (whose == 0) {
    found_work = io_.poll_one() != 0;
  } else if (whose <= reactors_.size()) {
    SteppedReactor& stepped = *reactors_[whose - 1];
    found_work = stepped.step() && stepped.engine.idle_polls() < 4;
  } else if (whose <= reactors_.size() + hosts_.size()) {
    hosts_[whose - 1 - reactors_.size()]->resume();
  } else {
    const auto next = fabric.schedule().next_ns();
    if (next && *next <= fabric.now_ns() + kLeapNs / 20) found_work = fabric.schedule().step();
  }
  pass_time(found_work);
}

void World::pass_time(bool found_work) {
  idle_steps_ = found_work ? 0 : idle_steps_ + 1;
  if (idle_steps_ < 8 * (2 + reactors_.size() + hosts_.size())) return fabric.schedule().advance(kStepNs);
  const auto next = fabric.schedule().next_ns();
  const uint64_t until = next ? std::min(*next, fabric.now_ns() + kLeapNs) : fabric.now_ns() + kLeapNs;
  fabric.schedule().advance(until - fabric.now_ns());
  idle_steps_ = 0;
}

}  // namespace nvmf::simulation
