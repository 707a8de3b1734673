// What is read from sysfs.
#include <doctest/doctest.h>

#include <fstream>

#include "machine.h"
#include "p2p/nvme_inventory.h"
#include "p2p/pci.h"
#include "p2p/rdma_inventory.h"

namespace nvmf::p2p::test {
namespace {

TEST_CASE("a machine without anything reads as empty") {
  Machine machine;
  const Sysfs sysfs = machine.sysfs();
  CHECK(read_nvme_controllers(sysfs).empty());
  CHECK(read_rdma_devices(sysfs).empty());
  CHECK_FALSE(read_pci_device(sysfs, "0000:01:00.0"));
  CHECK(read_kernel_version(sysfs).major == 0);
  CHECK(sysfs.text("/sys/nothing").empty());
  CHECK_FALSE(sysfs.number("/sys/nothing"));
  CHECK_FALSE(sysfs.may_open("/dev/nothing"));
}

TEST_CASE("kernel versions compare by number") {
  Machine machine;
  machine.kernel("6.17.0-rc3");
  const KernelVersion version = read_kernel_version(machine.sysfs());
  CHECK(version.at_least(6, 2));
  CHECK(version.at_least(6, 17));
  CHECK_FALSE(version.at_least(6, 18));
  CHECK_FALSE(version.at_least(7, 0));
}

TEST_CASE("names are listed with their numbers in order") {
  Machine machine;
  for (const char* name : {"nvme10", "nvme2", "nvme2n1", "nvme2c0n1"})
    machine.file(std::string("/sys/class/nvme/") + name + "/state", "live\n");
  CHECK(machine.sysfs().list("/sys/class/nvme") == std::vector<std::string>{"nvme2", "nvme2c0n1", "nvme2n1", "nvme10"});
}

TEST_CASE("a PCI device knows the bridges above it, and their ACS state") {
  Machine machine;
  const std::string port = machine.pci("pci0000:00", "0000:00:01.0", Machine::Acs::Quiet);
  const std::string up = machine.pci(port, "0000:01:00.0");
  const std::string down = machine.pci(up, "0000:02:03.0", Machine::Acs::Redirects);
  machine.pci(down, "0000:04:00.0", Machine::Acs::Unreadable, 1);
  const auto device = read_pci_device(machine.sysfs(), "0000:04:00.0");
  REQUIRE(device);
  CHECK(device->numa_node == 1);
  CHECK(device->vendor == 0x1b36);
  CHECK(device->class_code == 0x060400);
  CHECK(device->root_bus == "pci0000:00");
  REQUIRE(device->upward.size() == 4);
  CHECK(device->upward[0].bdf == "0000:04:00.0");
  CHECK(device->upward[0].acs == AcsRedirect::Unknown);
  CHECK(device->upward[1].bdf == "0000:02:03.0");
  CHECK(device->upward[1].acs == AcsRedirect::On);
  CHECK(device->upward[2].acs == AcsRedirect::Off);
  CHECK(device->upward[3].acs == AcsRedirect::Off);
}

TEST_CASE("a list of capabilities that runs in a circle ends") {
  Machine machine;
  machine.pci("pci0000:00", "0000:00:01.0");
  std::string config(4096, '\0');
  config[0x100] = 1;
  config[0x103] = 0x10;  // next: 100h
  machine.file("/sys/bus/pci/devices/0000:00:01.0/config", config);
  CHECK(read_pci_device(machine.sysfs(), "0000:00:01.0")->upward[0].acs == AcsRedirect::Off);
}

TEST_CASE("an SSD with its CMB and namespace") {
  Machine machine;
  machine.ssd(0, "pci0000:00", "0000:00:06.0");
  machine.cmb(0, "0000:00:06.0", 1 << 20);
  const auto ssds = read_nvme_controllers(machine.sysfs());
  REQUIRE(ssds.size() == 1);
  CHECK(ssds[0].bdf == "0000:00:06.0");
  CHECK(ssds[0].model == "Example SSD");
  REQUIRE(ssds[0].namespaces.size() == 1);
  CHECK(ssds[0].namespaces[0].block == "nvme0n1");
  CHECK(ssds[0].namespaces[0].generic == "ng0n1");
  CHECK(ssds[0].namespaces[0].nsid == 1);
  CHECK(ssds[0].namespaces[0].size_bytes == 1 << 20);
  REQUIRE(ssds[0].cmb);
  CHECK(ssds[0].cmb->size_bytes == 64 << 20);
  CHECK(ssds[0].cmb->read_data);
  REQUIRE(ssds[0].peer_memory);
  CHECK(ssds[0].peer_memory->size_bytes == 64 << 20);
  CHECK(ssds[0].peer_memory->available_bytes == 1 << 20);
  CHECK(ssds[0].peer_memory->published);
  CHECK(ssds[0].peer_memory->mappable);
  for (const char* device : {"/dev/nvme0n1", "/dev/ng0n1"})
    CHECK(ssd_of_device(machine.sysfs(), device) == "0000:00:06.0");
  for (const char* device : {"/dev/nvme1n1", "/dev/sda", "", "/tmp/image"})
    CHECK(ssd_of_device(machine.sysfs(), device).empty());
  CHECK(devices_of_ssd(machine.sysfs(), "0000:00:06.0") == std::vector<std::string>{"/dev/ng0n1"});
  CHECK(devices_of_ssd(machine.sysfs(), "0000:00:07.0").empty());
}

TEST_CASE("a namespace of a multipath SSD is known by the name it is used under") {
  Machine machine;
  machine.ssd(3, "pci0000:00", "0000:00:06.0");
  const std::string folder = "/sys/devices/pci0000:00/0000:00:06.0/nvme/nvme3";
  machine.remove(folder + "/nvme3n1");
  machine.file(folder + "/nvme3c3n1/nsid", "1\n");
  const auto ssds = read_nvme_controllers(machine.sysfs());
  REQUIRE(ssds[0].namespaces.size() == 1);
  CHECK(ssds[0].namespaces[0].block == "nvme3n1");
  CHECK(ssd_of_device(machine.sysfs(), "/dev/ng3n1") == "0000:00:06.0");
}

TEST_CASE("RNICs: a PCI one and Soft-RoCE") {
  Machine machine;
  machine.rnic("mlx5_0", "pci0000:00", "0000:00:07.0");
  machine.soft_roce("rxe0", "eth1", 1500);
  machine.port_state("rxe0", "1: DOWN");
  const auto rnics = read_rdma_devices(machine.sysfs());
  REQUIRE(rnics.size() == 2);
  CHECK(rnics[0].bdf == "0000:00:07.0");
  CHECK(rnics[0].driver == "mlx5_core");
  CHECK(rnics[0].verbs == "uverbs0");
  REQUIRE(rnics[0].ports.size() == 1);
  CHECK(rnics[0].ports[0].active);
  CHECK(rnics[0].ports[0].netdev_mtu == 9000);
  CHECK(rnics[1].software());
  CHECK(rnics[1].driver == "rdma_rxe");
  CHECK_FALSE(rnics[1].ports[0].active);
  CHECK(rnics[1].ports[0].netdev == "eth1");
}

TEST_CASE("path MTUs that fit into network packets") {
  CHECK(roce_path_mtu(9000) == 4096);
  CHECK(roce_path_mtu(4200) == 4096);
  CHECK(roce_path_mtu(4096) == 2048);
  CHECK(roce_path_mtu(1500) == 1024);
  CHECK(roce_path_mtu(0) == 0);
}

}  // namespace
}  // namespace nvmf::p2p::test
