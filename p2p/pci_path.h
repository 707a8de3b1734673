// How far an SSD and an RNIC are apart on PCI Express, what Linux says to data between them, and what would make it
// better. Control plane; pure but for read_platform().
//
// The rules are those of the kernel's peer-to-peer DMA: two devices below one bridge talk directly, unless a function
// on the way redirects such requests upward (Access Control Services); everything else goes through the root complex,
// which the kernel allows only on processors known to forward it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "p2p/pci.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

// What the kernel thinks of peer-to-peer DMA through this machine's root complex.
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
  SharedBridge,  // direct: data turns round in a switch
  Redirected,    // a shared bridge, but ACS sends the data up through the root complex
  RootComplex,   // no shared bridge
  NotPci,        // the RNIC is software: the CPU copies out of and into the CMB
};

// What the kernel's list says of the host bridges at both ends of a path. Only Intel's are looked up there.
enum class HostBridges : uint8_t {
  Unknown,    // one is not seen in sysfs
  Listed,     // data may go from one to the other
  WithinOne,  // data may go up and down within one of them only
  NotListed,  // data may not go through
};

struct PciPath {
  PathKind kind = PathKind::NotPci;
  std::string shared_bridge;             // SharedBridge, Redirected
  std::vector<std::string> redirecting;  // functions with ACS redirection on the way, in order
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
// What would make it better, best first; empty when nothing has to.
std::vector<std::string> remedies(const PciPath& path, const Platform& platform);

}  // namespace nvmf::p2p
