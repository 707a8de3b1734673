// What is said of a file of state that somebody else has written, or half written.
#include "target/daemon/state_directory.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using test::StateScratch;

const StateOwner kOwner = {.nqn = "nqn.2026-01.io.example:a", .nsid = 1};

// Why the file with that content cannot be read.
std::string refusal_of(const std::string& content) {
  const StateScratch scratch;
  const StateDirectory state = scratch.state();
  state.make();
  std::ofstream(state.file("test", kOwner)) << content;
  try {
    state.read("test", kOwner, 1);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a file is no JSON, or more than a daemon writes: a sentence says so") {
  CHECK(refusal_of("{").starts_with("it is not JSON: "));
  CHECK(refusal_of(std::string(100'000, '[')) == "it is nested deeper than 32 objects and arrays");
}

TEST_CASE("what is kept by a device's path becomes that of its name, unless the name has its own") {
  const StateScratch scratch;
  const StateDirectory state = scratch.state();
  const StateOwner path{.storage = "/dev/sda1"};
  const StateOwner name{.storage = "naa.1, partition 1 from sector 8"};
  state.hand_over("test", path, name);
  CHECK_FALSE(state.read("test", name, 1));
  state.make();
  state.replace("test", path, 1, {{"key", 7}});
  state.hand_over("test", path, name);
  CHECK(state.read("test", name, 1)->at("key") == 7);
  CHECK_FALSE(state.read("test", path, 1));
  state.replace("test", path, 1, {{"key", 8}});
  state.hand_over("test", path, name);
  CHECK(state.read("test", name, 1)->at("key") == 7);
}

}  // namespace
}  // namespace nvmf::daemon
