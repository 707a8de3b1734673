#include "transport/rdma/rnic.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"
#include "transport/rdma/queue_capacity.h"

namespace nvmf::rdma {
namespace {

constexpr unsigned kEventsPerTurn = 16;

PollGroupOptions admin_options(const PollGroupOptions& io) {
  PollGroupOptions options = io;
  options.in_capsule_bytes = 0;  // admin capsules are 64 bytes
  options.dram_pool_bytes = std::max<uint64_t>(4u << 20, 4 * uint64_t{io.max_transfer_bytes});
  options.initial_slots = 4 * core::limits::kAdminQueueDepth;
  options.max_queue_pairs = kMaxAdminQueues;
  options.wake_on_responses = true;
  return options;
}

ibv_device_attr usable(ibv_context* context) {
  const ibv_device_attr device = verbs::query_device(context);
  if (const std::string lack = verbs::lack_of_shared_receive_queues(*context->device, device); !lack.empty())
    throw verbs::VerbsError(EOPNOTSUPP, lack);
  return device;
}

}  // namespace

Rnic::Rnic(boost::asio::io_context& io, verbs::CmId device, core::Mailbox& control,
           const std::vector<ReactorSeat>& reactors, const PollGroupOptions& io_options, QueuePairOwner& owner)
    : io_(io),
      reactors_(reactors),
      cm_device_(std::move(device)),
      name_(ibv_get_device_name(context()->device)),
      device_(usable(context())),
      domain_(verbs::allocate_protection_domain(context())),
      events_(std::in_place, io, context()->async_fd),
      more_events_(io) {
  const auto bounded_here = [&](const PollGroupOptions& wanted) {
    return bounded(wanted, device_, reactors.size() + 1);
  };
  const PollGroupOptions options = bounded_here(io_options);
  admin_group_ = std::make_unique<PollGroup>(context(), domain_.get(), control, control,
                                             bounded_here(admin_options(io_options)), FixedBuffers{});
  admin_group_->set_owner(owner);
  admin_group_->open();
  for (const ReactorSeat& seat : reactors) {
    io_groups_.push_back(std::make_unique<PollGroup>(context(), domain_.get(), seat.reactor->mailbox(), control,
                                                     options, seat.fixed_buffers));
    io_groups_.back()->set_owner(owner);
  }
}

void Rnic::visit(const std::function<void(PollGroup&)>& visitor) {
  visitor(*admin_group_);
  for (const auto& group : io_groups_) visitor(*group);
}

PollGroup* Rnic::group_of(const ibv_cq* queue) {
  PollGroup* found = nullptr;
  visit([&](PollGroup& group) {
    if (group.owns(queue)) found = &group;
  });
  return found;
}

PollGroup* Rnic::group_of(const ibv_srq* queue) {
  PollGroup* found = nullptr;
  visit([&](PollGroup& group) {
    if (group.owns(queue)) found = &group;
  });
  return found;
}

uint32_t Rnic::send_entries(uint32_t depth) const { return rdma::send_entries(device_, depth); }

PollGroup& Rnic::io_group_for(uint32_t depth) {
  const auto load_of = [&](const std::unique_ptr<PollGroup>& group) {
    return std::pair(!group->has_room(depth, send_entries(depth)), group->queue_pairs());
  };
  return **std::ranges::min_element(io_groups_, {}, load_of);
}

uint32_t Rnic::io_queue_capacity(uint32_t depth) const {
  uint32_t capacity = 0;
  for (const auto& group : io_groups_) capacity += group->capacity(depth, send_entries(depth));
  return std::min(capacity, max_io_queue_pairs());
}

uint32_t Rnic::reserve_io_queues(uint32_t wanted, uint32_t depth) {
  const uint32_t capacity = io_queue_capacity(depth);
  const uint32_t reserved = std::min(wanted, capacity - std::min(capacity, reserved_io_queues_));
  reserved_io_queues_ += reserved;
  return reserved;
}

void Rnic::release_io_queues(uint32_t count) {
  NVMF_INVARIANT(count <= reserved_io_queues_);
  reserved_io_queues_ -= count;
}

uint32_t Rnic::max_io_queue_pairs() const { return rdma::max_io_queue_pairs(device_); }

uint32_t Rnic::io_queues() const {
  uint32_t count = 0;
  for (const auto& group : io_groups_) count += group->queue_pairs();
  return count;
}

bool Rnic::has_room_beside_admin_queues() const { return io_queues() < max_io_queue_pairs(); }

void Rnic::join(size_t reactor) {
  io_groups_[reactor]->open();
  reactors_[reactor].reactor->add(*io_groups_[reactor]);
}

void Rnic::part(size_t reactor) {
  reactors_[reactor].reactor->remove(*io_groups_[reactor]);
  io_groups_[reactor]->close();
}

bool Rnic::has_queue_pairs() const { return io_queues() + admin_group_->queue_pairs() != 0; }

bool Rnic::awaits_group(bool is_admin) const {
  if (is_admin) return admin_group_->is_to_be_rebuilt();
  return std::ranges::any_of(io_groups_, [](const auto& group) { return group->is_to_be_rebuilt(); });
}

bool Rnic::is_changing() const {
  return admin_group_->is_changing() ||
         std::ranges::any_of(io_groups_, [](const auto& group) { return group->is_changing(); });
}

void Rnic::begin_to_leave() { leaving_ = true; }

void Rnic::leave() {
  begin_to_leave();
  admin_group_->leave();
  for (const auto& group : io_groups_) group->leave();
}

void Rnic::watch_events(std::function<void(const ibv_async_event&)> handler) {
  admin_poller_ = std::make_unique<AsioPoller>(io_, *admin_group_);
  on_event_ = std::move(handler);
  fcntl(context()->async_fd, F_SETFL, fcntl(context()->async_fd, F_GETFL) | O_NONBLOCK);
  wait_for_event();
}

void Rnic::stop_watching() {
  admin_poller_.reset();
  events_.reset();
}

void Rnic::wait_for_event() {
  events_->when_readable([this] { take_events(); });
}

// A bounded number each time: however many queue pairs fail at once, timers and the API have their turns in between.
void Rnic::take_events() {
  for (unsigned taken = 0; taken < kEventsPerTurn; ++taken) {
    ibv_async_event event;
    if (ibv_get_async_event(context(), &event) != 0) {
      if (!leaving_) wait_for_event();
      return;
    }
    on_event_(event);
    ibv_ack_async_event(&event);
  }
  more_events_.post([this] { take_events(); });
}

}  // namespace nvmf::rdma
