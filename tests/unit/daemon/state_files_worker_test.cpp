// A state directory that hangs keeps nobody waiting for longer than the patience.
#include "target/daemon/state_files_worker.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

struct Worker {
  explicit Worker(milliseconds patience) : worker(io, patience) {}

  // Empty, or why it failed.
  std::string run(std::function<void()> work) {
    std::string failure;
    bool is_over = false;
    boost::asio::co_spawn(io, worker.run(std::move(work)), [&](const std::exception_ptr& thrown) {
      is_over = true;
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& error) {
        failure = error.what();
      }
    });
    io.restart();
    while (!is_over) io.run_one();
    return failure;
  }

  boost::asio::io_context io;
  StateFilesWorker worker;
};

TEST_CASE("work on state files is waited for, and its failure is told") {
  Worker test(std::chrono::hours(1));
  bool done = false;
  CHECK(test.run([&] { done = true; }).empty());
  CHECK(done);
  CHECK(test.run([] { throw std::runtime_error("the disk is full"); }) == "the disk is full");
  CHECK(test.run([] {}).empty());
}

TEST_CASE("a state directory that hangs is given up, and everything else fails at once until it answers") {
  Worker test(milliseconds(20));
  const auto gate = std::make_shared<std::promise<void>>();
  bool told = false;
  test.worker.on_late = [&] { told = true; };
  CHECK(test.run([opened = gate->get_future().share()] { opened.wait(); }).find("does not answer") !=
        std::string::npos);
  bool begun = false;
  CHECK(test.run([&] { begun = true; }).find("does not answer") != std::string::npos);
  CHECK_FALSE(begun);
  CHECK_FALSE(told);
  gate->set_value();
  test.io.restart();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!told && std::chrono::steady_clock::now() < deadline) test.io.run_one_for(milliseconds(10)), test.io.restart();
  CHECK(told);
  CHECK(test.run([&] { begun = true; }).empty());
  CHECK(begun);
}

}  // namespace
}  // namespace nvmf::daemon
