#include "target/daemon/resource_check.h"

#include <algorithm>
#include <sstream>
#include <string>

namespace nvmf::daemon {
namespace {

constexpr unsigned kMibShift = 20;

// 0: unknown.
uint64_t memory_of_machine_mib(const p2p::Sysfs& sysfs) {
  std::istringstream lines(sysfs.content("/proc/meminfo"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t kib = 0;
    if (words >> name >> kib && name == "MemTotal:") return kib >> 10U;
  }
  return 0;
}

uint64_t in_namespaces_bytes(const config::Config& config) {
  uint64_t bytes = 0;
  for (const config::Subsystem& subsystem : config.subsystems)
    for (const config::Namespace& ns : subsystem.namespaces)
      if (const auto* memory = std::get_if<config::MemoryBackend>(&ns.backend)) bytes += memory->size_bytes;
  return bytes;
}

class ResourceCheck {
 public:
  ResourceCheck(const config::Config& config, const p2p::Sysfs& sysfs, const std::vector<InterfaceAddress>& addresses)
      : config_(config), sysfs_(sysfs), addresses_(addresses) {}

  std::vector<config::Diagnostic> run() {
    check_memory();
    if (config_.metrics) check_metrics(*config_.metrics);
    return std::move(warnings_);
  }

 private:
  void warn(config::Position position, std::string path, std::string problem, std::string remedy) {
    warnings_.push_back(
        {config::Severity::warning, config_.file, position, std::move(path), std::move(problem), std::move(remedy)});
  }

  // One RDMA device at least has a pool for each reactor.
  void check_memory() {
    const uint64_t has_mib = memory_of_machine_mib(sysfs_);
    if (has_mib == 0) return;
    const uint64_t namespaces_mib = in_namespaces_bytes(config_) >> kMibShift;
    const uint64_t pools_mib = uint64_t{config_.rdma.dram_pool_mib} * config_.reactors.count;
    const std::string machine = "this machine has " + std::to_string(has_mib) + " MiB";
    if (namespaces_mib >= has_mib)
      warn({}, "$.subsystems", "the namespaces in memory take " + std::to_string(namespaces_mib) + " MiB; " + machine,
           "make them smaller, or serve files");
    else if (namespaces_mib + pools_mib >= has_mib)
      warn(config_.rdma.position, "$.rdma.dram_pool_mib",
           "the pools of " + std::to_string(config_.reactors.count) + " reactors and the namespaces in memory take " +
               std::to_string(namespaces_mib + pools_mib) + " MiB; " + machine,
           "lower \"dram_pool_mib\" or the number of reactors");
  }

  void check_metrics(const config::Metrics& metrics) {
    const bool is_there =
        std::ranges::find(addresses_, metrics.address, &InterfaceAddress::address) != addresses_.end();
    if (config::is_wildcard(metrics.address) || is_there) return;
    warn(metrics.position, "$.metrics.address", "no interface of this machine has the address " + metrics.address,
         "write one that it has, or 0.0.0.0 or :: for all; until then nothing listens for Prometheus");
  }

  const config::Config& config_;
  const p2p::Sysfs& sysfs_;
  const std::vector<InterfaceAddress>& addresses_;
  std::vector<config::Diagnostic> warnings_;
};

}  // namespace

std::vector<config::Diagnostic> check_resources(const config::Config& config, const p2p::Sysfs& sysfs,
                                                const std::vector<InterfaceAddress>& addresses) {
  return ResourceCheck(config, sysfs, addresses).run();
}

}  // namespace nvmf::daemon
