// A state directory that takes nothing: what a monitoring system sees of it, and until when.
#include "target/daemon/state_watch.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

struct Watched {
  void look() {
    boost::asio::co_spawn(io, watch.look(), boost::asio::detached);
    io.restart();
    io.run();
  }
  // A host's change, which can be saved or not.
  bool change(HostState state, bool can_be_saved) {
    bool saved = false;
    watch.watch(state, write_at_once)([&] { return can_be_saved; }, [&](bool written) { saved = written; });
    return saved;
  }

  test::StateScratch scratch;
  std::string path = scratch.state().path();
  boost::asio::io_context io;
  WorkerThread thread;
  StateWatch watch{io, scratch.state(), thread};
};

TEST_CASE("a directory that can be written: no fault, and nothing is left in it") {
  Watched test;
  test.look();
  CHECK(test.watch.fault().empty());
  CHECK(std::filesystem::is_empty(test.path));
}

TEST_CASE("a directory that cannot be written is a fault, with the reason, until it can be") {
  Watched test;
  std::filesystem::create_directories(std::filesystem::path(test.path).parent_path());
  std::ofstream(test.path) << "a file in its place";
  test.look();
  CHECK(test.watch.fault().find(test.path) != std::string::npos);
  std::filesystem::remove(test.path);
  test.look();
  CHECK(test.watch.fault().empty());
}

TEST_CASE("a directory that is removed while the daemon runs is a fault, and not made anew") {
  Watched test;
  test.look();
  std::filesystem::remove(test.path);
  for (int i = 0; i < 2; ++i) {
    test.look();
    CHECK(test.watch.fault().find(test.path) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(test.path));
  }
  std::filesystem::create_directories(test.path);
  test.look();
  CHECK(test.watch.fault().empty());
}

TEST_CASE("a full disk: a fault, and no file is left") {
  test::StateScratch scratch;
  boost::asio::io_context io;
  WorkerThread thread;
  const auto full = [](DurableStep step) {
    if (step == DurableStep::SyncFile) throw std::runtime_error("No space left on device");
  };
  StateWatch watch(io, scratch.state(full), thread);
  boost::asio::co_spawn(io, watch.look(), boost::asio::detached);
  io.run();
  CHECK(watch.fault() == "No space left on device");
  CHECK(std::filesystem::is_empty(scratch.state().path()));
}

TEST_CASE("a change that could not be saved is counted, and a fault until the directory has been tried again") {
  Watched test;
  CHECK(test.change(HostState::Reservation, true));
  CHECK((test.watch.refused() == StateWatch::Refused{0, 0}));
  CHECK(test.watch.fault().empty());
  CHECK_FALSE(test.change(HostState::WriteProtection, false));
  CHECK_FALSE(test.change(HostState::WriteProtection, false));
  CHECK((test.watch.refused() == StateWatch::Refused{0, 2}));
  CHECK_FALSE(test.watch.fault().empty());
  test.look();
  CHECK(test.watch.fault().empty());
  CHECK((test.watch.refused() == StateWatch::Refused{0, 2}));
}

}  // namespace
}  // namespace nvmf::daemon
