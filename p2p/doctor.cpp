#include "p2p/doctor.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace nvmf::p2p {
namespace {

constexpr std::array<std::string_view, 3> kDriversWithOnDemandPaging = {"mlx5_core", "mlx5_ib", "rdma_rxe"};

// Drivers that can register dma-bufs instead. Only vfio-pci exports a CMB as a dma-buf, and it must be able to revoke
// the dma-buf: it refuses drivers that pin.
struct DmaBufDriver {
  std::string_view name;  // of the PCI device
  bool pins;
};
constexpr std::array<DmaBufDriver, 9> kDriversWithDmaBuf = {{{"ice", false},
                                                             {"i40e", false},
                                                             {"idpf", false},
                                                             {"irdma", false},
                                                             {"bnxt_en", true},
                                                             {"bnxt_re", true},
                                                             {"efa", true},
                                                             {"mana", true},
                                                             {"ionic", true}}};

constexpr uint32_t kSoftRoceNeedsPathMtu = 4096;
constexpr uint64_t kLeastCmbBytes = 2U << 20;  // the kernel's least size and alignment of peer memory
constexpr const char* kSysfsProvider = "the kernel's p2pmem, registered with on-demand paging";

// Collects the reasons for one pair's verdict; the worst one decides.
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

// The SSD has another driver than the kernel's nvme, or none.
void examine_other_driver(const NvmeController& ssd, Diagnosis& diagnosis) {
  const std::string& driver = *ssd.other_driver;
  const std::string device = "/sys/bus/pci/devices/" + ssd.bdf;
  const std::string bind = "echo nvme > " + device + "/driver_override; " +
                           (driver.empty() ? "" : "echo " + ssd.bdf + " > " + device + "/driver/unbind; ") + "echo " +
                           ssd.bdf + " > /sys/bus/pci/drivers_probe";
  if (driver.empty())
    return diagnosis.no(
        ssd.name + " has no driver: this target serves only SSDs that are bound to the kernel's nvme driver", bind);
  diagnosis.no(
      ssd.name + " is bound to " + driver +
          ": this target serves only SSDs that are bound to the kernel's nvme driver, because the kernel gives a "
          "process only their controller memory buffers" +
          (driver == "vfio-pci"
               ? "; vfio-pci offers controller memory buffers only as dma-bufs, which this target does not use"
               : ""),
      "stop the program that uses it (a virtual machine, another target), then " + bind);
}

// The kernel offers no peer memory of this SSD.
void examine_hidden_cmb(const NvmeController& ssd, Diagnosis& diagnosis) {
  if (ssd.other_driver) return examine_other_driver(ssd, diagnosis);
  if (!ssd.cmb)
    return diagnosis.no(
        ssd.name +
        " has no controller memory buffer, like most SSDs; its data goes through DRAM, which works with every RNIC");
  if (!ssd.cmb->read_data || !ssd.cmb->write_data)
    return diagnosis.no(ssd.name + "'s controller memory buffer does not support data of " +
                        (ssd.cmb->read_data    ? "writes"
                         : ssd.cmb->write_data ? "reads"
                                               : "reads and writes"));
  if (ssd.cmb->size_bytes < kLeastCmbBytes)
    return diagnosis.no(ssd.name + "'s controller memory buffer of " + std::to_string(ssd.cmb->size_bytes) +
                        " bytes is too small: the kernel offers only buffers of 2 MiB or more");
  if (ssd.cmb->offset_bytes % kLeastCmbBytes != 0)
    return diagnosis.no(ssd.name + "'s controller memory buffer begins " + std::to_string(ssd.cmb->offset_bytes) +
                        " bytes into its BAR: the kernel offers only buffers that are aligned to 2 MiB");
  diagnosis.no(ssd.name + " has a controller memory buffer of " + std::to_string(ssd.cmb->size_bytes) +
                   " bytes, but the kernel does not offer it",
               "use a kernel with CONFIG_PCI_P2PDMA; the kernel log has the reason: dmesg | grep -i -e p2p -e cmb");
}

void examine_ssd(const NvmeController& ssd, const std::string& user, Diagnosis& diagnosis) {
  if (!ssd.peer_memory) return examine_hidden_cmb(ssd, diagnosis);
  if (!ssd.peer_memory->published)
    return diagnosis.no(ssd.name +
                        "'s driver does not offer its controller memory buffer, because it does not support data of "
                        "both reads and writes");
  if (!ssd.peer_memory->mappable)
    return diagnosis.no("this kernel cannot give controller memory buffers to processes",
                        "install Linux 6.17 or newer");
  if (!ssd.peer_memory->permitted)
    diagnosis.no(
        user + " may not use " + ssd.name + "'s controller memory buffer",
        "run as root, or give the user's group access to /sys/bus/pci/devices/" + ssd.bdf + "/p2pmem/allocate");
  if (ssd.peer_memory->available_bytes == 0)
    diagnosis.no(
        "all of " + ssd.name + "'s controller memory buffer is in use, by a running target or by submission queues",
        "stop the other target, or boot with the kernel parameter nvme.use_cmb_sqes=0");
}

void examine_path_mtu(const RdmaDevice& rnic, const RdmaPort& port, Diagnosis& diagnosis) {
  if (!rnic.software() || port.netdev_mtu == 0 || roce_path_mtu(port.netdev_mtu) >= kSoftRoceNeedsPathMtu) return;
  diagnosis.no(
      "Soft-RoCE puts bytes into wrong places of the controller memory buffer at path MTUs below 4096, and " +
          port.netdev + "'s MTU of " + std::to_string(port.netdev_mtu) + " gives a path MTU of " +
          std::to_string(roce_path_mtu(port.netdev_mtu)),
      "ip link set dev " + port.netdev + " mtu 9000 (at least 4200), here, on the hosts and on the switches between");
}

// Why dma-buf does not replace on-demand paging; empty: the driver has neither.
std::string why_no_dma_buf(const std::string& driver) {
  const auto* const found = std::ranges::find(kDriversWithDmaBuf, driver, &DmaBufDriver::name);
  if (found == kDriversWithDmaBuf.end()) return {};
  if (found->pins)
    return "; it can register dma-bufs, but pins them, and the kernel (vfio-pci) gives dma-bufs of SSDs only to "
           "drivers that do not pin";
  return "; it can register dma-bufs, but only vfio-pci (Linux 6.19) offers controller memory buffers as dma-bufs, and "
         "this target does not use vfio-pci";
}

void examine_rnic(const RdmaDevice& rnic, const KernelVersion& kernel, Diagnosis& diagnosis) {
  if (std::ranges::find(kDriversWithOnDemandPaging, rnic.driver) == kDriversWithOnDemandPaging.end())
    diagnosis.no(rnic.name + "'s driver" + (rnic.driver.empty() ? "" : " (" + rnic.driver + ")") +
                     " has no on-demand paging, which Linux needs to let an RNIC reach controller memory buffers" +
                     why_no_dma_buf(rnic.driver),
                 "use an RNIC with on-demand paging (ConnectX-5 or newer, or Soft-RoCE to try things out)");
  else if (!kernel.at_least(6, 17))
    diagnosis.no("this kernel (" + kernel.release +
                     ") does not let RNICs reach controller memory buffers by on-demand "
                     "paging",
                 "install Linux 6.17 or newer");
  for (const RdmaPort& port : rnic.ports) examine_path_mtu(rnic, port, diagnosis);
  const auto active = std::ranges::find_if(rnic.ports, [](const RdmaPort& port) { return port.active; });
  if (active != rnic.ports.end()) return;
  const std::string interface = rnic.ports.empty() ? std::string() : rnic.ports.front().netdev;
  diagnosis.no("no port of " + rnic.name + " is active",
               "plug in the cable" + (interface.empty() ? "" : "; ip link set dev " + interface + " up"));
}

const PciDevice* pci_device(const Report& report, const std::string& bdf) {
  const auto found = std::ranges::find_if(report.pci, [&](const PciDevice& device) { return device.bdf == bdf; });
  return found != report.pci.end() ? &*found : nullptr;
}

void examine_path(const NvmeController& ssd, const RdmaDevice& rnic, const Report& report, PairReport& pair,
                  Diagnosis& diagnosis) {
  const Platform& platform = report.platform;
  if (rnic.software()) {
    pair.path = software_path();
  } else {
    const PciDevice* near = pci_device(report, ssd.bdf);
    const PciDevice* far = pci_device(report, rnic.bdf);
    if (near != nullptr && far != nullptr) pair.path = find_path(*near, *far);
  }
  if (!pair.path) return diagnosis.depends("the PCI path between SSD and RNIC could not be read");
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

PairReport examine_pair(const NvmeController& ssd, const RdmaDevice& rnic, const Report& report) {
  PairReport pair;
  pair.ssd = ssd.name;
  pair.rnic = rnic.name;
  Diagnosis diagnosis(pair);
  examine_ssd(ssd, report.user, diagnosis);
  // Without a CMB the RNIC and the path do not matter.
  if (!ssd.peer_memory) return pair;
  examine_rnic(rnic, report.kernel, diagnosis);
  examine_path(ssd, rnic, report, pair, diagnosis);
  if (pair.verdict != PairVerdict::No) pair.provider = kSysfsProvider;
  return pair;
}

std::vector<PciDevice> read_pci_devices(const Sysfs& sysfs, const Report& report) {
  std::vector<std::string> addresses;
  for (const NvmeController& ssd : report.controllers) addresses.push_back(ssd.bdf);
  for (const RdmaDevice& rnic : report.rnics) {
    const bool is_new = std::ranges::find(addresses, rnic.bdf) == addresses.end();
    if (!rnic.software() && is_new) addresses.push_back(rnic.bdf);
  }
  std::vector<PciDevice> devices;
  for (const std::string& bdf : addresses)
    if (auto device = read_pci_device(sysfs, bdf)) devices.push_back(std::move(*device));
  return devices;
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
  report.user = user_of(sysfs);
  report.platform = read_platform(sysfs);
  report.iommus = sysfs.list("/sys/class/iommu");
  report.controllers = read_nvme_controllers(sysfs);
  std::erase_if(report.controllers, [](const NvmeController& controller) { return controller.bdf.empty(); });
  std::ranges::move(read_other_nvme_controllers(sysfs), std::back_inserter(report.controllers));
  report.rnics = read_rdma_devices(sysfs);
  report.pci = read_pci_devices(sysfs, report);
  report.requirements = check_requirements(sysfs, report.kernel, report.controllers, report.rnics);
  for (const NvmeController& controller : report.controllers)
    for (const RdmaDevice& rnic : report.rnics) report.pairs.push_back(examine_pair(controller, rnic, report));
  return report;
}

}  // namespace nvmf::p2p
