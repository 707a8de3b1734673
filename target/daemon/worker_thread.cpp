#include "target/daemon/worker_thread.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace nvmf::daemon {

boost::asio::awaitable<void> WorkerThread::run(std::function<void()> work) {
  const auto there = [](std::function<void()> given) -> boost::asio::awaitable<void> {
    given();
    co_return;
  };
  co_await boost::asio::co_spawn(thread_, there(std::move(work)), boost::asio::use_awaitable);
}

}  // namespace nvmf::daemon
