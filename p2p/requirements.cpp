#include "p2p/requirements.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace nvmf::p2p {
namespace {

constexpr uint64_t kMayLockMemory = uint64_t{1} << 14;  // CAP_IPC_LOCK

const std::string kConnectionManager = "/dev/infiniband/rdma_cm";

// The value after "NAME" in a file of lines.
std::string value_of(const Sysfs& sysfs, const std::string& path, const std::string& name) {
  std::istringstream lines(sysfs.content(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    const auto start = line.find_first_not_of(" \t", name.size());
    return start == std::string::npos ? std::string() : line.substr(start, line.find_first_of(" \t", start) - start);
  }
  return {};
}

bool may_lock_memory(const Sysfs& sysfs) {
  const std::string capabilities = value_of(sysfs, "/proc/self/status", "CapEff:");
  return (std::strtoull(capabilities.c_str(), nullptr, 16) & kMayLockMemory) != 0;
}

Requirement kernel_requirement(const KernelVersion& kernel, unsigned major, unsigned minor, const std::string& what) {
  const std::string wanted = std::to_string(major) + "." + std::to_string(minor);
  return {kernel.at_least(major, minor), "Linux " + wanted + " or newer " + what,
          "install a newer kernel than " + kernel.release + " (on Debian: from backports)"};
}

Requirement rdma_device(const std::vector<RdmaDevice>& rnics) {
  return {!rnics.empty(), "an RDMA device is present",
          "install rdma-core and load the driver of the RNIC (mlx5_ib for ConnectX); to try things out without one: "
          "modprobe rdma_rxe && rdma link add rxe0 type rxe netdev INTERFACE"};
}

Requirement connection_manager(const Sysfs& sysfs) {
  if (!sysfs.exists(kConnectionManager))
    return {false, "the RDMA connection manager is loaded (" + kConnectionManager + ")", "modprobe rdma_ucm"};
  return {sysfs.may_open(kConnectionManager),
          "this user may use the RDMA connection manager (" + kConnectionManager + ")",
          "run as root, or give the user's group access to /dev/infiniband (udev rule)"};
}

Requirement verbs_files(const Sysfs& sysfs, const std::vector<RdmaDevice>& rnics) {
  const bool loaded = std::ranges::all_of(rnics, [](const RdmaDevice& rnic) { return !rnic.verbs.empty(); });
  if (!loaded) return {false, "RDMA devices can be used from user space", "modprobe ib_uverbs"};
  const auto refused = std::ranges::find_if(
      rnics, [&](const RdmaDevice& rnic) { return !sysfs.may_open("/dev/infiniband/" + rnic.verbs); });
  return {refused == rnics.end(), "this user may use the RDMA devices",
          "run as root, or give the user's group access to /dev/infiniband (udev rule)"};
}

Requirement ssd(const std::vector<NvmeController>& controllers) {
  const bool found = std::ranges::any_of(controllers, [](const NvmeController& controller) {
    return !controller.bdf.empty() && !controller.other_driver;
  });
  return {found, "an NVMe SSD with the kernel's nvme driver is present",
          "modprobe nvme; SSDs that are bound to another driver are listed below, with the commands that bind them to "
          "nvme"};
}

Requirement namespace_files(const Sysfs& sysfs, const std::vector<NvmeController>& controllers) {
  for (const NvmeController& controller : controllers)
    for (const NvmeNamespace& one : controller.namespaces)
      if (!controller.bdf.empty() && !one.generic.empty() && !sysfs.may_open("/dev/" + one.generic))
        return {false, "this user may use the SSDs' namespaces",
                "run as root, or give the user's group access to /dev/" + one.generic + " (udev rule)"};
  return {true, "this user may use the SSDs' namespaces", {}};
}

Requirement locked_memory(const Sysfs& sysfs) {
  const bool enough =
      value_of(sysfs, "/proc/self/limits", "Max locked memory") == "unlimited" || may_lock_memory(sysfs);
  return {enough, "this process may lock memory without limit",
          "ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit"};
}

}  // namespace

std::vector<Requirement> check_requirements(const Sysfs& sysfs, const KernelVersion& kernel,
                                            const std::vector<NvmeController>& controllers,
                                            const std::vector<RdmaDevice>& rnics) {
  std::vector<Requirement> requirements = {
      kernel_requirement(kernel, 6, 2, "can give controller memory buffers to processes"),
      kernel_requirement(kernel, 6, 17, "lets RNICs reach controller memory buffers by on-demand paging"),
      rdma_device(rnics), connection_manager(sysfs)};
  if (!rnics.empty()) requirements.push_back(verbs_files(sysfs, rnics));
  requirements.push_back(ssd(controllers));
  if (requirements.back().met) requirements.push_back(namespace_files(sysfs, controllers));
  requirements.push_back(locked_memory(sysfs));
  return requirements;
}

}  // namespace nvmf::p2p
