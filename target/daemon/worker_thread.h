// A thread for what takes long and needs nothing of the control thread's, which goes on meanwhile.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>

namespace nvmf::daemon {

// Destruction waits for the work under way; what has not begun by then never runs, nor do the coroutines that wait.
class WorkerThread {
 public:
  // Runs `work` on this thread, after what it was given before. Over, on the coroutine's own thread, when it is done;
  // throws what it throws. `work` may use the coroutine's variables: both are there until it is done.
  boost::asio::awaitable<void> run(std::function<void()> work);

 private:
  boost::asio::thread_pool thread_{1};
};

}  // namespace nvmf::daemon
