// Drives a poll group, and the control thread's mailbox, from a Boost.Asio io_context: for admin queues, which are few
// and seldom busy: they sleep between commands and never wait behind I/O. However busy they are, each turn is bounded:
// timers, connection events and the API have theirs in between.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "target/core/reactor/mailbox.h"
#include "target/core/reactor/reactor.h"

namespace nvmf::rdma {

// A descriptor, owned and closed elsewhere, that Asio watches.
class WatchedDescriptor {
 public:
  WatchedDescriptor(boost::asio::io_context& context, int fd) : stream_(context, fd) {}
  ~WatchedDescriptor() { stream_.release(); }
  WatchedDescriptor(const WatchedDescriptor&) = delete;
  WatchedDescriptor& operator=(const WatchedDescriptor&) = delete;

  // Calls `ready` once when the descriptor can be read; never after this object was destroyed.
  template <class Ready>
  void when_readable(Ready ready) {
    stream_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [ready = std::move(ready), alive = std::weak_ptr(alive_)](const auto& error) mutable {
                         if (!error && !alive.expired()) ready();
                       });
  }

 private:
  // Expires with this object: Asio may have a call in its queue by then.
  std::shared_ptr<void> alive_ = std::make_shared<char>();
  boost::asio::posix::stream_descriptor stream_;
};

// Runs bounded pieces of work, one after the other with all else that the io_context has to do in between.
class Continuation {
 public:
  explicit Continuation(boost::asio::io_context& context) : context_(context) {}

  // Calls `next` once, after what waits already; not at all when this is destroyed before.
  template <class Next>
  void post(Next next) {
    boost::asio::post(context_, [next = std::move(next), alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) next();
    });
  }

 private:
  boost::asio::io_context& context_;
  std::shared_ptr<void> alive_ = std::make_shared<char>();
};

class AsioPoller {
 public:
  AsioPoller(boost::asio::io_context& context, core::Poller& poller);
  // Something was posted from outside the poller's own completions (a finished admin command): takes a turn.
  void turn();

 private:
  // Each handles a bounded number of completions. More than these at a time, and timers and events would wait.
  static constexpr int kPollsPerTurn = 4;

  void wait();

  core::Poller& poller_;
  WatchedDescriptor events_;
  Continuation later_;
  bool waiting_ = false;
  bool dead_ = false;     // the poller's descriptor
  bool goes_on_ = false;  // later_ has a turn to come
};

// Delivers messages of the reactors on the control thread. `after` runs once the messages of a turn are delivered.
class AsioMailbox {
 public:
  AsioMailbox(boost::asio::io_context& context, core::Mailbox& mailbox, std::function<void()> after);

 private:
  static constexpr unsigned kMessagesPerTurn = 16;

  void turn();

  core::Mailbox& mailbox_;
  std::function<void()> after_;
  WatchedDescriptor wake_;
  Continuation later_;
};

}  // namespace nvmf::rdma
