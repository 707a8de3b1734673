// One RNIC with this target's objects on it: a protection domain, a poll group for admin queues on the control
// thread, and one poll group per reactor for I/O queues. Control thread, unless stated otherwise. An RNIC appears and
// disappears while the reactors run: construct it, join() on every reactor; when the device is gone begin_to_leave(),
// and leave() when its connections are lost; after its last connection, when it is not is_changing(), part() on every
// reactor; then stop_watching(), and destroy it.
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "target/core/reactor/reactor.h"
#include "transport/rdma/asio_poller.h"
#include "transport/rdma/poll_group.h"
#include "transport/verbs/cm.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rdma {

// The parts of a reactor that the transport uses.
struct ReactorSeat {
  core::Reactor* reactor;
  FixedBuffers fixed_buffers;
};

class Rnic {
 public:
  // `device`: from verbs::open_device(). The reactors do not know it yet. Registers memory, which takes its time: may
  // be called on another thread. Throws VerbsError.
  Rnic(boost::asio::io_context& io, verbs::CmId device, core::Mailbox& control,
       const std::vector<ReactorSeat>& reactors, const PollGroupOptions& io_options, QueuePairOwner& owner);

  const std::string& name() const { return name_; }
  ibv_context* context() const { return cm_device_->verbs; }
  uint8_t port() const { return cm_device_->port_num; }  // of the address for which the device was opened
  ibv_pd* domain() const { return domain_.get(); }
  const ibv_device_attr& device() const { return device_; }
  // The device can SEND with invalidate: Transport has tried it, or the operator says so, and it has not failed since.
  bool has_remote_invalidate() const { return has_remote_invalidate_; }
  void set_remote_invalidate(bool can) { has_remote_invalidate_ = can; }
  // It says so itself.
  bool claims_remote_invalidate() const { return (device_.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS) != 0; }
  // The largest path MTU of a connection so far, bytes; 0: there was none.
  uint32_t largest_path_mtu() const { return largest_path_mtu_; }
  void note_path_mtu(uint32_t bytes) { largest_path_mtu_ = std::max(largest_path_mtu_, bytes); }
  // It has failed to. Connections from now on do without; false when that was known.
  bool distrust_remote_invalidate() { return std::exchange(has_remote_invalidate_, false); }
  PollGroup& admin_group() { return *admin_group_; }
  const std::vector<std::unique_ptr<PollGroup>>& io_groups() const { return io_groups_; }
  // Of a completion queue or a shared receive queue; null when it belongs to none of them.
  PollGroup* group_of(const ibv_cq* queue);
  PollGroup* group_of(const ibv_srq* queue);
  // Every group, the admin queues' too.
  void visit(const std::function<void(PollGroup&)>& visitor);
  // Work requests that a queue of `depth` entries may have posted at a time.
  uint32_t send_entries(uint32_t depth) const;
  // The group of the reactor with the fewest queues on this device, of those that have room for an I/O queue of `depth`
  // entries; of all when none has.
  PollGroup& io_group_for(uint32_t depth);
  // For how many I/O queues of `depth` entries the device has room when it has no other.
  uint32_t io_queue_capacity(uint32_t depth) const;
  // Controllers are granted no more than that: returns how many of `wanted` are left, and counts these as granted.
  uint32_t reserve_io_queues(uint32_t wanted, uint32_t depth);
  void release_io_queues(uint32_t count);
  // Whether one more I/O queue leaves the queue pairs that admin queues may need. All other resources of admin queues
  // belong to their own group.
  bool has_room_beside_admin_queues() const;
  uint32_t io_queues() const;
  // Of all groups.
  bool has_queue_pairs() const;
  // A group for such queues takes none now, and is to be rebuilt.
  bool awaits_group(bool is_admin) const;

  // On that reactor's thread, or before it runs: the reactor polls its group from now on, or stops polling it.
  void join(size_t reactor);
  void part(size_t reactor);

  void turn_admin() { admin_poller_->turn(); }

  // Admin queues are served from now on. Asynchronous events of the device (Verbs): hands each on, a few each turn.
  void watch_events(std::function<void(const ibv_async_event&)> handler);

  // The end of watch_events(): from then on the RNIC may be destroyed on any thread.
  void stop_watching();

  // The device is gone: no connection may come any more, and it is about to leave().
  void begin_to_leave();
  // All its connections have been marked as lost.
  void leave();
  bool is_leaving() const { return leaving_; }
  // A group of it is (PollGroup::is_changing()): the reactors must not part() meanwhile.
  bool is_changing() const;

 private:
  uint32_t max_io_queue_pairs() const;
  void wait_for_event();
  void take_events();

  boost::asio::io_context& io_;
  const std::vector<ReactorSeat>& reactors_;
  verbs::CmId cm_device_;  // keeps the context open
  std::string name_;
  ibv_device_attr device_;
  verbs::ProtectionDomain domain_;
  std::unique_ptr<PollGroup> admin_group_;
  std::vector<std::unique_ptr<PollGroup>> io_groups_;
  std::unique_ptr<AsioPoller> admin_poller_;
  std::optional<WatchedDescriptor> events_;
  Continuation more_events_;
  std::function<void(const ibv_async_event&)> on_event_;
  uint32_t reserved_io_queues_ = 0;
  uint32_t largest_path_mtu_ = 0;
  bool leaving_ = false;
  bool has_remote_invalidate_ = false;
};

}  // namespace nvmf::rdma
