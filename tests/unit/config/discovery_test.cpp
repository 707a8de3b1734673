// The discovery service in a config.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

std::string discovery(const std::string& members) { return with_top("\"discovery\": {" + members + "}"); }

TEST_CASE("the discovery service's name, announcement and referrals") {
  const Result result = parse(discovery("\"nqn\": \"nqn.2026-01.io.example:discovery\", \"mdns\": true, \"referrals\": "
                                        "[{\"address\": \"10.0.0.2\"}, {\"address\": \"fd00:0::2\", \"service\": 8009, "
                                        "\"port_id\": 7}]"),
                              "test.json");
  REQUIRE(result.config);
  CHECK(result.diagnostics.empty());
  const Discovery& read = result.config->discovery;
  CHECK(read.nqn == "nqn.2026-01.io.example:discovery");
  CHECK(read.mdns);
  REQUIRE(read.referrals.size() == 2);
  CHECK(read.referrals[0].address == "10.0.0.2");
  CHECK((read.referrals[0].family == AddressFamily::ipv4));
  CHECK(read.referrals[0].service == 4420);
  CHECK(read.referrals[0].port_id == 0);
  CHECK(read.referrals[1].address == "fd00::2");
  CHECK((read.referrals[1].family == AddressFamily::ipv6));
  CHECK(read.referrals[1].service == 8009);
  CHECK(read.referrals[1].port_id == 7);
}

TEST_CASE("nothing said of discovery: the well-known name alone, no announcement, no referrals") {
  const Result result = parse(with_top("\"log_level\": \"info\""), "test.json");
  REQUIRE(result.config);
  CHECK(!result.config->discovery.nqn);
  CHECK(!result.config->discovery.mdns);
  CHECK(result.config->discovery.referrals.empty());
}

TEST_CASE("mistakes in discovery") {
  const std::vector<Broken> mistakes = {
      {discovery("\"mdns\": ^1"),
       "$.discovery.mdns: a number where a boolean is expected; write true or false without quotes"},
      {discovery("\"referrals\": [^{}]"), "$.discovery.referrals[0]: a referral without \"address\"; add it"},
      {discovery("\"referrals\": [{\"address\": ^\"there\"}]"),
       "$.discovery.referrals[0].address: \"there\" is not an IPv4 or IPv6 address; write the address of the other "
       "machine, such as 10.0.0.1 or fd00::1"},
      {discovery("\"referrals\": [{\"address\": \"10.0.0.2\", \"service\": ^0}]"),
       "$.discovery.referrals[0].service: 0 is out of range; write an integer from 1 to 65535"},
      {discovery("\"referrals\": [{\"address\": \"10.0.0.2\"}, {\"address\": ^\"10.0.0.2\"}]"),
       "$.discovery.referrals[1].address: the same address and service of a referral as "
       "$.discovery.referrals[0].address in line 5; give each its own"},
      {"{\"ports\": [{\"id\": 1, \"address\": \"10.0.0.1\"}], \"discovery\": {\"nqn\": "
       "\"nqn.2026-01.io.example:a\"},\n\"subsystems\": [{\"nqn\": ^\"nqn.2026-01.io.example:a\", \"allow_any_host\": "
       "true, \"namespaces\": [{\"memory\": 512}]}]}",
       "$.subsystems[0].nqn: the same NQN as $.discovery.nqn in line 1; give each its own"},
  };
  for (const Broken& mistake : mistakes) check_only(mistake, Severity::error);
}

}  // namespace
}  // namespace nvmf::config::test
