// Reservations on disk: what is saved is what is loaded, whenever the daemon dies; what is broken is told, not guessed.
#include "target/daemon/reservation_files.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace nvmf::daemon {
namespace {

constexpr char kNqn[] = "nqn.2026-01.io.example:disks/1";
constexpr int kFinished = 7;

// A directory of the test's own.
class Scratch {
 public:
  Scratch() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string state() const { return path_ + "/lib/state"; }

 private:
  std::string path_ = "/tmp/nvmf-p2p-test-XXXXXX";
};

// Long enough for several writes.
core::ReservationState crowded(uint32_t generation) {
  core::ReservationState state{
      .registrants = {}, .rtype = NVME_RESERVATION_RTYPE_WE, .holder = {}, .generation = generation, .ptpl = true};
  for (uint8_t i = 0; i < 200; ++i) state.registrants.push_back({core::HostId{1, i}, generation * 1000ull + i});
  state.holder = state.registrants[generation % 200].host;
  return state;
}

// The exit status of a process that does `work`; minus the signal that ended it.
template <typename Work>
int in_a_process(Work work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    work();
    _exit(kFinished);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void replace_in(const std::string& path, const std::string& what, const std::string& by) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  std::string content = text.str();
  const size_t place = content.find(what);
  REQUIRE(place != std::string::npos);
  content.replace(place, what.size(), by);
  std::ofstream(path) << content;
}

TEST_CASE("nothing was saved: nothing is reserved") {
  Scratch scratch;
  CHECK(ReservationFiles(scratch.state()).load(kNqn, 1) == core::ReservationState{});
  CHECK(std::filesystem::is_directory(scratch.state()));
}

TEST_CASE("what was saved is loaded by the next daemon, each namespace its own") {
  Scratch scratch;
  core::ReservationState extreme{.registrants = {{{0xff, 1}, UINT64_MAX}, {{0, 2}, 0}},
                                 .rtype = NVME_RESERVATION_RTYPE_EAAR,
                                 .holder = {},
                                 .generation = UINT32_MAX,
                                 .ptpl = true};
  {
    ReservationFiles files(scratch.state());
    CHECK(files.save(kNqn, 1, crowded(1)));
    CHECK(files.save(kNqn, 2, extreme));
  }
  ReservationFiles files(scratch.state());
  CHECK(files.load(kNqn, 1) == crowded(1));
  CHECK(files.load(kNqn, 2) == extreme);
  CHECK(files.load(kNqn, 3) == core::ReservationState{});
  CHECK(files.load("nqn.2026-01.io.example:other", 1) == core::ReservationState{});
  CHECK(files.save(kNqn, 1, {}));
  CHECK(files.load(kNqn, 1) == core::ReservationState{});
}

TEST_CASE("a file is replaced by the steps that make it durable, in their order") {
  Scratch scratch;
  std::vector<DurableStep> steps;
  ReservationFiles files(scratch.state(), [&](DurableStep step) { steps.push_back(step); });
  CHECK(files.save(kNqn, 1, {}));
  using enum DurableStep;
  CHECK((steps == std::vector{Create, Write, SyncFile, Rename, SyncDirectory}));
}

TEST_CASE("the daemon is killed before each step of saving: the old state is loaded until the rename, then the new") {
  Scratch scratch;
  REQUIRE(ReservationFiles(scratch.state()).save(kNqn, 1, crowded(1)));
  int step = 0;
  int ended = 0;
  bool renamed = false;
  do {
    CAPTURE(step);
    int countdown = step++;
    const auto dies = [&countdown](DurableStep) {
      if (countdown-- == 0) raise(SIGKILL);
    };
    ended = in_a_process([&] { ReservationFiles(scratch.state(), dies).save(kNqn, 1, crowded(2)); });
    CHECK((ended == -SIGKILL || ended == kFinished));
    const core::ReservationState loaded = ReservationFiles(scratch.state()).load(kNqn, 1);
    const bool is_new = loaded == crowded(2);
    CHECK((is_new || loaded == crowded(1)));
    CHECK((is_new || !renamed));
    renamed = is_new;
  } while (ended != kFinished);
  CHECK(renamed);
  CHECK(step >= 8);  // several writes among them
}

TEST_CASE("the daemon is killed at any moment of saving: a state that was saved, whole, is loaded") {
  Scratch scratch;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ReservationFiles files(scratch.state());
      for (uint32_t generation = 1;; ++generation) files.save(kNqn, 1, crowded(generation % 100));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 5000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const core::ReservationState loaded = ReservationFiles(scratch.state()).load(kNqn, 1);
    CHECK((loaded == core::ReservationState{} || loaded == crowded(loaded.generation)));
  }
}

TEST_CASE("the disk is full in the middle of it: saving fails, and the old state is loaded") {
  Scratch scratch;
  REQUIRE(ReservationFiles(scratch.state()).save(kNqn, 1, crowded(1)));
  for (int failing = 0; failing < 5; ++failing) {
    int countdown = failing;
    const auto fails = [&](DurableStep) {
      if (countdown-- == 0) throw std::runtime_error("No space left on device");
    };
    CHECK_FALSE(ReservationFiles(scratch.state(), fails).save(kNqn, 1, crowded(2)));
    CHECK(ReservationFiles(scratch.state()).load(kNqn, 1) == crowded(1));
  }
}

TEST_CASE("the directory cannot be made: nothing is reserved, and nothing can be saved") {
  ReservationFiles files("/proc/nvmf-p2p/state");
  CHECK(files.load(kNqn, 1) == core::ReservationState{});
  CHECK_FALSE(files.save(kNqn, 1, crowded(1)));
}

TEST_CASE("a file is broken: it is named, with what to do, and no state is made up") {
  Scratch scratch;
  ReservationFiles files(scratch.state());
  REQUIRE(files.save(kNqn, 1, crowded(1)));
  const std::string path = files.path_of(kNqn, 1);
  SUBCASE("empty") { std::ofstream{path}; }
  SUBCASE("cut off") { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); }
  SUBCASE("no JSON") { std::ofstream(path) << std::string(100, '\0'); }
  SUBCASE("another type of value") { replace_in(path, "\"ptpl\": true", "\"ptpl\": \"yes\""); }
  SUBCASE("a missing key") { replace_in(path, "\"generation\"", "\"generations\""); }
  SUBCASE("no such reservation type") { replace_in(path, "\"rtype\": 1", "\"rtype\": 9"); }
  SUBCASE("a number out of range") { replace_in(path, "\"rtype\": 1", "\"rtype\": 257"); }
  SUBCASE("a negative number") { replace_in(path, "\"rtype\": 1", "\"rtype\": -1"); }
  SUBCASE("no hexadecimal key") { replace_in(path, "\"key\": \"", "\"key\": \"xyz"); }
  SUBCASE("no host identifier") { replace_in(path, "\"hostid\": \"", "\"hostid\": \"not-one-"); }
  SUBCASE("a holder that is not registered") { replace_in(path, "\"holder\": \"01", "\"holder\": \"02"); }
  SUBCASE("another namespace's") { replace_in(path, "\"nsid\": 1", "\"nsid\": 2"); }
  SUBCASE("another subsystem's") { replace_in(path, kNqn, "nqn.2026-01.io.example:other"); }
  SUBCASE("another version's") { replace_in(path, "\"format\": 1", "\"format\": 2"); }
  SUBCASE("a directory in its place") {
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
  }
  std::string said;
  try {
    files.load(kNqn, 1);
  } catch (const std::runtime_error& error) {
    said = error.what();
  }
  CHECK(said.find(path) != std::string::npos);
  CHECK(said.find("remove the file") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::daemon
