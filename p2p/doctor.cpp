#include "p2p/doctor.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace nvmf::p2p {
namespace {

constexpr std::array<std::string_view, 3> kDriversWithOnDemandPaging = {"mlx5_core", "mlx5_ib", "rdma_rxe"};
constexpr uint32_t kSoftRoceNeedsPathMtu = 4096;

// Gathers what one pair's verdict is made of; the worst word counts.
class Diagnosis {
 public:
  explicit Diagnosis(PairReport& pair) : pair_(pair) { pair_.verdict = PairVerdict::Likely; }

  void say(std::string reason) { pair_.reasons.push_back(std::move(reason)); }
  void no(std::string reason, std::string remedy = {}) {
    worsen(PairVerdict::No, std::move(reason), std::move(remedy));
  }
  void depends(std::string reason) { worsen(PairVerdict::Depends, std::move(reason), {}); }
  void advise(const std::vector<std::string>& remedies) {
    pair_.remedies.insert(pair_.remedies.end(), remedies.begin(), remedies.end());
  }

 private:
  void worsen(PairVerdict verdict, std::string reason, std::string remedy) {
    pair_.verdict = std::max(pair_.verdict, verdict);
    say(std::move(reason));
    if (!remedy.empty()) pair_.remedies.push_back(std::move(remedy));
  }

  PairReport& pair_;
};

// The kernel offers no peer memory of this SSD.
void examine_hidden_cmb(const NvmeController& ssd, Diagnosis& diagnosis) {
  if (!ssd.cmb)
    return diagnosis.no(ssd.name +
                        " has no controller memory buffer, as most SSDs; its data goes through DRAM, which "
                        "works with every RNIC");
  if (!ssd.cmb->read_data || !ssd.cmb->write_data)
    return diagnosis.no(ssd.name + "'s controller memory buffer takes no data of " +
                        (ssd.cmb->read_data    ? "writes"
                         : ssd.cmb->write_data ? "reads"
                                               : "reads and writes"));
  diagnosis.no(
      ssd.name + " has a controller memory buffer of " + std::to_string(ssd.cmb->size_bytes) +
          " bytes, but the kernel does not offer it: it is smaller than 2 MiB or not aligned to it, or the kernel was "
          "built without CONFIG_PCI_P2PDMA",
      "look at the kernel's log: dmesg | grep -i -e p2p -e cmb");
}

void examine_ssd(const NvmeController& ssd, Diagnosis& diagnosis) {
  if (!ssd.peer_memory) return examine_hidden_cmb(ssd, diagnosis);
  if (!ssd.peer_memory->published)
    return diagnosis.no(ssd.name +
                        "'s driver has not published its controller memory buffer: it does not take data of "
                        "both reads and writes");
  if (!ssd.peer_memory->mappable)
    return diagnosis.no("this kernel does not lend controller memory buffers to processes",
                        "install Linux 6.17 or newer");
  if (!ssd.peer_memory->permitted)
    diagnosis.no(
        "this user may not use " + ssd.name + "'s controller memory buffer",
        "run as root, or give the user's group access to /sys/bus/pci/devices/" + ssd.bdf + "/p2pmem/allocate");
  if (ssd.peer_memory->available_bytes == 0)
    diagnosis.no("all of " + ssd.name +
                     "'s controller memory buffer is taken, by a running target or by submission "
                     "queues",
                 "stop the other user, or load the nvme module with use_cmb_sqes=0");
}

void examine_path_mtu(const RdmaDevice& rnic, const RdmaPort& port, Diagnosis& diagnosis) {
  if (!rnic.software() || port.netdev_mtu == 0 || roce_path_mtu(port.netdev_mtu) >= kSoftRoceNeedsPathMtu) return;
  diagnosis.no("Soft-RoCE carries bytes to wrong places of the controller memory buffer at path MTUs below 4096, and " +
                   port.netdev + "'s MTU of " + std::to_string(port.netdev_mtu) + " gives " +
                   std::to_string(roce_path_mtu(port.netdev_mtu)),
               "ip link set dev " + port.netdev + " mtu 9000 (at least 4200), here, on the hosts and between");
}

void examine_rnic(const RdmaDevice& rnic, const KernelVersion& kernel, Diagnosis& diagnosis) {
  if (std::find(kDriversWithOnDemandPaging.begin(), kDriversWithOnDemandPaging.end(), rnic.driver) ==
      kDriversWithOnDemandPaging.end())
    diagnosis.no(rnic.name + "'s driver" + (rnic.driver.empty() ? "" : " (" + rnic.driver + ")") +
                     " has no on-demand paging, with which Linux lets RNICs reach controller memory buffers",
                 "use an RNIC that has it (ConnectX-5 or newer, or Soft-RoCE to try things out)");
  else if (!kernel.at_least(6, 17))
    diagnosis.no("this kernel (" + kernel.release +
                     ") does not let RNICs reach controller memory buffers by on-demand "
                     "paging",
                 "install Linux 6.17 or newer");
  for (const RdmaPort& port : rnic.ports) examine_path_mtu(rnic, port, diagnosis);
  const auto active =
      std::find_if(rnic.ports.begin(), rnic.ports.end(), [](const RdmaPort& port) { return port.active; });
  if (active != rnic.ports.end()) return;
  const std::string interface = rnic.ports.empty() ? std::string() : rnic.ports.front().netdev;
  diagnosis.no("no port of " + rnic.name + " is active",
               "plug in the cable" + (interface.empty() ? "" : "; ip link set dev " + interface + " up"));
}

void examine_path(const Sysfs& sysfs, const NvmeController& ssd, const RdmaDevice& rnic, const Platform& platform,
                  PairReport& pair, Diagnosis& diagnosis) {
  if (rnic.software()) {
    pair.path = software_path();
  } else {
    const auto near = read_pci_device(sysfs, ssd.bdf);
    const auto far = read_pci_device(sysfs, rnic.bdf);
    if (near && far) pair.path = find_path(*near, *far);
  }
  if (!pair.path) return diagnosis.depends("the PCI path between both could not be read");
  switch (judge(*pair.path, platform)) {
    case PathVerdict::Good:
      diagnosis.say(explain(*pair.path, platform));
      break;
    case PathVerdict::Depends:
      diagnosis.depends(explain(*pair.path, platform));
      break;
    case PathVerdict::Bad:
      diagnosis.no(explain(*pair.path, platform));
      break;
  }
  diagnosis.advise(remedies(*pair.path, platform));
}

PairReport examine_pair(const Sysfs& sysfs, const NvmeController& ssd, const RdmaDevice& rnic, const Report& report) {
  PairReport pair;
  pair.ssd = ssd.name;
  pair.rnic = rnic.name;
  Diagnosis diagnosis(pair);
  examine_ssd(ssd, diagnosis);
  // Without a CMB nothing else about the pair matters.
  if (!ssd.peer_memory) return pair;
  examine_rnic(rnic, report.kernel, diagnosis);
  examine_path(sysfs, ssd, rnic, report.platform, pair, diagnosis);
  return pair;
}

}  // namespace

const char* name_of(PairVerdict verdict) {
  switch (verdict) {
    case PairVerdict::Works:
      return "works";
    case PairVerdict::Likely:
      return "should work";
    case PairVerdict::Depends:
      return "may work";
    case PairVerdict::No:
      break;
  }
  return "no";
}

Report diagnose(const Sysfs& sysfs) {
  Report report;
  report.kernel = read_kernel_version(sysfs);
  report.platform = read_platform(sysfs);
  report.controllers = read_nvme_controllers(sysfs);
  std::erase_if(report.controllers, [](const NvmeController& controller) { return controller.bdf.empty(); });
  report.rnics = read_rdma_devices(sysfs);
  report.requirements = check_requirements(sysfs, report.kernel, report.controllers, report.rnics);
  for (const NvmeController& controller : report.controllers)
    for (const RdmaDevice& rnic : report.rnics) report.pairs.push_back(examine_pair(sysfs, controller, rnic, report));
  return report;
}

}  // namespace nvmf::p2p
