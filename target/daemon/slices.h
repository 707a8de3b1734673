// Long work of the control thread in slices: after each, other work of the thread has its turn.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

namespace nvmf::daemon {

using SliceClock = std::function<std::chrono::steady_clock::time_point()>;

class Slices {
 public:
  // A slice is longer by the piece of work that is under way when this time is over. Hosts may have to wait for 50 ms.
  static constexpr std::chrono::milliseconds kTime{5};

  // The first slice begins now.
  explicit Slices(SliceClock now) : now_(std::move(now)), began_(now_()) {}

  bool is_over() const { return now_() - began_ >= kTime; }
  boost::asio::awaitable<void> next() {
    co_await boost::asio::post(boost::asio::use_awaitable);
    began_ = now_();
  }

 private:
  SliceClock now_;
  std::chrono::steady_clock::time_point began_;
};

// Calls visit(0) to visit(count - 1). What a visit refers to may have gone after an earlier one.
template <class Visit>
boost::asio::awaitable<void> in_slices(size_t count, Visit visit, SliceClock now = std::chrono::steady_clock::now) {
  Slices slices(std::move(now));
  for (size_t i = 0; i < count; ++i) {
    visit(i);
    if (slices.is_over()) co_await slices.next();
  }
}

}  // namespace nvmf::daemon
