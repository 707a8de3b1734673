// Warnings about configs that take more than a machine has.
#include "target/daemon/resource_check.h"

#include <doctest/doctest.h>

#include "config/parse.h"
#include "tests/unit/p2p/machine.h"

namespace nvmf::daemon {
namespace {

using p2p::test::Machine;

const std::vector<InterfaceAddress> kAddresses = {{"127.0.0.1", "lo"}, {"192.0.2.10", "eth0"}};

// On a machine of 4 GiB.
std::vector<std::string> warnings(const std::string& more, const std::string& memory = "1MiB") {
  Machine machine;
  machine.file("/proc/meminfo", "MemTotal:        4194304 kB\nMemFree:         1024 kB\n");
  const config::Result result =
      config::parse("{" + more + R"("ports": [], "subsystems": [{"nqn": "nqn.2026-01.io.example:a", )" +
                        R"("allow_any_host": true, "namespaces": [{"memory": ")" + memory + "\"}]}]}",
                    "a.json");
  REQUIRE(result.config.has_value());
  std::vector<std::string> lines;
  for (const auto& warning : check_resources(*result.config, machine.sysfs(), kAddresses))
    lines.push_back(to_string(warning));
  return lines;
}

TEST_CASE("namespaces and pools that need more memory than the machine has") {
  CHECK(warnings("").empty());
  CHECK(warnings(R"("reactors": {"count": 2}, "rdma": {"dram_pool_mib": 1024}, )").empty());
  CHECK(warnings("", "4GiB") ==
        std::vector<std::string>{"a.json: warning: $.subsystems: the namespaces in memory take 4096 MiB; this machine "
                                 "has 4096 MiB; make them smaller, or serve files"});
  CHECK(
      warnings(R"("reactors": {"count": 2}, "rdma": {"dram_pool_mib": 2048}, )") ==
      std::vector<std::string>{
          "a.json:1:36: warning: $.rdma.dram_pool_mib: the pools of 2 reactors and the namespaces in memory take 4097 "
          "MiB; this machine has 4096 MiB; lower \"dram_pool_mib\" or the number of reactors"});
}

TEST_CASE("an address for metrics that no interface has") {
  for (const char* good : {"127.0.0.1", "192.0.2.10", "0.0.0.0", "::"})
    CHECK(warnings(R"("metrics": {"address": ")" + std::string(good) + R"("}, )").empty());
  CHECK(
      warnings(R"("metrics": {"address": "192.0.2.11"}, )") ==
      std::vector<std::string>{"a.json:1:13: warning: $.metrics.address: no interface of this machine has the address "
                               "192.0.2.11; write one that it has, or 0.0.0.0 or :: for all; until then nothing "
                               "listens for Prometheus"});
}

}  // namespace
}  // namespace nvmf::daemon
