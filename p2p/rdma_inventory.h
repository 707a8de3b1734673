// The RNICs of this machine, from sysfs. Reading never throws.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "p2p/sysfs.h"

namespace nvmf::p2p {

struct RdmaPort {
  unsigned number = 1;
  bool active = false;
  std::string state;                 // "ACTIVE", "DOWN", ...
  bool ethernet = false;             // RoCE or iWARP, else InfiniBand
  std::string netdev;                // its network interface; empty: none yet
  std::vector<std::string> netdevs;  // all network interfaces of the port, VLANs and bonds included
  uint32_t netdev_mtu = 0;           // bytes; 0: unknown
};

struct RdmaDevice {
  std::string name;    // "mlx5_0", "rxe0"
  std::string driver;  // "mlx5_core", "rdma_rxe", ...; empty: unknown
  std::string bdf;     // PCI address; empty: software
  std::string verbs;   // "uverbs0"; empty: ib_uverbs is not loaded
  std::vector<RdmaPort> ports;

  bool software() const { return bdf.empty(); }
};

std::vector<RdmaDevice> read_rdma_devices(const Sysfs& sysfs);

// The largest path MTU for which RoCE packets fit the MTU of a network interface, bytes; 0: none.
uint32_t roce_path_mtu(uint32_t netdev_mtu);

}  // namespace nvmf::p2p
