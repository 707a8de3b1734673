#include "target/daemon/resource_check.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <sstream>
#include <string>

#include "config/wording.h"
#include "target/core/datapath/limits.h"
#include "target/daemon/core_options.h"
#include "target/daemon/service_manager.h"
#include "transport/rdma/queue_capacity.h"
#include "transport/verbs/verbs.h"

namespace nvmf::daemon {
namespace {

constexpr unsigned kMibShift = 20;
// See check_shutdown_time().
constexpr std::chrono::seconds kShippedGrace{35};

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
  ResourceCheck(const config::Config& config, const p2p::Sysfs& sysfs, const std::vector<InterfaceAddress>& addresses,
                const std::vector<RdmaDeviceLimits>& devices)
      : config_(config), sysfs_(sysfs), addresses_(addresses), devices_(devices) {}

  std::vector<config::Diagnostic> run_memory() {
    check_memory();
    return std::move(warnings_);
  }

  std::vector<config::Diagnostic> run() {
    check_memory();
    check_iwarp();
    check_queues();
    check_shutdown_time();
    if (config_.metrics) check_metrics(*config_.metrics);
    return std::move(warnings_);
  }

 private:
  void warn(config::Position position, std::string path, std::string problem, std::string remedy) {
    warnings_.push_back({config::Severity::warning, file_of(config_, position), position, std::move(path),
                         std::move(problem), std::move(remedy)});
  }

  // One RNIC at least has a pool for each reactor.
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
           "the pools of " + config::count_of(config_.reactors.count, "reactor") +
               " and the namespaces in memory take " + std::to_string(namespaces_mib + pools_mib) + " MiB; " + machine,
           "lower \"dram_pool_mib\" or the number of reactors");
  }

  void check_iwarp() {
    for (const RdmaDeviceLimits& device : devices_) {
      if (!device.is_iwarp) continue;
      const auto said = std::ranges::find(config_.rdma.devices, device.name, &config::RdmaDevice::name);
      if (said != config_.rdma.devices.end() && said->iwarp)
        warn(said->position, "$.rdma.devices",
             device.name +
                 "'s transport is iWARP: each host that knows or guesses a memory key can overwrite the data "
                 "of other hosts",
             "serve it only to hosts that trust each other");
      else
        warn(config_.rdma.position, "$.rdma.devices", device.name + "'s transport is iWARP, so it is not served",
             "the config's README says what \"iwarp\": true risks");
    }
  }

  // Hosts ask for as many I/O queues as they have processors, and get "max_io_queues" at most.
  void check_queues() {
    for (const RdmaDeviceLimits& device : devices_)
      if (!device.lack.empty()) warn(config_.rdma.position, "$.rdma", device.lack, "");
    if (std::ranges::all_of(devices_, [](const RdmaDeviceLimits& device) { return !device.lack.empty(); })) return;
    rdma::PollGroupOptions options = group_options(config_);
    if (const uint64_t has_mib = memory_of_machine_mib(sysfs_); has_mib != 0)
      options.slot_memory_bytes = slot_memory_bytes(has_mib << kMibShift);
    uint64_t all = 0;
    std::string room;
    for (const RdmaDeviceLimits& device : devices_) {
      if (!device.lack.empty()) continue;
      const uint32_t queues =
          rdma::io_queue_capacity(device.attributes, options, config_.reactors.count, config_.rdma.max_queue_depth);
      all += queues;
      room += (room.empty() ? "" : ", ") + device.name + " has room for " + std::to_string(queues);
      if (queues < config_.rdma.max_io_queues)
        warn(config_.rdma.position, "$.rdma.max_io_queues",
             device.name + " has room for " + std::to_string(queues) + " I/O queues of " +
                 std::to_string(config_.rdma.max_queue_depth) +
                 " entries, fewer than one controller may have: " + std::to_string(config_.rdma.max_io_queues),
             "lower \"max_queue_depth\" or \"max_io_queues\"");
    }
    if (config_.limits.max_io_queues.value_or(0) > all)
      warn(config_.limits.position, "$.limits.max_io_queues",
           "the RNICs have room for fewer I/O queues than " + std::to_string(*config_.limits.max_io_queues) + ": " +
               room,
           "lower it, or \"rdma\".\"max_queue_depth\"");
    check_hosts(all, room);
  }

  // An engine of containers kills a daemon that does not stop in time, and says nowhere how long that is; the compose
  // file and the DaemonSet of this program say kShippedGrace.
  void check_shutdown_time() {
    if (config_.shutdown_timeout_ms < core::limits::kQuiesceTimeoutMs)
      warn(
          {}, "$.shutdown_timeout_ms",
          "a stop may end the process while a disk has commands, which the daemon allows " +
              std::to_string(core::limits::kQuiesceTimeoutMs / 1000) +
              " s: hosts repeat them by other paths, and when the disk executes the old ones last, older data replaces "
              "newer",
          "make it longer, or leave it out");
    constexpr std::array<const char*, 3> kTraces = {"/.dockerenv", "/run/.containerenv",
                                                    "/run/secrets/kubernetes.io/serviceaccount"};
    const bool is_container =
        std::ranges::any_of(kTraces, [this](const char* const path) { return sysfs_.exists(path); });
    const auto wanted =
        std::chrono::ceil<std::chrono::seconds>(std::chrono::milliseconds(config_.shutdown_timeout_ms)) +
        service_manager::kStoppingMargin;
    if (!is_container || wanted <= kShippedGrace) return;
    warn({}, "$.shutdown_timeout_ms",
         "in a container the daemon may be killed before: it needs " + std::to_string(wanted.count()) + " s to stop",
         "give the container that time: stop_grace_period of a compose file, terminationGracePeriodSeconds of a pod, "
         "--stop-timeout of docker run");
  }

  // The hosts that the config names, each with one path to each of its subsystems.
  void check_hosts(uint64_t all, const std::string& room) {
    uint64_t controllers = 0;
    for (const config::Subsystem& subsystem : config_.subsystems) {
      std::set<std::string> hosts(subsystem.allowed_hosts.begin(), subsystem.allowed_hosts.end());
      for (const config::Host& host : subsystem.hosts) hosts.insert(host.nqn);
      controllers += hosts.size();
    }
    const uint64_t wanted = controllers * config_.rdma.max_io_queues;
    const uint64_t most = config_.limits.max_io_queues.value_or(UINT32_MAX);
    if (controllers < 2 || std::min(wanted, most) <= all) return;
    warn(config_.rdma.position, "$.rdma.max_io_queues",
         "when all hosts are connected to the subsystems that they may use, with " +
             std::to_string(config_.rdma.max_io_queues) + " I/O queues each, they ask for " + std::to_string(wanted) +
             "; " + room,
         "lower \"max_io_queues\" or \"max_queue_depth\": the last hosts that connect get fewer queues, or none");
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
  const std::vector<RdmaDeviceLimits>& devices_;
  std::vector<config::Diagnostic> warnings_;
};

}  // namespace

std::vector<RdmaDeviceLimits> read_rdma_device_limits() {
  int count = 0;
  const verbs::Owned<ibv_device*, ibv_free_device_list> list(ibv_get_device_list(&count));
  std::vector<RdmaDeviceLimits> devices;
  for (int i = 0; i < count; ++i) {
    const verbs::Owned<ibv_context, ibv_close_device> context(ibv_open_device(list.get()[i]));
    RdmaDeviceLimits limits{.name = ibv_get_device_name(list.get()[i])};
    if (!context || ibv_query_device(context.get(), &limits.attributes) != 0) continue;
    limits.lack = verbs::lack_of_shared_receive_queues(*list.get()[i], limits.attributes);
    limits.is_iwarp = list.get()[i]->transport_type == IBV_TRANSPORT_IWARP;
    devices.push_back(std::move(limits));
  }
  return devices;
}

std::vector<config::Diagnostic> check_memory(const config::Config& config, const p2p::Sysfs& sysfs) {
  return ResourceCheck(config, sysfs, {}, {}).run_memory();
}

std::vector<config::Diagnostic> check_resources(const config::Config& config, const p2p::Sysfs& sysfs,
                                                const std::vector<InterfaceAddress>& addresses,
                                                const std::vector<RdmaDeviceLimits>& devices) {
  return ResourceCheck(config, sysfs, addresses, devices).run();
}

}  // namespace nvmf::daemon
