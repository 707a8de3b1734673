#include "p2p/proof_conditions.h"

#include <sys/utsname.h>

#include <cstdlib>
#include <initializer_list>
#include <vector>

#include "p2p/pci.h"

#ifndef SELF_TEST_CODE
#error "CMakeLists.txt defines SELF_TEST_CODE: a hash of the sources of the self-test"
#endif

namespace nvmf::p2p {
namespace {

const std::string kPciDevices = "/sys/bus/pci/devices/";
const std::string kRdmaDevices = "/sys/class/infiniband/";

std::string boot_of(const Sysfs& sysfs) {
  std::string boot = sysfs.text("/proc/sys/kernel/random/boot_id");
  if (!boot.empty()) return boot;
  const char* const told = std::getenv("NVMF_P2P_BOOT_ID");
  return told == nullptr ? std::string() : std::string(told);
}

// Not from /proc, which need not show it.
std::string kernel() {
  utsname name{};
  if (uname(&name) != 0) return {};
  return std::string(name.release) + " " + name.version;
}

// A folder of sysfs that disappears and returns has another inode: a device that was plugged in again, a driver that
// was loaded again.
std::string instance_of(const Sysfs& sysfs, const std::string& folder) {
  return std::to_string(sysfs.inode(folder).value_or(0));
}

std::string joined(const Sysfs& sysfs, const std::string& folder, std::initializer_list<const char*> files) {
  std::string all;
  for (const char* file : files) all += (all.empty() ? "" : " ") + sysfs.text(folder + "/" + file);
  return all;
}

std::string controller_of(const Sysfs& sysfs, const std::string& pci_folder) {
  const std::vector<std::string> names = sysfs.list(pci_folder + "/nvme");
  return names.empty() ? std::string() : pci_folder + "/nvme/" + names.front();
}

// The device and the bridges above it, each with its ACS redirection.
std::string way_up(const Sysfs& sysfs, const std::string& bdf) {
  const auto device = read_pci_device(sysfs, bdf);
  if (!device) return {};
  std::string way = device->root_bus;
  for (const PciFunction& function : device->upward) way += " " + function.bdf + " ACS " + name_of(function.acs);
  return way;
}

// `whose`: "of the SSD".
void add_pci_device(const Sysfs& sysfs, const std::string& folder, const std::string& bdf, const std::string& whose,
                    ProofConditions& conditions) {
  conditions["the PCI identity " + whose] =
      joined(sysfs, folder, {"vendor", "device", "subsystem_vendor", "subsystem_device", "revision"});
  conditions["the PCI path " + whose] = way_up(sysfs, bdf);
  conditions["the IOMMU group " + whose] =
      sysfs.resolve(folder + "/iommu_group") + " " + sysfs.text(folder + "/iommu_group/type");
}

void add_ssd(const Sysfs& sysfs, const ProofSubject& subject, ProofConditions& conditions) {
  const std::string folder = kPciDevices + subject.bdf;
  const std::string controller = controller_of(sysfs, folder);
  conditions["the serial number of the SSD"] = sysfs.text(controller + "/serial");
  conditions["the model of the SSD"] = sysfs.text(controller + "/model");
  conditions["the firmware of the SSD"] = sysfs.text(controller + "/firmware_rev");
  conditions["the CMB registers of the SSD"] = joined(sysfs, controller, {"cmbsz", "cmbloc"});
  conditions["the size of the CMB"] = sysfs.text(folder + "/p2pmem/size");
  conditions["the kernel's object of the SSD"] = instance_of(sysfs, folder);
  conditions["the kernel's object of the CMB"] = instance_of(sysfs, folder + "/p2pmem");
  conditions["the kernel's object of the NVMe controller"] = instance_of(sysfs, controller);
  add_pci_device(sysfs, folder, subject.bdf, "of the SSD", conditions);
}

void add_rnic(const Sysfs& sysfs, const ProofSubject& subject, ProofConditions& conditions) {
  const std::string folder = kRdmaDevices + subject.rnic;
  conditions["the RNIC"] = subject.rnic + " port " + std::to_string(subject.port);
  conditions["the firmware of the RNIC"] = sysfs.text(folder + "/fw_ver");
  conditions["the identity of the RNIC"] = joined(sysfs, folder, {"node_guid", "hca_type", "board_id", "hw_rev"});
  conditions["the network interface of the RNIC"] = sysfs.text(folder + "/parent");
  conditions["the driver of the RNIC"] = sysfs.resolve(folder + "/device/driver");
  conditions["the kernel's object of the RNIC"] = sysfs.resolve(folder) + " " + instance_of(sysfs, folder);
  conditions["the path MTU of the RNIC"] = std::to_string(subject.active_mtu);
  const std::string device = sysfs.resolve(folder + "/device");
  const std::string bdf = device.substr(device.rfind('/') + 1);
  if (is_bdf(bdf)) add_pci_device(sysfs, kPciDevices + bdf, bdf, "of the RNIC", conditions);
}

}  // namespace

ProofConditions read_conditions(const Sysfs& sysfs, const ProofSubject& subject) {
  const std::string boot = boot_of(sysfs);
  if (boot.empty()) return {};
  ProofConditions conditions;
  conditions["the boot"] = boot;
  conditions["the kernel"] = kernel();
  conditions["the code of the self-test"] = SELF_TEST_CODE;
  conditions["the tested part of the CMB"] = std::to_string(subject.range.offset_bytes) + " " +
                                             std::to_string(subject.range.length_bytes) + " of " +
                                             std::to_string(subject.mapping_bytes) + " bytes";
  conditions["the longest transfer"] = std::to_string(subject.max_transfer_bytes);
  conditions["the SSD's devices for the self-test"] = subject.probe_paths;
  add_ssd(sysfs, subject, conditions);
  add_rnic(sysfs, subject, conditions);
  return conditions;
}

std::string difference(const ProofConditions& then, const ProofConditions& now) {
  const auto value = [](const ProofConditions& conditions, const std::string& name) {
    const auto found = conditions.find(name);
    return found == conditions.end() ? std::string("unknown") : '"' + found->second + '"';
  };
  for (const ProofConditions* const one : {&now, &then})
    for (const auto& [name, ignored] : *one)
      if (value(then, name) != value(now, name))
        return name + " was " + value(then, name) + " and is " + value(now, name);
  return {};
}

}  // namespace nvmf::p2p
