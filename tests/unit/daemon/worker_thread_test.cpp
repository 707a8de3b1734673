// Long work runs beside the control thread, which continues. Otherwise each test would never end: the work waits for
// something that the control thread does meanwhile.
#include "target/daemon/worker_thread.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace nvmf::daemon {
namespace {

using Task = boost::asio::awaitable<void>;

TEST_CASE("the control thread goes on while the work waits for it") {
  boost::asio::io_context io;
  WorkerThread worker;
  std::promise<void> went_on;
  std::thread::id worked_on;
  std::thread::id resumed_on;
  const auto change = [&]() -> Task {
    co_await worker.run([&] {
      worked_on = std::this_thread::get_id();
      boost::asio::post(io, [&] { went_on.set_value(); });
      went_on.get_future().wait();
    });
    resumed_on = std::this_thread::get_id();
  };
  boost::asio::co_spawn(io, change(), boost::asio::detached);
  io.run();
  CHECK(worked_on != std::this_thread::get_id());
  CHECK(resumed_on == std::this_thread::get_id());
}

TEST_CASE("what the work throws reaches the one who waits") {
  boost::asio::io_context io;
  WorkerThread worker;
  std::string caught;
  const auto change = [&]() -> Task {
    try {
      co_await worker.run([] { throw std::runtime_error("no such CMB"); });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
  };
  boost::asio::co_spawn(io, change(), boost::asio::detached);
  io.run();
  CHECK(caught == "no such CMB");
}

// As when the daemon is stopped in the middle of a self-test.
TEST_CASE("the work under way ends before the worker does; its coroutine goes unfinished with the control thread") {
  std::promise<void> begun;
  std::promise<void> stopped;
  bool ended = false;
  bool resumed = false;
  std::optional<boost::asio::io_context> io(std::in_place);
  std::optional<WorkerThread> worker(std::in_place);
  const auto change = [&]() -> Task {
    co_await worker->run([&] {
      begun.set_value();
      stopped.get_future().wait();
      ended = true;
    });
    resumed = true;
  };
  boost::asio::co_spawn(*io, change(), boost::asio::detached);
  boost::asio::post(*io, [&] {
    begun.get_future().wait();
    io->stop();
  });
  io->run();
  stopped.set_value();
  worker.reset();
  CHECK(ended);
  io.reset();
  CHECK_FALSE(resumed);
}

}  // namespace
}  // namespace nvmf::daemon
