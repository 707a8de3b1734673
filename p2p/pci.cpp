#include "p2p/pci.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <sstream>
#include <string_view>

namespace nvmf::p2p {
namespace {

constexpr size_t kExtendedStart = 0x100;  // start of the extended capabilities, which only root may read
constexpr uint32_t kAcsCapability = 0x000d;
constexpr size_t kAcsControl = 6;  // bytes into the capability
constexpr uint16_t kRequestRedirect = 1 << 2;
constexpr uint16_t kCompletionRedirect = 1 << 3;
constexpr uint16_t kEgressControl = 1 << 5;
constexpr int kMostCapabilities = 960 / 4;  // a longer list has a loop

uint32_t little_endian(std::string_view config, size_t offset, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i)
    value |= static_cast<uint32_t>(static_cast<unsigned char>(config[offset + i])) << (8 * i);
  return value;
}

AcsRedirect read_acs(const Sysfs& sysfs, const std::string& bdf) {
  const std::string config = sysfs.content("/sys/bus/pci/devices/" + bdf + "/config");
  // A conventional PCI function has 256 bytes and no Access Control Services; without root only the first 64 can be
  // read.
  if (config.size() < kExtendedStart) return AcsRedirect::Unknown;
  size_t offset = kExtendedStart;
  for (int i = 0; i < kMostCapabilities && offset >= kExtendedStart && offset + 8 <= config.size(); ++i) {
    const uint32_t header = little_endian(config, offset, 4);
    if ((header & 0xffff) == kAcsCapability) {
      const uint32_t control = little_endian(config, offset + kAcsControl, 2);
      return (control & (kRequestRedirect | kCompletionRedirect | kEgressControl)) != 0 ? AcsRedirect::On
                                                                                        : AcsRedirect::Off;
    }
    offset = header >> 20;
  }
  return AcsRedirect::Off;
}

// The kernel knows a host bridge by the function 00.0 of its root bus.
void read_host_bridge(const Sysfs& sysfs, const std::string& real, PciDevice& device) {
  constexpr std::string_view kRoot = "/sys/devices/pci";
  constexpr size_t kBusName = std::string_view("0000:00").size();
  if (!real.starts_with(kRoot)) return;
  const std::string folder = "/sys/bus/pci/devices/" + real.substr(kRoot.size(), kBusName) + ":00.0";
  device.host_bridge_vendor = static_cast<uint16_t>(sysfs.number(folder + "/vendor").value_or(0));
  device.host_bridge_device = static_cast<uint16_t>(sysfs.number(folder + "/device").value_or(0));
}

}  // namespace

const char* name_of(AcsRedirect acs) {
  switch (acs) {
    case AcsRedirect::On:
      return "on";
    case AcsRedirect::Off:
      return "off";
    case AcsRedirect::Unknown:
      break;
  }
  return "unknown";
}

bool is_bdf(const std::string& name) {
  constexpr std::string_view kShape = "xxxx:xx:xx.x";
  return name.size() == kShape.size() && std::equal(name.begin(), name.end(), kShape.begin(), [](char c, char shape) {
           return shape == 'x' ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c == shape;
         });
}

std::optional<PciDevice> read_pci_device(const Sysfs& sysfs, const std::string& bdf) {
  const std::string folder = "/sys/bus/pci/devices/" + bdf;
  const std::string real = sysfs.resolve(folder);
  if (real.empty()) return std::nullopt;
  PciDevice device;
  device.bdf = bdf;
  device.vendor = static_cast<uint16_t>(sysfs.number(folder + "/vendor").value_or(0));
  device.device = static_cast<uint16_t>(sysfs.number(folder + "/device").value_or(0));
  device.class_code = static_cast<uint32_t>(sysfs.number(folder + "/class").value_or(0));
  device.numa_node = static_cast<int>(sysfs.number(folder + "/numa_node").value_or(static_cast<uint64_t>(-1)));
  device.driver = std::filesystem::path(sysfs.resolve(folder + "/driver")).filename().string();
  read_host_bridge(sysfs, real, device);
  std::istringstream parts(real);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.starts_with("pci")) device.root_bus = part;
    if (is_bdf(part)) device.upward.insert(device.upward.begin(), {part, read_acs(sysfs, part)});
  }
  return device;
}

}  // namespace nvmf::p2p
