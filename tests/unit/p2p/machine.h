// A machine's /sys, /proc and /dev as files below a temporary folder, laid out and linked as the kernel does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "p2p/sysfs.h"
#include "tests/unit/scratch.h"

namespace nvmf::p2p::test {

class Machine {
 public:
  Sysfs sysfs() const { return Sysfs(root_); }

  void file(const std::string& path, const std::string& content) {
    std::filesystem::create_directories((root_ / path.substr(1)).parent_path());
    std::ofstream(root_ / path.substr(1), std::ios::binary) << content;
  }
  void remove(const std::string& path) { std::filesystem::remove_all(root_ / path.substr(1)); }
  // A relative link, as all of the kernel's are.
  void link(const std::string& path, const std::string& target) {
    const std::filesystem::path at = root_ / path.substr(1);
    std::filesystem::create_directories(at.parent_path());
    std::filesystem::create_symlink((root_ / target.substr(1)).lexically_relative(at.parent_path()), at);
  }

  // The device of this very machine.
  void device(const std::string& path) {
    std::filesystem::create_directories((root_ / path.substr(1)).parent_path());
    std::filesystem::create_symlink(path, root_ / path.substr(1));
  }

  // A kernel that has all of it, run by root on an AMD processor.
  void healthy() {
    file("/proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n");
    processor("AuthenticAMD", 25, "AMD EPYC 9354");
    file("/proc/self/status", "Name:\tnvmf-p2p\nCapEff:\t000001ffffffffff\n");
    file("/proc/self/limits", "Max locked memory         8388608              8388608              bytes     \n");
    file("/dev/infiniband/rdma_cm", "");
  }
  void kernel(const std::string& release) { file("/proc/sys/kernel/osrelease", release + "\n"); }
  void processor(const std::string& vendor, int family, const std::string& name) {
    file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: " + vendor + "\ncpu family\t: " + std::to_string(family) +
                              "\nmodel name\t: " + name + "\n\nprocessor\t: 1\n");
  }

  enum class Acs : uint8_t { None, Quiet, Redirects, Unreadable };

  // `way`: root bus and the bridges above, "pci0000:00/0000:00:01.0".
  std::string pci(const std::string& way, const std::string& bdf, Acs acs = Acs::None, int numa_node = -1) {
    const std::string folder = "/sys/devices/" + way + "/" + bdf;
    file(folder + "/vendor", "0x1b36\n");
    file(folder + "/device", "0x0010\n");
    file(folder + "/class", "0x060400\n");  // a bridge, unless somebody makes it something else
    file(folder + "/numa_node", std::to_string(numa_node) + "\n");
    file(folder + "/config", config_space(acs));
    link("/sys/bus/pci/devices/" + bdf, folder);
    return way + "/" + bdf;
  }

  // The function by which the kernel knows the host bridge of a root bus, "pci0000:00": vendor and device as sysfs has
  // them.
  void host_bridge(const std::string& root_bus, const std::string& vendor, const std::string& device) {
    const std::string bdf = root_bus.substr(3) + ":00.0";
    const std::string folder = "/sys/devices/" + root_bus + "/" + bdf;
    file(folder + "/vendor", vendor + "\n");
    file(folder + "/device", device + "\n");
    link("/sys/bus/pci/devices/" + bdf, folder);
  }

  // An SSD with one namespace. `number` N gives nvmeN, nvmeNn1 and ngNn1.
  void ssd(int number, const std::string& way, const std::string& bdf, int numa_node = -1) {
    const std::string name = numbered("nvme", number);
    const std::string pci_folder = "/sys/devices/" + pci(way, bdf, Acs::None, numa_node);
    const std::string folder = pci_folder + "/nvme/" + name;
    file(pci_folder + "/class", "0x010802\n");
    file(folder + "/transport", "pcie\n");
    file(folder + "/model", "Example SSD                             \n");
    file(folder + "/serial", numbered("S", number) + "                  \n");
    file(folder + "/state", "live\n");
    link(folder + "/device", pci_folder);
    link("/sys/class/nvme/" + name, folder);
    const std::string generic = numbered("ng", number) + "n1";
    file(folder + "/" + name + "n1/nsid", "1\n");
    file(folder + "/" + name + "n1/size", "2048\n");
    file(folder + "/" + generic + "/dev", "242:0\n");
    link("/sys/class/nvme-generic/" + generic, folder + "/" + generic);
    file("/dev/" + generic, "");
  }

  // An SSD that the kernel's nvme driver does not have. `driver` empty: none has it.
  void other_ssd(const std::string& way, const std::string& bdf, const std::string& driver) {
    const std::string folder = "/sys/devices/" + pci(way, bdf);
    file(folder + "/class", "0x010802\n");
    if (driver.empty()) return;
    file("/sys/bus/pci/drivers/" + driver + "/bind", "");
    link(folder + "/driver", "/sys/bus/pci/drivers/" + driver);
  }

  static constexpr const char* kUsualCmbsz = "0x0004021d\n";  // 64 MiB; SQS, LISTS, RDS, WDS
  // The registers that the driver shows, and, when the kernel offers it, the peer memory.
  void cmb(int number, const std::string& bdf, uint64_t available = 63 << 20, bool published = true) {
    file("/sys/class/nvme/" + numbered("nvme", number) + "/cmbsz", kUsualCmbsz);
    const std::string folder = "/sys/bus/pci/devices/" + bdf + "/p2pmem/";
    file(folder + "size", std::to_string(64 << 20) + "\n");
    file(folder + "available", std::to_string(available) + "\n");
    file(folder + "published", published ? "1\n" : "0\n");
    file(folder + "allocate", "");
  }

  void rnic(const std::string& name, const std::string& way, const std::string& bdf,
            const std::string& driver = "mlx5_core", int numa_node = -1) {
    const std::string pci_folder = "/sys/devices/" + pci(way, bdf, Acs::None, numa_node);
    file("/sys/bus/pci/drivers/" + driver + "/bind", "");
    link(pci_folder + "/driver", "/sys/bus/pci/drivers/" + driver);
    const std::string folder = pci_folder + "/infiniband/" + name;
    link_device(name, folder, "eth0", 9000);
    link(folder + "/device", pci_folder);
  }
  void soft_roce(const std::string& name, const std::string& netdev, int mtu) {
    const std::string folder = "/sys/devices/virtual/infiniband/" + name;
    link_device(name, folder, netdev, mtu);
    file(folder + "/parent", netdev + "\n");
  }
  void port_state(const std::string& name, const std::string& state) {
    file("/sys/class/infiniband/" + name + "/ports/1/state", state + "\n");
  }

 private:
  static std::string numbered(std::string name, int number) { return name.append(std::to_string(number)); }

  void link_device(const std::string& name, const std::string& folder, const std::string& netdev, int mtu) {
    file(folder + "/node_type", "1: CA\n");
    file(folder + "/ports/1/state", "4: ACTIVE\n");
    file(folder + "/ports/1/link_layer", "Ethernet\n");
    file(folder + "/ports/1/gid_attrs/ndevs/0", netdev + "\n");
    link("/sys/class/infiniband/" + name, folder);
    file("/sys/class/net/" + netdev + "/mtu", std::to_string(mtu) + "\n");
    const std::string verbs = numbered("uverbs", rnics_++);
    file("/sys/class/infiniband_verbs/" + verbs + "/ibdev", name + "\n");
    file("/dev/infiniband/" + verbs, "");
  }

  // 4096 bytes with two extended capabilities, the second of them ACS; 64 bytes are what others than root may read.
  static std::string config_space(Acs acs) {
    if (acs == Acs::Unreadable) return std::string(64, '\0');
    std::string config(4096, '\0');
    const auto put = [&](size_t offset, uint32_t value) {
      for (size_t i = 0; i < 4; ++i) config[offset + i] = static_cast<char>(value >> (8 * i));
    };
    put(0x100, 0x14820001);  // AER, next at 148h
    if (acs != Acs::None) put(0x148, 0x0001000d);
    if (acs != Acs::None) put(0x14c, acs == Acs::Redirects ? 0x001d005f : 0x0001005f);  // control in the upper half
    return config;
  }

  Scratch scratch_;
  const std::filesystem::path root_ = scratch_.path();
  int rnics_ = 0;
};

}  // namespace nvmf::p2p::test
