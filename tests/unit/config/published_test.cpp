// The files beside the library: the examples and the schema that editors use.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "config/parse.h"
#include "config/schema.h"
#include "tests/unit/config/json_schema.h"

namespace nvmf::config {
namespace {

std::string beside_the_library(const std::string& name) { return (std::filesystem::path(CONFIG_DIR) / name).string(); }

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> examples() {
  std::vector<std::string> paths = {beside_the_library("example.json")};
  for (const auto& entry : std::filesystem::directory_iterator(beside_the_library("examples")))
    paths.push_back(entry.path().string());
  return paths;
}

TEST_CASE("the examples are good configs, for the parser and for editors") {
  const test::Json schema = test::Json::parse(contents(beside_the_library("schema.json")));
  CHECK(examples().size() == 5);
  for (const std::string& path : examples()) {
    CAPTURE(path);
    const Result result = load(path);
    for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(to_string(diagnostic));
    CHECK(result.diagnostics.empty());
    CHECK(result.config.has_value());
    CHECK(test::satisfies(test::Json::parse(contents(path), nullptr, true, true), schema));
  }
}

TEST_CASE("editors see the mistakes that a schema can tell") {
  const test::Json schema = test::Json::parse(contents(beside_the_library("schema.json")));
  const test::Json good = test::Json::parse(contents(beside_the_library("example.json")), nullptr, true, true);
  const auto with = [&](const char* pointer, const test::Json& value) {
    test::Json changed = good;
    changed[test::Json::json_pointer(pointer)] = value;
    return changed;
  };
  CHECK(test::satisfies(good, schema));
  CHECK_FALSE(test::satisfies(with("/prots", 1), schema));
  CHECK_FALSE(test::satisfies(with("/log_level", "loud"), schema));
  CHECK_FALSE(test::satisfies(with("/ports/0/id", 0), schema));
  CHECK_FALSE(test::satisfies(with("/rdma", {{"mdts_bytes", 4097}}), schema));
  CHECK_FALSE(test::satisfies(with("/reactors", {{"cores", {1}}, {"count", 1}}), schema));
  CHECK_FALSE(test::satisfies(with("/reactors", {{"cores", {1, 1}}}), schema));
  CHECK_FALSE(test::satisfies(with("/subsystems/0/nqn", ""), schema));
  CHECK_FALSE(test::satisfies(with("/subsystems/0/allowed_hosts", test::Json::array()), schema));
  CHECK_FALSE(test::satisfies(with("/subsystems/0/namespaces/0/memory", 512), schema));
  CHECK_FALSE(test::satisfies(with("/subsystems/0/namespaces/0/block_size", 512), schema));
  CHECK_FALSE(test::satisfies(with("/subsystems/0/namespaces/0", {{"memory", 512}, {"p2p", "prefer"}}), schema));
}

// After a change of the tables, NVMF_WRITE_SCHEMA=1 makes this test write the file anew.
TEST_CASE("schema.json says what the parser reads, and drop-in-schema.json what it reads of a drop-in") {
  const auto check = [](const std::string& path, const std::string& text) {
    if (std::getenv("NVMF_WRITE_SCHEMA") != nullptr) std::ofstream(path) << text;
    CHECK((contents(path) == text));
  };
  check(beside_the_library("schema.json"), schema_text());
  check(beside_the_library("drop-in-schema.json"), drop_in_schema_text());
}

TEST_CASE("editors see the mistakes of a drop-in that a schema can tell") {
  const test::Json schema = test::Json::parse(contents(beside_the_library("drop-in-schema.json")));
  const test::Json config = test::Json::parse(contents(beside_the_library("example.json")), nullptr, true, true);
  test::Json good = test::Json::object();
  good["subsystems"] = config.at("subsystems");
  CHECK(test::satisfies(good, schema));
  test::Json without_nqn = good;
  without_nqn["subsystems"][0].erase("nqn");
  CHECK_FALSE(test::satisfies(without_nqn, schema));
  CHECK_FALSE(test::satisfies(test::Json::object(), schema));
  CHECK_FALSE(test::satisfies(config, schema));
}

}  // namespace
}  // namespace nvmf::config
