// What the next program has to serve, because the former one served it.
#include "target/daemon/served_names.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/parse.h"

namespace nvmf::daemon {
namespace {

using Names = std::vector<std::string>;

constexpr char kNqn[] = "nqn.2026-01.io.example:a";

config::Config config_with(const std::string& address, const std::string& namespaces) {
  const config::Result parsed =
      config::parse(R"({"ports": [{"id": 1, "address": ")" + address + R"("}], "subsystems": [{"nqn": ")" + kNqn +
                        R"(", "allow_any_host": true, "namespaces": [)" + namespaces + "]}]}",
                    "a.json");
  REQUIRE(parsed.config.has_value());
  return *parsed.config;
}

constexpr char kTwo[] = R"({"memory": "1MiB"}, {"memory": "1MiB"})";

TEST_CASE("the next program serves the same, or more: nothing is lost") {
  const Names former = {name_of_namespace(kNqn, 1), name_of_listener(1, "192.0.2.1")};
  Names now = former;
  CHECK(lost_names(former, now, config_with("192.0.2.1", kTwo)).empty());
  now.push_back(name_of_namespace(kNqn, 2));
  CHECK(lost_names(former, now, config_with("192.0.2.1", kTwo)).empty());
  CHECK(lost_names({}, {}, config_with("192.0.2.1", kTwo)).empty());
}

TEST_CASE("a namespace or an address that is not served any more is lost") {
  const Names former = {name_of_namespace(kNqn, 1), name_of_namespace(kNqn, 2), name_of_listener(1, "192.0.2.1")};
  CHECK(lost_names(former, {former[0], former[2]}, config_with("192.0.2.1", kTwo)) == Names{former[1]});
  CHECK(lost_names(former, {former[0], former[1]}, config_with("192.0.2.1", kTwo)) == Names{former[2]});
  CHECK(lost_names(former, {former[0], former[1]}, config_with("0.0.0.0", kTwo)) == Names{former[2]});
}

TEST_CASE("what the config has no longer is not missed") {
  const Names former = {name_of_namespace(kNqn, 1), name_of_namespace(kNqn, 2), name_of_listener(1, "192.0.2.1"),
                        name_of_listener(11, "192.0.2.1")};
  const Names now = {former[0], name_of_listener(1, "192.0.2.7")};
  CHECK(lost_names(former, now, config_with("192.0.2.7", R"({"memory": "1MiB"})")).empty());
}

}  // namespace
}  // namespace nvmf::daemon
