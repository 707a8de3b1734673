// Reservations on disk: what is saved is what is loaded, whenever the daemon dies; a broken file is reported, not
// guessed.
#include "target/daemon/reservation_files.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "target/core/subsystem/subsystem.h"
#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using namespace test;

constexpr char kNqn[] = "nqn.2026-01.io.example:disks/1";
constexpr char kOtherNqn[] = "nqn.2026-01.io.example:other";

core::NamespaceOptions ns(uint32_t nsid, const std::string& storage = {}) {
  core::NamespaceOptions options;
  options.nsid = nsid;
  options.storage = storage;
  return options;
}

// Long enough for several writes.
core::ReservationState crowded(uint32_t generation) {
  core::ReservationState state{
      .registrants = {}, .rtype = NVME_RESERVATION_RTYPE_WE, .holder = {}, .generation = generation, .ptpl = true};
  for (uint8_t i = 0; i < 200; ++i) state.registrants.push_back({core::HostId{1, i}, generation * 1000ull + i});
  state.holder = state.registrants[generation % 200].host;
  return state;
}

TEST_CASE("nothing was saved: nothing is reserved") {
  StateScratch scratch;
  CHECK(ReservationFiles(scratch.state()).load(kNqn, ns(1)) == core::ReservationState{});
  CHECK(std::filesystem::is_directory(scratch.state().path()));
}

TEST_CASE("what was saved is loaded by the next daemon, each namespace its own") {
  StateScratch scratch;
  core::ReservationState extreme{.registrants = {{{0xff, 1}, UINT64_MAX}, {{0, 2}, 0}},
                                 .rtype = NVME_RESERVATION_RTYPE_EAAR,
                                 .holder = {},
                                 .generation = UINT32_MAX,
                                 .ptpl = true};
  {
    ReservationFiles files(scratch.state());
    CHECK(files.write(kNqn, ns(1), crowded(1)));
    CHECK(files.write(kNqn, ns(2), extreme));
  }
  ReservationFiles files(scratch.state());
  CHECK(files.load(kNqn, ns(1)) == crowded(1));
  CHECK(files.load(kNqn, ns(2)) == extreme);
  CHECK(files.load(kNqn, ns(3)) == core::ReservationState{});
  CHECK(files.load("nqn.2026-01.io.example:other", ns(1)) == core::ReservationState{});
  CHECK(files.write(kNqn, ns(1), {}));
  CHECK(files.load(kNqn, ns(1)) == core::ReservationState{});
}

TEST_CASE("a storage has one reservation, wherever it is served; other storage there has its own") {
  StateScratch scratch;
  REQUIRE(ReservationFiles(scratch.state()).write(kNqn, ns(1, "eui.01"), crowded(1)));
  ReservationFiles files(scratch.state());
  CHECK(files.load(kNqn, ns(1, "eui.01")) == crowded(1));
  CHECK(files.load(kOtherNqn, ns(7, "eui.01")) == crowded(1));
  CHECK(files.load(kNqn, ns(1, "eui.02")) == core::ReservationState{});
  CHECK(files.load(kNqn, ns(1)) == core::ReservationState{});
  CHECK(files.write(kOtherNqn, ns(7, "eui.01"), crowded(2)));
  CHECK(files.load(kNqn, ns(1, "eui.01")) == crowded(2));
}

TEST_CASE("a former version saved by namespace: it is the storage's, until that has its own, and no other's then") {
  StateScratch scratch;
  ReservationFiles files(scratch.state());
  REQUIRE(files.write(kNqn, ns(1), crowded(1)));
  CHECK(files.load(kNqn, ns(1, "eui.01")) == crowded(1));
  CHECK(files.load(kOtherNqn, ns(1, "eui.01")) == core::ReservationState{});
  CHECK(files.write(kNqn, ns(1, "eui.01"), {}));
  CHECK(files.load(kNqn, ns(1, "eui.01")) == core::ReservationState{});
  CHECK(files.load(kNqn, ns(1, "eui.02")) == core::ReservationState{});
}

TEST_CASE("a file is replaced by the steps that make it durable, in their order") {
  StateScratch scratch;
  std::vector<DurableStep> steps;
  ReservationFiles files(scratch.state([&](DurableStep step) { steps.push_back(step); }));
  CHECK(files.write(kNqn, ns(1), {}));
  using enum DurableStep;
  CHECK((steps == std::vector{Create, Write, SyncFile, Rename, SyncDirectory}));
}

TEST_CASE("the daemon is killed before each step of saving: the old state is loaded until the rename, then the new") {
  StateScratch scratch;
  core::ReservationState before;
  SUBCASE("there was nothing") {}
  SUBCASE("there was a state") {
    before = crowded(1);
    REQUIRE(ReservationFiles(scratch.state()).write(kNqn, ns(1), before));
  }
  bool renamed = false;
  const int steps = kill_before_each_step(
      [&](const DurableHook& dies) { ReservationFiles(scratch.state(dies)).write(kNqn, ns(1), crowded(2)); },
      [&](int, bool came_through) {
        const core::ReservationState loaded = ReservationFiles(scratch.state()).load(kNqn, ns(1));
        const bool is_new = loaded == crowded(2);
        CHECK((is_new || loaded == before));
        CHECK((is_new || !renamed));
        CHECK((is_new || !came_through));
        renamed = is_new;
      });
  CHECK(renamed);
  CHECK(steps >= 7);  // several writes among them
}

TEST_CASE("the daemon is killed at any moment of saving: a state that was saved, whole, is loaded") {
  StateScratch scratch;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ReservationFiles files(scratch.state());
      for (uint32_t generation = 1;; ++generation) files.write(kNqn, ns(1), crowded(generation % 100));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 5000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const core::ReservationState loaded = ReservationFiles(scratch.state()).load(kNqn, ns(1));
    CHECK((loaded == core::ReservationState{} || loaded == crowded(loaded.generation)));
  }
}

TEST_CASE("a step of saving fails: so does saving, and until the rename the old state is loaded") {
  StateScratch scratch;
  std::vector<DurableStep> steps;
  REQUIRE(
      ReservationFiles(scratch.state([&](DurableStep step) { steps.push_back(step); })).write(kNqn, ns(1), crowded(1)));
  const int tried = fail_each_step(
      [&](const DurableHook& fails) { return ReservationFiles(scratch.state(fails)).write(kNqn, ns(1), crowded(2)); },
      [&](int step, bool succeeded) {
        const bool renamed = succeeded || steps[static_cast<size_t>(step)] == DurableStep::SyncDirectory;
        CHECK((ReservationFiles(scratch.state()).load(kNqn, ns(1)) == crowded(renamed ? 2 : 1)));
      });
  CHECK(tried == static_cast<int>(steps.size()));
}

TEST_CASE("a power loss leaves half of a new file beside the old one: that is loaded, and saving goes on") {
  StateScratch scratch;
  ReservationFiles files(scratch.state());
  REQUIRE(files.write(kNqn, ns(1), crowded(1)));
  std::ofstream(fresh_name(files.path_of(kNqn, ns(1)))) << std::string(100000, '\0');
  CHECK(ReservationFiles(scratch.state()).load(kNqn, ns(1)) == crowded(1));
  CHECK(files.write(kNqn, ns(1), crowded(2)));
  CHECK(ReservationFiles(scratch.state()).load(kNqn, ns(1)) == crowded(2));
}

TEST_CASE("the directory cannot be made: nothing is reserved, and nothing can be saved") {
  ReservationFiles files(StateDirectory("/proc/nvmf-p2p/state"));
  CHECK(files.load(kNqn, ns(1)) == core::ReservationState{});
  CHECK_FALSE(files.write(kNqn, ns(1), crowded(1)));
}

TEST_CASE("a file is broken: it is named, with what to do, and no state is made up") {
  StateScratch scratch;
  ReservationFiles files(scratch.state());
  REQUIRE(files.write(kNqn, ns(1), crowded(1)));
  const std::string path = files.path_of(kNqn, ns(1));
  SUBCASE("empty") { std::ofstream{path}; }
  SUBCASE("cut off") { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); }
  SUBCASE("no JSON") { std::ofstream(path) << std::string(100, '\0'); }
  SUBCASE("another type of value") { replace_in(path, "\"ptpl\": true", "\"ptpl\": \"yes\""); }
  SUBCASE("a missing key") { replace_in(path, "\"generation\"", "\"generations\""); }
  SUBCASE("no such reservation type") { replace_in(path, "\"rtype\": 1", "\"rtype\": 9"); }
  SUBCASE("a number out of range") { replace_in(path, "\"rtype\": 1", "\"rtype\": 257"); }
  SUBCASE("a negative number") { replace_in(path, "\"rtype\": 1", "\"rtype\": -1"); }
  SUBCASE("no hexadecimal key") { replace_in(path, "\"key\": \"", "\"key\": \"xyz"); }
  SUBCASE("rubbish behind a key") { replace_in(path, "\"key\": \"3e8\"", "\"key\": \"3e8 \""); }
  SUBCASE("no host identifier") { replace_in(path, "\"hostid\": \"", "\"hostid\": \"not-one-"); }
  SUBCASE("a holder that is not registered") { replace_in(path, "\"holder\": \"01", "\"holder\": \"02"); }
  SUBCASE("another namespace's") { replace_in(path, "\"nsid\": 1", "\"nsid\": 2"); }
  SUBCASE("another subsystem's") { replace_in(path, kNqn, "nqn.2026-01.io.example:other"); }
  SUBCASE("a storage's") { replace_in(path, "\"nsid\": 1", "\"storage\": \"eui.01\""); }
  SUBCASE("another version's") { replace_in(path, "\"format\": 1", "\"format\": 2"); }
  SUBCASE("a directory in its place") {
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
  }
  std::string said;
  try {
    files.load(kNqn, ns(1));
  } catch (const std::runtime_error& error) {
    said = error.what();
  }
  CHECK(said.find(path) != std::string::npos);
  CHECK(said.find("remove the file") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::daemon
