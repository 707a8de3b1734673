// A thread for long work that uses no data of the control thread, which continues meanwhile.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>

namespace nvmf::daemon {

// Destruction waits for the present work; work that has not begun never runs, and coroutines that wait for it never
// resume.
class WorkerThread {
 public:
  // Runs `work` on this thread, after earlier work. Completes on the coroutine's own thread when `work` has ended;
  // throws what `work` throws. `work` may use the coroutine's variables, which exist until it has ended.
  boost::asio::awaitable<void> run(std::function<void()> work);

 private:
  boost::asio::thread_pool thread_{1};
};

}  // namespace nvmf::daemon
