// The files beside the library: the example and the schema that editors use.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/parse.h"
#include "config/schema.h"

namespace nvmf::config {
namespace {

std::string beside_the_library(const std::string& name) {
  return (std::filesystem::path(CONFIG_DIR) / name).string();
}

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_CASE("the example is a good config") {
  const Result result = load(beside_the_library("example.json"));
  CHECK(result.diagnostics.empty());
  REQUIRE(result.config.has_value());
  CHECK(result.config->subsystems.at(0).namespaces.size() == 1);
}

// After a change of the tables, NVMF_WRITE_SCHEMA=1 makes this test write the file anew.
TEST_CASE("schema.json says what the parser reads") {
  const std::string path = beside_the_library("schema.json");
  if (std::getenv("NVMF_WRITE_SCHEMA") != nullptr) std::ofstream(path) << schema_text();
  CHECK((contents(path) == schema_text()));
}

}  // namespace
}  // namespace nvmf::config
