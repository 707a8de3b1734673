// The program that is to take over is asked whether it can; shell scripts play its part.
#include "target/daemon/upgrade.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

// A script that answers `--version` and `check --start --json FILE`.
class Successor : public Scratch {
 public:
  explicit Successor(const std::string& check, const std::string& version = "echo 0.2.0") {
    std::ofstream(path() + "/program")
        << "#!/bin/sh\n[ \"$1\" != --version ] || { " << version
        << "; exit $?; }\n[ \"$1 $2 $3 $4\" = 'check --start --json a.json' ] || exit 9\n"
        << check << "\n";
    std::filesystem::permissions(path() + "/program", std::filesystem::perms::owner_all);
  }
  UpgradePlan ask() const {
    UpgradePlan plan;
    ask_program(path() + "/program", "a.json", plan);
    return plan;
  }
};

// `line` 0: the mistake concerns the whole file.
std::string diagnostic(const std::string& severity, int line) {
  return R"({"file": "a.json", "line": )" + std::to_string(line) +
         R"(, "column": 1, "path": "$.ports", "severity": ")" + severity +
         R"(", "problem": "there is none", "remedy": "add one"})";
}

bool says(const std::vector<std::string>& sentences, const std::string& what) {
  return std::ranges::any_of(sentences, [&](const auto& one) { return one.find(what) != std::string::npos; });
}

TEST_CASE("a program that finds nothing wrong may take over; its version is told") {
  const UpgradePlan plan = Successor("echo '[]'").ask();
  CHECK(plan.version == "0.2.0");
  CHECK(plan.obstacles.empty());
}

TEST_CASE("warnings do not prevent an upgrade") {
  CHECK(Successor("echo '[" + diagnostic("warning", 3) + "]'").ask().obstacles.empty());
}

TEST_CASE("errors prevent it, each with its place and remedy") {
  const std::string found = "[" + diagnostic("error", 3) + "," + diagnostic("error", 0) + "]";
  const UpgradePlan plan = Successor("echo '" + found + "'; exit 2").ask();
  REQUIRE(plan.obstacles.size() == 2);
  CHECK(plan.obstacles[0] == "a.json:3: $.ports: there is none; add one");
  CHECK(plan.obstacles[1] == "a.json: $.ports: there is none; add one");
}

TEST_CASE("a program that cannot answer may not take over, and its own words are told") {
  SUBCASE("it does not run here") {
    const UpgradePlan plan = Successor("echo '[]'", "echo 'libx.so is missing' >&2; exit 127").ask();
    CHECK(says(plan.obstacles, "--version ended with exit status 127: libx.so is missing"));
  }
  SUBCASE("it is too old to know the question") {
    CHECK(says(Successor("echo 'unknown option' >&2; exit 2").ask().obstacles, "exit status 2: unknown option"));
  }
  SUBCASE("it crashes after an answer") {
    CHECK(says(Successor("echo '[]'; kill -11 $$").ask().obstacles, "exit status 139"));
  }
  SUBCASE("it answers something else") {
    CHECK_FALSE(Successor("echo '[{\"severity\": \"error\"}]'").ask().obstacles.empty());
    CHECK_FALSE(Successor("echo '{}'").ask().obstacles.empty());
    CHECK(says(Successor("true").ask().obstacles, "is that program nvmf-p2p?"));
  }
  SUBCASE("it is not there") {
    UpgradePlan plan;
    ask_program("/nowhere/nvmf-p2p", "a.json", plan);
    CHECK(says(plan.obstacles, "cannot start /nowhere/nvmf-p2p"));
  }
}

}  // namespace
}  // namespace nvmf::daemon
