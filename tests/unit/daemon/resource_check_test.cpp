// Warnings about configs that take more than a machine has.
#include "target/daemon/resource_check.h"

#include <doctest/doctest.h>

#include "config/parse.h"
#include "target/core/datapath/limits.h"
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

TEST_CASE("more time to stop than a container is given, as far as anybody can know") {
  const config::Result result =
      config::parse(R"({"shutdown_timeout_ms": 30001, "ports": [], "subsystems": []})", "a.json");
  REQUIRE(result.config.has_value());
  Machine machine;
  CHECK(check_resources(*result.config, machine.sysfs(), kAddresses).empty());
  machine.file("/run/.containerenv", "");
  const auto found = check_resources(*result.config, machine.sysfs(), kAddresses);
  REQUIRE(found.size() == 1);
  CHECK(found.front().path == "$.shutdown_timeout_ms");
  CHECK(found.front().problem == "in a container the daemon may be killed before: it needs 36 s to stop");
  config::Config in_time = *result.config;
  in_time.shutdown_timeout_ms = 30'000;
  CHECK(check_resources(in_time, machine.sysfs(), kAddresses).empty());
}

TEST_CASE("less time to stop than a disk may have commands") {
  Machine machine;
  config::Config config = *config::parse(R"({"ports": [], "subsystems": []})", "a.json").config;
  CHECK(check_resources(config, machine.sysfs(), kAddresses).empty());
  config.shutdown_timeout_ms = core::limits::kQuiesceTimeoutMs - 1;
  const auto found = check_resources(config, machine.sysfs(), kAddresses);
  REQUIRE(found.size() == 1);
  CHECK(found.front().path == "$.shutdown_timeout_ms");
  CHECK(found.front().problem.find("older data replaces newer") != std::string::npos);
  config.shutdown_timeout_ms = core::limits::kQuiesceTimeoutMs;
  CHECK(check_resources(config, machine.sysfs(), kAddresses).empty());
}

// As Soft-RoCE has them, but for what the test is about.
RdmaDeviceLimits device(int queue_pairs, int queue_entries) {
  RdmaDeviceLimits limits{.name = "rxe0"};
  limits.attributes.max_qp = queue_pairs;
  limits.attributes.max_qp_wr = 16'384;
  limits.attributes.max_cq = 1'000;
  limits.attributes.max_cqe = queue_entries;
  limits.attributes.max_srq = 1'000;
  limits.attributes.max_srq_wr = queue_entries;
  return limits;
}

std::vector<std::string> queue_warnings(const std::string& more, const RdmaDeviceLimits& limits,
                                        const std::string& hosts = R"("allow_any_host": true)") {
  const config::Result result =
      config::parse("{" + more + R"("ports": [], "subsystems": [{"nqn": "nqn.2026-01.io.example:a", )" + hosts +
                        R"(, "namespaces": [{"memory": 512}]}]})",
                    "a.json");
  REQUIRE(result.config.has_value());
  Machine machine;
  machine.file("/proc/meminfo", "MemTotal: 67108864 kB\n");
  std::vector<std::string> lines;
  for (const auto& warning : check_resources(*result.config, machine.sysfs(), kAddresses, {limits}))
    lines.push_back(warning.path + ": " + warning.problem);
  return lines;
}

TEST_CASE("more queues than the RNICs have room for: for one controller, by the limit, for all hosts") {
  using Lines = std::vector<std::string>;
  CHECK(queue_warnings("", device(1'000, 32'768)).empty());
  // A quarter of the queue pairs is for admin queues.
  CHECK(queue_warnings("", device(80, 32'768)) ==
        Lines{"$.rdma.max_io_queues: rxe0 has room for 60 I/O queues of 128 entries, fewer than one controller may "
              "have: 64"});
  CHECK(queue_warnings(R"("rdma": {"max_io_queues": 60}, )", device(80, 32'768)).empty());
  CHECK(queue_warnings(R"("limits": {"max_io_queues": 751}, )", device(1'000, 32'768)) ==
        Lines{"$.limits.max_io_queues: the RNICs have room for fewer I/O queues than 751: rxe0 has room for 750"});
  CHECK(queue_warnings(R"("limits": {"max_io_queues": 750}, )", device(1'000, 32'768)).empty());
  const std::string twelve = [] {
    std::string list = R"("allowed_hosts": ["nqn.2026-01.io.example:h0")";
    for (int i = 1; i < 12; ++i) list += ", \"nqn.2026-01.io.example:h" + std::to_string(i) + '"';
    return list + "]";
  }();
  CHECK(
      queue_warnings("", device(1'000, 32'768), twelve) ==
      Lines{
          "$.rdma.max_io_queues: when all hosts are connected to the subsystems that they may use, with 64 I/O queues "
          "each, they ask for 768; rxe0 has room for 750"});
  CHECK(queue_warnings(R"("limits": {"max_io_queues": 700}, )", device(1'000, 32'768), twelve).empty());
}

TEST_CASE("an RNIC without shared receive queues is told, and counts as no room") {
  RdmaDeviceLimits without = device(1'000, 0);
  without.lack = "rxe0: this RNIC's driver (ice) has no shared receive queues";
  CHECK(queue_warnings("", without) ==
        std::vector<std::string>{"$.rdma: rxe0: this RNIC's driver (ice) has no shared receive queues"});
}

TEST_CASE("an iWARP RNIC: not served, or served at a risk") {
  using Lines = std::vector<std::string>;
  RdmaDeviceLimits iwarp = device(1'000, 32'768);
  iwarp.is_iwarp = true;
  CHECK(queue_warnings("", iwarp) == Lines{"$.rdma.devices: rxe0's transport is iWARP, so it is not served"});
  CHECK(queue_warnings(R"("rdma": {"devices": [{"name": "rxe0", "iwarp": true}]}, )", iwarp) ==
        Lines{"$.rdma.devices: rxe0's transport is iWARP: each host that knows or guesses a memory key can overwrite "
              "the data of other hosts"});
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
