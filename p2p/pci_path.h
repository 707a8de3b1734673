// The path between an SSD and an RNIC on PCI Express, whether Linux allows data on it, and what would improve it.
// Control plane; pure functions except read_platform().
//
// The rules are those of the kernel's peer-to-peer DMA: two devices below one bridge communicate directly, unless a
// function on the path redirects such requests upward (Access Control Services); everything else goes through the root
// complex, which the kernel allows only on processors known to forward it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "p2p/pci.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

// Whether the kernel allows peer-to-peer DMA through this machine's root complex.
struct Platform {
  enum class RootComplex : uint8_t {
    Allowed,  // AMD Zen and later
    Listed,   // Intel: server parts on the kernel's list are allowed, some of them within one host bridge only
    Unknown,
  };
  RootComplex root_complex = RootComplex::Unknown;
  std::string processor;  // model name
};
Platform read_platform(const Sysfs& sysfs);

enum class PathKind : uint8_t {
  SharedBridge,  // direct: a switch forwards the data
  Redirected,    // a shared bridge, but ACS sends the data up through the root complex
  RootComplex,   // no shared bridge
  NotPci,        // the RNIC is software: the CPU copies data to and from the CMB
};

// What the kernel's list says about the host bridges at both ends of a path. Only host bridges of Intel are on the
// list.
enum class HostBridges : uint8_t {
  Unknown,    // sysfs does not show one of them
  Listed,     // data may go from one to the other
  WithinOne,  // data may go up and down within one of them only
  NotListed,  // data may not go through
};

struct PciPath {
  PathKind kind = PathKind::NotPci;
  std::string shared_bridge;             // SharedBridge, Redirected
  std::vector<std::string> redirecting;  // functions with ACS redirection on the path, in order
  std::vector<std::string> unknown_acs;  // functions whose ACS could not be read
  unsigned distance = 0;                 // bridges between them, both ways counted
  bool same_root_bus = false;            // RootComplex: one host bridge
  bool across_sockets = false;           // their NUMA nodes differ
  HostBridges host_bridges = HostBridges::Unknown;
  std::string unlisted;  // NotListed: the host bridge, "8086:6f00"
};

PciPath find_path(const PciDevice& ssd, const PciDevice& rnic);
PciPath software_path();

enum class PathVerdict : uint8_t { Good, Depends, Bad };
PathVerdict judge(const PciPath& path, const Platform& platform);
// One sentence.
std::string explain(const PciPath& path, const Platform& platform);
// What would improve the path, best first; empty when it is good.
std::vector<std::string> remedies(const PciPath& path, const Platform& platform);

}  // namespace nvmf::p2p
