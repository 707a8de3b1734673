#include "p2p/requirements.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include "p2p/user.h"

namespace nvmf::p2p {
namespace {

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

// Of the user of Sysfs::judge_as(), else of this process.
uint64_t capabilities_of(const Sysfs& sysfs) {
  if (sysfs.who()) return sysfs.who()->capabilities;
  return std::strtoull(value_of(sysfs, "/proc/self/status", "CapEff:").c_str(), nullptr, 16);
}

// How the user comes to open the file: by the file's group, where that may.
std::string remedy_to_open(const Sysfs& sysfs, const std::string& path, const std::string& otherwise) {
  constexpr uint32_t kGroupReadsAndWrites = 060;
  const auto rights = sysfs.rights(path);
  if (!sysfs.who() || !rights || (rights->mode & kGroupReadsAndWrites) != kGroupReadsAndWrites)
    return "run as root, or give the user's group access to " + otherwise + " (udev rule)";
  const std::string group = name_of_group(rights->gid);
  return "usermod -aG " + group + " " + sysfs.who()->name + " (" + path + " belongs to the group " + group +
         (group == "disk" ? ", whose members can read and write every disk" : "") + ")";
}

Requirement kernel_requirement(const KernelVersion& kernel, unsigned major, unsigned minor, const std::string& what) {
  const std::string wanted = std::to_string(major) + "." + std::to_string(minor);
  return {kernel.at_least(major, minor), "Linux " + wanted + " or newer " + what,
          "install a newer kernel than " + kernel.release + " (on Debian: from backports)"};
}

Requirement rdma_device(const std::vector<RdmaDevice>& rnics) {
  return {!rnics.empty(), "an RNIC is present",
          "install rdma-core and load the driver of the RNIC (mlx5_ib for ConnectX); to try things out without one: "
          "modprobe rdma_rxe && rdma link add rxe0 type rxe netdev INTERFACE"};
}

Requirement connection_manager(const Sysfs& sysfs) {
  if (!sysfs.exists(kConnectionManager))
    return {false, "the RDMA connection manager is loaded (" + kConnectionManager + ")", "modprobe rdma_ucm"};
  return {sysfs.may_open(kConnectionManager),
          user_of(sysfs) + " may use the RDMA connection manager (" + kConnectionManager + ")",
          remedy_to_open(sysfs, kConnectionManager, "/dev/infiniband")};
}

Requirement verbs_files(const Sysfs& sysfs, const std::vector<RdmaDevice>& rnics) {
  const bool loaded = std::ranges::all_of(rnics, [](const RdmaDevice& rnic) { return !rnic.verbs.empty(); });
  if (!loaded) return {false, "RNICs can be used from user space", "modprobe ib_uverbs"};
  const auto refused = std::ranges::find_if(
      rnics, [&](const RdmaDevice& rnic) { return !sysfs.may_open("/dev/infiniband/" + rnic.verbs); });
  const std::string file = refused == rnics.end() ? std::string() : "/dev/infiniband/" + refused->verbs;
  return {refused == rnics.end(), user_of(sysfs) + " may use the RNICs",
          remedy_to_open(sysfs, file, "/dev/infiniband")};
}

// PCI drivers whose RNICs have no shared receive queues in rdma-core: ice and i40e are those of irdma's E810 and X722.
constexpr std::array kDriversWithoutSharedReceiveQueues{"efa", "erdma", "i40e", "ice", "ionic", "mana"};

Requirement shared_receive_queues(const std::vector<RdmaDevice>& rnics) {
  std::string without;
  for (const RdmaDevice& rnic : rnics)
    if (std::ranges::find(kDriversWithoutSharedReceiveQueues, rnic.driver) != kDriversWithoutSharedReceiveQueues.end())
      without += (without.empty() ? "" : ", ") + rnic.name + " (" + rnic.driver + ")";
  return {without.empty(), "the RNICs have shared receive queues" + (without.empty() ? "" : ", but not " + without),
          "serve other RNICs: the config's README names the families that nvmf-p2p can use"};
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
        return {false, user_of(sysfs) + " may use the SSDs' namespaces",
                remedy_to_open(sysfs, "/dev/" + one.generic, "/dev/" + one.generic)};
  return {true, user_of(sysfs) + " may use the SSDs' namespaces", {}};
}

// Until Linux 6.1 nvme_uring_cmd_io() refuses everybody else; since then whoever may open the namespace's device may
// read and write it.
Requirement passthrough(const Sysfs& sysfs, const KernelVersion& kernel) {
  return {kernel.at_least(6, 2) || (capabilities_of(sysfs) & kMayAdminister) != 0,
          user_of(sysfs) + " may send commands to SSDs (NVMe passthrough)",
          "install Linux 6.2 or newer; Linux " + kernel.release +
              " allows NVMe passthrough only with CAP_SYS_ADMIN (in a systemd unit AmbientCapabilities=CAP_SYS_ADMIN "
              "and CapabilityBoundingSet=CAP_SYS_ADMIN)"};
}

bool has_no_memory_limit(const Sysfs& sysfs) {
  if (sysfs.who()) return sysfs.who()->locks_without_limit;
  return value_of(sysfs, "/proc/self/limits", "Max locked memory") == "unlimited";
}

Requirement locked_memory(const Sysfs& sysfs) {
  const bool enough = has_no_memory_limit(sysfs) || (capabilities_of(sysfs) & kMayLockMemory) != 0;
  if (!sysfs.who())
    return {enough, "this process may lock memory without limit",
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit"};
  if (!sysfs.who()->limit_from.empty())
    return {enough, user_of(sysfs) + " may lock memory without limit in the service",
            "LimitMEMLOCK=infinity in a drop-in of " + sysfs.who()->limit_from};
  return {enough, user_of(sysfs) + " may lock memory without limit",
          "no nvmf-p2p.service runs as " + sysfs.who()->name + ", so the limit is unknown: su " + sysfs.who()->name +
              " -s /bin/sh -c 'ulimit -l' shows that of a login; LimitMEMLOCK=infinity in a systemd unit"};
}

}  // namespace

std::string user_of(const Sysfs& sysfs) { return sysfs.who() ? "user " + sysfs.who()->name : "this user"; }

std::vector<Requirement> check_requirements(const Sysfs& sysfs, const KernelVersion& kernel,
                                            const std::vector<NvmeController>& controllers,
                                            const std::vector<RdmaDevice>& rnics) {
  std::vector<Requirement> requirements = {
      kernel_requirement(kernel, 6, 2, "can give controller memory buffers to processes"),
      kernel_requirement(kernel, 6, 17, "lets RNICs reach controller memory buffers by on-demand paging"),
      rdma_device(rnics), connection_manager(sysfs)};
  if (!rnics.empty()) {
    requirements.push_back(verbs_files(sysfs, rnics));
    requirements.push_back(shared_receive_queues(rnics));
  }
  requirements.push_back(ssd(controllers));
  if (requirements.back().met) {
    requirements.push_back(namespace_files(sysfs, controllers));
    requirements.push_back(passthrough(sysfs, kernel));
  }
  requirements.push_back(locked_memory(sysfs));
  return requirements;
}

}  // namespace nvmf::p2p
