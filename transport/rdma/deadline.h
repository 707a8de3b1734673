// A timer that its owner may destroy, cancel or set again at any time, also when it has expired in the same turn, when
// Asio already has the call in its queue. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace nvmf::rdma {

class Deadline {
 public:
  explicit Deadline(boost::asio::io_context& io) : timer_(io) {}

  // Calls `over` once when the time has come, unless cancel() or set() is called, or this object is destroyed, before.
  template <class Over>
  void set(std::chrono::milliseconds after, Over over) {
    set_ = std::make_shared<char>();
    timer_.expires_after(after);
    timer_.async_wait([over = std::move(over), still_set = std::weak_ptr(set_)](const auto&) mutable {
      if (!still_set.expired()) over();
    });
  }
  void cancel() {
    set_.reset();
    timer_.cancel();
  }

 private:
  std::shared_ptr<void> set_;  // alive while the call is wanted
  boost::asio::steady_timer timer_;
};

}  // namespace nvmf::rdma
