// The config file of the world's target, which its operator writes anew.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/directory.h"

namespace nvmf::simulation {

struct WorldConfig {
  struct Namespace {
    uint32_t nsid = 1;
    std::string disk;           // the name of its file in the directory
    bool uses_cmb = false;      // of kCmbSsd
    bool requires_cmb = false;  // where it uses it
    uint32_t max_iops = 0;
    uint64_t memory_bytes = 0;  // instead of a disk: in memory that RNICs read themselves
  };
  static constexpr char kCmbSsd[] = "0000:01:00.0";

  std::vector<std::string> addresses;  // of the ports 1, 2, ...
  uint16_t service = 4420;
  std::string nqn;
  uint32_t mdts_bytes = 0;
  uint16_t max_queue_depth = 0;
  uint32_t max_new_controllers_per_s = 0;  // 0: no limit
  uint32_t max_new_controllers_per_s_per_host = 0;
  std::vector<Namespace> namespaces;
  bool ana_by_topology = false;
  std::vector<std::string> allowed_hosts;  // empty: any

  std::string text(const Directory& directory) const;
};

}  // namespace nvmf::simulation
