#include "p2p/nvme_inventory.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "p2p/pci.h"

namespace nvmf::p2p {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr unsigned kSizeShift = 12;    // CMBSZ.SZ
constexpr unsigned kOffsetShift = 12;  // CMBLOC.OFST, in the same units
constexpr unsigned kUnitsShift = 8;    // CMBSZ.SZU: 4 KiB times 16 to its power
constexpr unsigned kLargestUnit = 6;
constexpr uint64_t kSubmissionQueues = 1 << 0;
constexpr uint64_t kReadData = 1 << 3;
constexpr uint64_t kWriteData = 1 << 4;

constexpr uint64_t kNvmeClassCode = 0x010802;  // I/O controller; PCI Code and ID Assignment Specification, 1.2

const std::string kClass = "/sys/class/nvme/";
const std::string kPciDevices = "/sys/bus/pci/devices/";

std::optional<CmbRegisters> read_registers(const Sysfs& sysfs, const std::string& folder) {
  const std::optional<uint64_t> cmbsz = sysfs.number(folder + "/cmbsz");
  if (!cmbsz || *cmbsz == 0) return std::nullopt;
  CmbRegisters cmb;
  const auto unit = std::min<unsigned>(static_cast<unsigned>(*cmbsz >> kUnitsShift & 0xf), kLargestUnit);
  cmb.size_bytes = (*cmbsz >> kSizeShift) << (12 + 4 * unit);
  cmb.offset_bytes = (sysfs.number(folder + "/cmbloc").value_or(0) >> kOffsetShift) << (12 + 4 * unit);
  cmb.submission_queues = (*cmbsz & kSubmissionQueues) != 0;
  cmb.read_data = (*cmbsz & kReadData) != 0;
  cmb.write_data = (*cmbsz & kWriteData) != 0;
  return cmb;
}

// "nvme0c1n2" of a multipath SSD means the block device "nvme0n2".
std::string without_path(std::string name) {
  const auto path = name.find('c', 4);
  const auto number = name.find('n', 4);
  if (path != std::string::npos && number != std::string::npos && path < number) name.erase(path, number - path);
  return name;
}

NvmeNamespace read_namespace(const Sysfs& sysfs, const std::string& folder, const std::string& entry) {
  NvmeNamespace found;
  found.block = without_path(entry);
  const std::string generic = "ng" + found.block.substr(4);
  if (sysfs.exists("/sys/class/nvme-generic/" + generic)) found.generic = generic;
  found.nsid = static_cast<uint32_t>(sysfs.number(folder + "/" + entry + "/nsid").value_or(0));
  found.size_bytes = sysfs.number(folder + "/" + entry + "/size").value_or(0) * kSectorBytes;
  return found;
}

NvmeController read_controller(const Sysfs& sysfs, const std::string& name) {
  const std::string folder = kClass + name;
  NvmeController controller;
  controller.name = name;
  controller.transport = sysfs.text(folder + "/transport");
  controller.model = sysfs.text(folder + "/model");
  controller.serial = sysfs.text(folder + "/serial");
  controller.state = sysfs.text(folder + "/state");
  const std::string device = std::filesystem::path(sysfs.resolve(folder + "/device")).filename().string();
  if (is_bdf(device)) controller.bdf = device;
  for (const std::string& entry : sysfs.list(folder))
    if (entry.starts_with("nvme") && sysfs.exists((folder + "/").append(entry).append("/nsid")))
      controller.namespaces.push_back(read_namespace(sysfs, folder, entry));
  controller.cmb = read_registers(sysfs, folder);
  if (!controller.bdf.empty()) controller.peer_memory = read_peer_memory(sysfs, controller.bdf);
  return controller;
}

}  // namespace

std::vector<NvmeController> read_nvme_controllers(const Sysfs& sysfs) {
  std::vector<NvmeController> controllers;
  for (const std::string& name : sysfs.list(kClass)) controllers.push_back(read_controller(sysfs, name));
  return controllers;
}

std::vector<NvmeController> read_other_nvme_controllers(const Sysfs& sysfs) {
  const std::vector<NvmeController> own = read_nvme_controllers(sysfs);
  std::vector<NvmeController> others;
  for (const std::string& bdf : sysfs.list(kPciDevices)) {
    if (sysfs.number(kPciDevices + bdf + "/class") != kNvmeClassCode) continue;
    const std::string driver = std::filesystem::path(sysfs.resolve(kPciDevices + bdf + "/driver")).filename().string();
    if (driver == "nvme" || std::ranges::find(own, bdf, &NvmeController::bdf) != own.end()) continue;
    NvmeController other;
    other.name = other.bdf = bdf;
    other.other_driver = driver;
    others.push_back(std::move(other));
  }
  return others;
}

std::vector<std::string> devices_of_ssd(const Sysfs& sysfs, const std::string& bdf) {
  std::vector<std::string> devices;
  for (const NvmeController& controller : read_nvme_controllers(sysfs))
    if (controller.bdf == bdf)
      for (const NvmeNamespace& one : controller.namespaces)
        devices.push_back("/dev/" + (one.generic.empty() ? one.block : one.generic));
  return devices;
}

std::string ssd_of_device(const Sysfs& sysfs, const std::string& device) {
  const std::string name = std::filesystem::path(device).filename().string();
  for (const NvmeController& controller : read_nvme_controllers(sysfs))
    for (const NvmeNamespace& one : controller.namespaces)
      if (!name.empty() && (one.block == name || one.generic == name)) return controller.bdf;
  return {};
}

}  // namespace nvmf::p2p
