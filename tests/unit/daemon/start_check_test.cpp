// What a start needs beside a good config is found out beforehand.
#include "target/daemon/start_check.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

constexpr char kReservation[] = "/reservation-0a000000-0000-4000-8000-000000000001.json";

struct World : Scratch {
  World() { config.state_dir = path(); }
  void write(const std::string& name, const std::string& content) const { std::ofstream(path() + name) << content; }

  config::Config config{};
};

TEST_CASE("a state that this version can use, and none at all") {
  World world;
  CHECK(check_start(world.config).empty());
  world.write(kReservation, "{\"format\": 1}\n");
  CHECK(check_start(world.config).empty());
  world.config.state_dir += "/none";
  CHECK(check_start(world.config).empty());
}

TEST_CASE("a file of the state that this version cannot use is an error that names it") {
  const World world;
  SUBCASE("of a later version") { world.write(kReservation, "{\"format\": 2}\n"); }
  SUBCASE("broken") { world.write(kReservation, "{\"format\": 1"); }
  const auto errors = check_start(world.config);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].severity == config::Severity::error);
  CHECK(errors[0].path == "$.state_dir");
  CHECK(errors[0].problem.find(kReservation) != std::string::npos);
}

TEST_CASE("proofs of CMBs and the files of others are no obstacle") {
  const World world;
  world.write("/proof-0a000000-0000-4000-8000-000000000002.json", "{");
  world.write("/lost+found", "");
  CHECK(check_start(world.config).empty());
}

}  // namespace
}  // namespace nvmf::daemon
