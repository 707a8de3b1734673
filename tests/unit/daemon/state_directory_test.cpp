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

}  // namespace
}  // namespace nvmf::daemon
