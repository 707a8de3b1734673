// PCI devices and the bridges above them, as sysfs shows them. Reading never throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "p2p/sysfs.h"

namespace nvmf::p2p {

// Whether a function's Access Control Services redirect requests between its neighbours up to the root complex (P2P
// Request Redirect, P2P Completion Redirect or P2P Egress Control is on). PCI Express Base Specification, 7.7.11.
enum class AcsRedirect : uint8_t {
  Unknown,  // only root may read that part of the configuration space
  Off,      // or the function has no such services
  On,
};

// "on", "off" or "unknown".
const char* name_of(AcsRedirect acs);

struct PciFunction {
  std::string bdf;  // "0000:03:00.0"
  AcsRedirect acs = AcsRedirect::Unknown;
};

struct PciDevice {
  std::string bdf;
  uint16_t vendor = 0;
  uint16_t device = 0;
  uint32_t class_code = 0;          // 24 bits
  int numa_node = -1;               // -1: unknown, or the machine has one
  std::string driver;               // empty: none
  std::string root_bus;             // "pci0000:00"
  uint16_t host_bridge_vendor = 0;  // of the first function on the root bus; 0: unknown
  uint16_t host_bridge_device = 0;
  std::vector<PciFunction> upward;  // the device itself, then the bridges up to the root port
};

// None when there is no such device.
std::optional<PciDevice> read_pci_device(const Sysfs& sysfs, const std::string& bdf);

// Whether `name` reads like a PCI address with its domain.
bool is_bdf(const std::string& name);

}  // namespace nvmf::p2p
