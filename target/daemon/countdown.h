// Lets a coroutine on the control thread wait until a number of other threads have reported.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>

namespace nvmf::daemon {

class Countdown {
 public:
  Countdown(boost::asio::io_context& io, size_t count)
      : timer_(io, boost::asio::steady_timer::time_point::max()), left_(count) {}

  void one_more() { ++left_; }
  void one_less() {
    if (--left_ == 0) timer_.cancel();
  }
  boost::asio::awaitable<void> reached() {
    boost::system::error_code cancelled;
    if (left_ != 0) co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  }

 private:
  boost::asio::steady_timer timer_;
  size_t left_;
};

}  // namespace nvmf::daemon
