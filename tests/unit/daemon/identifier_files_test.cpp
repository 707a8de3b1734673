// The UUIDs that hosts were shown: the same after every death of the daemon, and never of other data.
#include "target/daemon/identifier_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using namespace test;

constexpr char kNqn[] = "nqn.2026-01.io.example:disks/1";
constexpr char kFile[] = "/srv/one.img";
constexpr char kOther[] = "/srv/other.img";

// One life of the daemon: it serves the namespace from `storage`, and hosts see what is returned.
IdentifierFiles::Uuid serve(const StateDirectory& state, const std::string& storage, uint32_t nsid = 1) {
  const IdentifierFiles files(state);
  const auto uuid = files.uuid_of(kNqn, nsid, storage);
  files.keep(kNqn, nsid, storage, uuid);
  return uuid;
}

TEST_CASE("the first storage of a namespace: two targets of one subsystem agree on its UUID") {
  StateScratch here, there;
  const auto uuid = serve(here.state(), kFile);
  CHECK(uuid == serve(there.state(), "/mnt/the-same.img"));
  CHECK(uuid != serve(here.state(), kFile, 2));
  CHECK(uuid != IdentifierFiles(here.state()).uuid_of("nqn.2026-01.io.example:other", 1, kFile));
  CHECK(uuid == serve(here.state(), kFile));
}

TEST_CASE("other storage is put in its place: another UUID, that stays; the old one comes back with the old storage") {
  StateScratch scratch;
  const auto first = serve(scratch.state(), kFile);
  const auto second = serve(scratch.state(), kOther);
  const auto third = serve(scratch.state(), "/srv/third.img");
  CHECK(second != first);
  CHECK(third != first);
  CHECK(third != second);
  CHECK(serve(scratch.state(), kOther) == second);
  CHECK(serve(scratch.state(), kFile) == first);
}

TEST_CASE("storage was looked at and never served: it takes no UUID from the one that is") {
  StateScratch scratch;
  const auto refused = IdentifierFiles(scratch.state()).uuid_of(kNqn, 1, kOther);
  CHECK(serve(scratch.state(), kFile) == refused);
  CHECK(serve(scratch.state(), kOther) != refused);
}

TEST_CASE("memory is new with every start: so is its UUID, and nothing is kept") {
  StateScratch scratch;
  CHECK(serve(scratch.state(), "") != serve(scratch.state(), ""));
  CHECK_FALSE(std::filesystem::exists(scratch.state().path()));
}

TEST_CASE("the daemon is killed before each step of keeping the first UUID: it is the same after every start") {
  StateScratch scratch, undisturbed;
  const auto expected = serve(undisturbed.state(), kFile);
  const int steps = kill_before_each_step([&](const DurableHook& dies) { serve(scratch.state(dies), kFile); },
                                          [&](int, bool) {
                                            CHECK(IdentifierFiles(scratch.state()).uuid_of(kNqn, 1, kFile) == expected);
                                            std::filesystem::remove(IdentifierFiles(scratch.state()).path_of(kNqn, 1));
                                          });
  CHECK(steps == 5);
}

TEST_CASE("the daemon is killed before each step of keeping another: the first is never lost, nor given to the other") {
  StateScratch scratch;
  const auto first = serve(scratch.state(), kFile);
  IdentifierFiles::Uuid kept{};
  const int steps = kill_before_each_step([&](const DurableHook& dies) { serve(scratch.state(dies), kOther); },
                                          [&](int, bool came_through) {
                                            const IdentifierFiles files(scratch.state());
                                            CHECK(files.uuid_of(kNqn, 1, kFile) == first);
                                            CHECK(files.uuid_of(kNqn, 1, kOther) != first);
                                            if (came_through) kept = files.uuid_of(kNqn, 1, kOther);
                                          });
  CHECK(steps >= 4);
  CHECK(serve(scratch.state(), kOther) == kept);
}

TEST_CASE("a step of keeping fails: the caller is told, the first is not lost, and keeping again succeeds") {
  StateScratch scratch;
  const auto first = serve(scratch.state(), kFile);
  const IdentifierFiles full(scratch.state([](DurableStep) { throw std::runtime_error("No space left on device"); }));
  const auto second = full.uuid_of(kNqn, 1, kOther);
  CHECK_THROWS_WITH(full.keep(kNqn, 1, kOther, second), "No space left on device");
  CHECK(serve(scratch.state(), kFile) == first);
  IdentifierFiles(scratch.state()).keep(kNqn, 1, kOther, second);
  CHECK(serve(scratch.state(), kOther) == second);
}

TEST_CASE("the directory cannot be made: the caller is told") {
  const IdentifierFiles nowhere(StateDirectory("/proc/nvmf-p2p/state"));
  CHECK_THROWS(nowhere.keep(kNqn, 1, kFile, nowhere.uuid_of(kNqn, 1, kFile)));
}

TEST_CASE("a file is broken: it is named, with what to do, and no identifier is made up") {
  StateScratch scratch;
  serve(scratch.state(), kFile);
  const IdentifierFiles files(scratch.state());
  const std::string path = files.path_of(kNqn, 1);
  SUBCASE("empty") { std::ofstream{path}; }
  SUBCASE("cut off") { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); }
  SUBCASE("no UUID") { replace_in(path, "\"uuid\": \"", "\"uuid\": \"x"); }
  SUBCASE("a missing key") { replace_in(path, "\"storage\"", "\"stored\""); }
  SUBCASE("another type of value") { replace_in(path, "\"/srv/one.img\"", "1"); }
  SUBCASE("another namespace's") { replace_in(path, "\"nsid\": 1", "\"nsid\": 2"); }
  SUBCASE("another version's") { replace_in(path, "\"format\": 1", "\"format\": 2"); }
  std::string said;
  try {
    files.uuid_of(kNqn, 1, kFile);
  } catch (const std::runtime_error& error) {
    said = error.what();
  }
  CHECK(said.find(path) != std::string::npos);
  CHECK(said.find("remove the file") != std::string::npos);
}

TEST_CASE(
    "a device of which a former version knew the path alone keeps its UUID, and nothing else at the path gets it") {
  const StateScratch scratch;
  const IdentifierFiles files(scratch.state());
  constexpr char kPath[] = "/dev/vdb";
  files.keep(kNqn, 1, kPath, files.uuid_of(kNqn, 1, kPath));
  const auto uuid = files.uuid_of(kNqn, 1, kPath);
  CHECK(files.uuid_of(kNqn, 1, "serial-7", kPath) != uuid);  // a disk without a name was there

  std::string text;
  std::getline(std::ifstream(files.path_of(kNqn, 1)), text, '\0');
  text.replace(text.find("\"by_path\": true"), 15, "\"other\": true");
  std::ofstream(files.path_of(kNqn, 1)) << text;
  CHECK(files.uuid_of(kNqn, 1, "serial-7", kPath) == uuid);
  files.keep(kNqn, 1, "serial-7", uuid);
  CHECK(files.uuid_of(kNqn, 1, "serial-7") == uuid);
  CHECK(files.uuid_of(kNqn, 1, "serial-8", kPath) != uuid);
  CHECK(files.uuid_of(kNqn, 1, kPath) != uuid);
}

}  // namespace
}  // namespace nvmf::daemon
