// Two daemons must not use one state directory or one image file.
#include "target/daemon/file_lock.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "target/daemon/state_directory.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

constexpr std::chrono::milliseconds kNoPatience{0};

template <class Action>
std::string failure_of(Action action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("a directory that another daemon has locked: the message names the process") {
  const Scratch directory;
  {
    const FileLock lock(directory.path());
    CHECK(failure_of([&] { const FileLock second(directory.path(), kNoPatience); }) ==
          directory.path() + " is in use by process " + std::to_string(getpid()) + "; stop it, or name another path");
  }
  CHECK(failure_of([&] { const FileLock after(directory.path()); }).empty());
}

TEST_CASE("a directory that comes late, and is removed and made again, is locked again before it is written to") {
  const Scratch scratch;
  const std::string path = scratch.path() + "/state";
  DirectoryLock ours(path);
  CHECK(failure_of([&] { ours.hold(); }).find("No such file") != std::string::npos);
  CHECK_FALSE(ours.is_held());
  for (int time = 0; time < 2; ++time) {
    std::filesystem::create_directory(path);
    ours.hold();
    ours.hold();
    CHECK(failure_of([&] { DirectoryLock(path).hold(); }).find("is in use by process") != std::string::npos);
    std::filesystem::remove(path);
  }
}

TEST_CASE("another daemon has the directory that was made again: nothing is written to it") {
  const Scratch scratch;
  const std::string path = scratch.path() + "/state";
  const StateOwner owner{.nqn = "nqn.2026-01.io.example:a", .nsid = 1};
  const StateDirectory ours(path, std::make_shared<DirectoryLock>(path));
  ours.make();
  ours.replace("test", owner, 1, nlohmann::ordered_json::object());
  std::filesystem::remove_all(path);
  std::filesystem::create_directory(path);
  const FileLock theirs(path);
  for (const auto& failure : {failure_of([&] { ours.try_to_write(); }),
                              failure_of([&] { ours.replace("test", owner, 1, nlohmann::ordered_json::object()); })})
    CHECK(failure.find("is in use by process") != std::string::npos);
  CHECK(std::filesystem::is_empty(path));
}

TEST_CASE("namespaces of one daemon share an image file, by whatever name; another daemon may not have it") {
  const Scratch directory;
  const std::string image = directory.path() + "/image";
  const std::string other_name = directory.path() + "/link";
  std::ofstream(image) << "data";
  REQUIRE(symlink(image.c_str(), other_name.c_str()) == 0);
  ImageLocks ours;
  ImageLocks theirs(kNoPatience);
  auto first = ours.lock(image);
  auto second = ours.lock(other_name);
  CHECK(first == second);
  first.reset();
  CHECK(failure_of([&] { theirs.lock(image); }).find("is in use by process") != std::string::npos);
  second.reset();
  CHECK(failure_of([&] { theirs.lock(image); }).empty());
}

TEST_CASE("a file that is not there") {
  const Scratch directory;
  ImageLocks locks;
  CHECK(failure_of([&] { locks.lock(directory.path() + "/none"); }).find("No such file") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::daemon
