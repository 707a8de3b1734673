// Write protection on disk: what hosts protected is protected after every death of the daemon, and nothing else is.
#include "target/daemon/write_protection_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "target/core/subsystem/subsystem.h"
#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using namespace test;
using core::WriteProtection;

constexpr char kNqn[] = "nqn.2026-01.io.example:disks/1";

constexpr char kOtherNqn[] = "nqn.2026-01.io.example:other";

core::NamespaceOptions ns(uint8_t uuid, uint32_t nsid = 1, const std::string& storage = {}) {
  core::NamespaceOptions options;
  options.nsid = nsid;
  options.storage = storage;
  options.uuid = {uuid, 1};
  return options;
}

TEST_CASE("nothing was saved: nothing is protected") {
  StateScratch scratch;
  CHECK(WriteProtectionFiles(scratch.state()).load(kNqn, ns(1)) == WriteProtection::None);
}

TEST_CASE("what was saved is loaded by the next daemon, of each namespace and of each storage its own") {
  StateScratch scratch;
  {
    WriteProtectionFiles files(scratch.state());
    CHECK(files.write(kNqn, ns(1), WriteProtection::Protected));
    CHECK(files.write(kNqn, ns(2), WriteProtection::Permanent));
  }
  WriteProtectionFiles files(scratch.state());
  CHECK(files.load(kNqn, ns(1)) == WriteProtection::Protected);
  CHECK(files.load(kNqn, ns(2)) == WriteProtection::Permanent);
  CHECK(files.load(kNqn, ns(3)) == WriteProtection::None);
  CHECK(files.load(kNqn, ns(1, 2)) == WriteProtection::None);
  CHECK(files.load("nqn.2026-01.io.example:other", ns(1)) == WriteProtection::None);
  CHECK(files.write(kNqn, ns(1), WriteProtection::None));
  CHECK(files.load(kNqn, ns(1)) == WriteProtection::None);
  CHECK(files.load(kNqn, ns(2)) == WriteProtection::Permanent);
}

TEST_CASE("a storage is protected wherever it is served, by whatever identifiers; other storage there is not") {
  StateScratch scratch;
  REQUIRE(WriteProtectionFiles(scratch.state()).write(kNqn, ns(1, 1, "eui.01"), WriteProtection::Permanent));
  WriteProtectionFiles files(scratch.state());
  CHECK(files.load(kOtherNqn, ns(2, 7, "eui.01")) == WriteProtection::Permanent);
  CHECK(files.load(kNqn, ns(1, 1, "eui.02")) == WriteProtection::None);
  CHECK(files.load(kNqn, ns(1)) == WriteProtection::None);
}

TEST_CASE("a former version saved by namespace: it is the storage's, until that has its own") {
  StateScratch scratch;
  WriteProtectionFiles files(scratch.state());
  REQUIRE(files.write(kNqn, ns(1), WriteProtection::Protected));
  CHECK(files.load(kNqn, ns(1, 1, "eui.01")) == WriteProtection::Protected);
  CHECK(files.load(kNqn, ns(2, 1, "eui.01")) == WriteProtection::None);
  CHECK(files.write(kNqn, ns(1, 1, "eui.01"), WriteProtection::None));
  CHECK(files.load(kNqn, ns(1, 1, "eui.01")) == WriteProtection::None);
}

TEST_CASE("the daemon is killed before each step of saving: the old state is loaded until the rename, then the new") {
  StateScratch scratch;
  REQUIRE(WriteProtectionFiles(scratch.state()).write(kNqn, ns(2), WriteProtection::Permanent));
  bool renamed = false;
  kill_before_each_step(
      [&](const DurableHook& dies) {
        WriteProtectionFiles(scratch.state(dies)).write(kNqn, ns(1), WriteProtection::Protected);
      },
      [&](int, bool came_through) {
        WriteProtectionFiles files(scratch.state());
        CHECK(files.load(kNqn, ns(2)) == WriteProtection::Permanent);
        const bool is_new = files.load(kNqn, ns(1)) == WriteProtection::Protected;
        CHECK((is_new || !renamed));
        CHECK((is_new || !came_through));
        renamed = is_new;
      });
}

TEST_CASE("a step of saving fails: so does saving") {
  StateScratch scratch;
  const int steps = fail_each_step(
      [&](const DurableHook& fails) {
        return WriteProtectionFiles(scratch.state(fails)).write(kNqn, ns(1), WriteProtection::Protected);
      },
      [](int, bool) {});
  CHECK(steps == 5);
  CHECK(WriteProtectionFiles(scratch.state()).load(kNqn, ns(1)) == WriteProtection::Protected);
}

TEST_CASE("the directory cannot be made: nothing can be protected for good") {
  WriteProtectionFiles files(StateDirectory("/proc/nvmf-p2p/state"));
  CHECK(files.load(kNqn, ns(1)) == WriteProtection::None);
  CHECK_FALSE(files.write(kNqn, ns(1), WriteProtection::Protected));
}

TEST_CASE("a file is broken: it is named, with what to do") {
  StateScratch scratch;
  WriteProtectionFiles files(scratch.state());
  REQUIRE(files.write(kNqn, ns(1), WriteProtection::Protected));
  const std::string path = files.path_of(kNqn, ns(1));
  SUBCASE("cut off") { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); }
  SUBCASE("no such state") { replace_in(path, "\"write protect\"", "\"write protected\""); }
  SUBCASE("another type of value") { replace_in(path, "\"write protect\"", "1"); }
  SUBCASE("a missing key") { replace_in(path, "\"protected\":", "\"protect\":"); }
  std::string said;
  try {
    files.load(kNqn, ns(1));
  } catch (const std::runtime_error& error) {
    said = error.what();
  }
  CHECK(said.find(path) != std::string::npos);
  CHECK(said.find("remove the file") != std::string::npos);
  CHECK_FALSE(files.write(kNqn, ns(2), WriteProtection::Protected));
}

}  // namespace
}  // namespace nvmf::daemon
