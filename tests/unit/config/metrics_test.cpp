// The address of the metrics in a config.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

std::string metrics(const std::string& members) { return with_top("\"metrics\": {" + members + "}"); }

TEST_CASE("metrics are off unless asked for") {
  const Result result = parse(with_top("\"log_level\": \"info\""), "test.json");
  REQUIRE(result.config);
  CHECK(!result.config->metrics);
}

TEST_CASE("metrics asked for without an address: this machine only") {
  const Result result = parse(metrics(""), "test.json");
  REQUIRE(result.config);
  REQUIRE(result.config->metrics);
  CHECK(result.config->metrics->address == "127.0.0.1");
  CHECK(result.config->metrics->port == 9482);
}

TEST_CASE("metrics on any address of the machine, and on another port") {
  const Result all = parse(metrics("\"address\": \"0.0.0.0\", \"port\": 9100"), "test.json");
  CHECK(all.diagnostics.empty());
  REQUIRE(all.config);
  CHECK(all.config->metrics->address == "0.0.0.0");
  CHECK(all.config->metrics->port == 9100);
  const Result ipv6 = parse(metrics("\"address\": \"0::0\""), "test.json");
  REQUIRE(ipv6.config);
  CHECK(ipv6.config->metrics->address == "::");
}

TEST_CASE("mistakes in metrics") {
  const std::vector<Broken> mistakes = {
      {with_top("\"metrics\": ^9482"),
       "$.metrics: a number where an object is expected; write metrics settings as { \"key\": value, ... }"},
      {metrics("\"address\": ^\"localhost\""),
       "$.metrics.address: \"localhost\" is not an IPv4 or IPv6 address; write an address of this machine, such as "
       "127.0.0.1 or ::1, or 0.0.0.0 or :: for all"},
      {metrics("\"port\": ^0"), "$.metrics.port: 0 is out of range; write an integer from 1 to 65535"},
  };
  for (const Broken& mistake : mistakes) check_only(mistake, Severity::error);
}

}  // namespace
}  // namespace nvmf::config::test
