// Drives a poll group, and the control thread's mailbox, from a Boost.Asio io_context: for admin queues, which are few
// and seldom busy, so that they sleep between commands and never wait behind I/O.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "target/core/reactor/mailbox.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {

// A descriptor that somebody else owns and closes, watched by Asio.
class WatchedDescriptor {
 public:
  WatchedDescriptor(boost::asio::io_context& context, int fd) : stream_(context, fd) {}
  ~WatchedDescriptor() { stream_.release(); }
  WatchedDescriptor(const WatchedDescriptor&) = delete;
  WatchedDescriptor& operator=(const WatchedDescriptor&) = delete;

  // Calls `ready` once when the descriptor can be read; not at all when this is destroyed before.
  template <class Ready>
  void when_readable(Ready ready) {
    stream_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [ready = std::move(ready), alive = std::weak_ptr(alive_)](const auto& error) mutable {
                         if (!error && !alive.expired()) ready();
                       });
  }

 private:
  // Goes with this: Asio may have a call in its queue by then.
  std::shared_ptr<void> alive_ = std::make_shared<char>();
  boost::asio::posix::stream_descriptor stream_;
};

class AsioPoller {
 public:
  AsioPoller(boost::asio::io_context& context, PollGroup& group);
  // Something was posted from outside the group's own completions (a finished admin command): takes a turn.
  void turn();

 private:
  void read_events();

  PollGroup& group_;
  WatchedDescriptor events_;
  bool waiting_ = false;
};

// Delivers messages of the reactors on the control thread. `after` runs once the messages of a round are delivered.
class AsioMailbox {
 public:
  AsioMailbox(boost::asio::io_context& context, core::Mailbox& mailbox, std::function<void()> after);

 private:
  void wait();

  core::Mailbox& mailbox_;
  std::function<void()> after_;
  WatchedDescriptor wake_;
};

}  // namespace nvmf::rdma
