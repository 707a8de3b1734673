// One RDMA device with what this target keeps on it: a protection domain, a poll group for admin queues on the control
// thread, and one poll group per reactor for I/O queues. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "target/core/reactor.h"
#include "transport/rdma/asio_poller.h"
#include "transport/rdma/poll_group.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rdma {

// A reactor as the transport uses it. Not started yet.
struct ReactorSeat {
  core::Reactor* reactor;
  RegisterFixed register_fixed;
};

class Rnic {
 public:
  // Adds its poll groups to the reactors. Throws VerbsError.
  Rnic(boost::asio::io_context& io, ibv_context* context, core::Mailbox& control,
       const std::vector<ReactorSeat>& reactors, const PollGroupOptions& io_options, QueuePairOwner& owner);

  const std::string& name() const { return name_; }
  ibv_context* context() const { return context_; }
  ibv_pd* domain() const { return domain_.get(); }
  const ibv_device_attr& device() const { return device_; }
  PollGroup& admin_group() { return *admin_group_; }
  const std::vector<std::unique_ptr<PollGroup>>& io_groups() const { return io_groups_; }
  // The group of the reactor with the fewest queues on this device.
  PollGroup& least_loaded_group();
  // Whether one more I/O queue leaves the device's queue pairs that admin queues may need. All else that they need is
  // their own group's.
  bool has_room_beside_admin_queues() const;

  void turn_admin() { admin_poller_->turn(); }

  // Asynchronous events of the device (Verbs): reads all that wait and hands each on.
  void watch_events(std::function<void(const ibv_async_event&)> handler);

 private:
  void wait_for_event();

  ibv_context* context_;
  std::string name_;
  ibv_device_attr device_;
  verbs::ProtectionDomain domain_;
  std::unique_ptr<PollGroup> admin_group_;
  std::vector<std::unique_ptr<PollGroup>> io_groups_;
  std::unique_ptr<AsioPoller> admin_poller_;
  WatchedDescriptor events_;
  std::function<void(const ibv_async_event&)> on_event_;
};

}  // namespace nvmf::rdma
