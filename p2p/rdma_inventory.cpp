#include "p2p/rdma_inventory.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "p2p/pci.h"

namespace nvmf::p2p {
namespace {

// The bytes that Soft-RoCE and the RoCE drivers reserve for headers: at most 96.
constexpr uint32_t kRoceHeaderBytes = 96;

const std::string kClass = "/sys/class/infiniband/";

std::string last_part(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// In the order of the GID table, whose first entry is the device's own interface.
std::vector<std::string> netdevs_of_port(const Sysfs& sysfs, const std::string& folder) {
  const std::string ndevs = folder + "/gid_attrs/ndevs/";
  std::vector<std::string> names;
  for (const std::string& index : sysfs.list(ndevs)) {
    std::string name = sysfs.text(ndevs + index);
    const bool is_new = std::ranges::find(names, name) == names.end();
    if (!name.empty() && is_new) names.push_back(std::move(name));
  }
  return names;
}

RdmaPort read_port(const Sysfs& sysfs, const std::string& folder, const std::string& number) {
  RdmaPort port;
  port.number = static_cast<unsigned>(std::atoi(number.c_str()));
  const std::string state = sysfs.text(folder + "/state");  // "4: ACTIVE"
  port.state = state.substr(state.find(' ') + 1);
  port.active = port.state == "ACTIVE";
  port.ethernet = sysfs.text(folder + "/link_layer") == "Ethernet";
  port.netdevs = netdevs_of_port(sysfs, folder);
  return port;
}

std::string software_driver(const Sysfs& sysfs, const std::string& folder) {
  if (sysfs.exists(folder + "/parent")) return "rdma_rxe";
  return sysfs.text(folder + "/node_type").starts_with("4") ? "siw" : "";
}

std::string verbs_of(const Sysfs& sysfs, const std::string& name) {
  for (const std::string& entry : sysfs.list("/sys/class/infiniband_verbs"))
    if (sysfs.text("/sys/class/infiniband_verbs/" + entry + "/ibdev") == name) return entry;
  return {};
}

RdmaDevice read_device(const Sysfs& sysfs, const std::string& name) {
  const std::string folder = kClass + name;
  RdmaDevice device;
  device.name = name;
  const std::string parent = last_part(sysfs.resolve(folder + "/device"));
  if (is_bdf(parent)) device.bdf = parent;
  device.driver =
      device.software() ? software_driver(sysfs, folder) : last_part(sysfs.resolve(folder + "/device/driver"));
  device.verbs = verbs_of(sysfs, name);
  const std::string ports = folder + "/ports/";
  for (const std::string& number : sysfs.list(ports)) {
    RdmaPort port = read_port(sysfs, ports + number, number);
    if (port.netdevs.empty() && device.software()) port.netdevs.push_back(sysfs.text(folder + "/parent"));
    if (!port.netdevs.empty()) port.netdev = port.netdevs.front();
    port.netdev_mtu = static_cast<uint32_t>(sysfs.number("/sys/class/net/" + port.netdev + "/mtu").value_or(0));
    device.ports.push_back(port);
  }
  return device;
}

}  // namespace

std::vector<RdmaDevice> read_rdma_devices(const Sysfs& sysfs) {
  std::vector<RdmaDevice> devices;
  for (const std::string& name : sysfs.list(kClass)) devices.push_back(read_device(sysfs, name));
  return devices;
}

uint32_t roce_path_mtu(uint32_t netdev_mtu) {
  for (uint32_t mtu = 4096; mtu >= 256; mtu /= 2)
    if (netdev_mtu >= mtu + kRoceHeaderBytes) return mtu;
  return 0;
}

}  // namespace nvmf::p2p
