// Which share of the buffer pools a host's queues count to (core/datapath/buffer_pool.h): one for each host address
// with connections, while there are enough; further addresses use one together with others. Control thread only.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "target/core/datapath/limits.h"

namespace nvmf::rdma {

class HostShares {
 public:
  // A connection of this address begins: the number of its share, below limits::kBufferShares.
  uint16_t take(const std::string& address);
  // A connection that has begun ends.
  void give_back(const std::string& address);

 private:
  struct Host {
    uint16_t share = 0;
    uint32_t connections = 0;
  };

  uint16_t least_used() const;

  std::unordered_map<std::string, Host> hosts_;
  std::vector<uint32_t> addresses_ = std::vector<uint32_t>(core::limits::kBufferShares);  // of each share
};

}  // namespace nvmf::rdma
