// The traffic of hosts by NQN: the counters of their I/O queues, present and past, so that a host's values only grow.
// Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "target/core/datapath/io_counters.h"

namespace nvmf::core {

class HostTraffic {
 public:
  // A queue of `hostnqn` begins to count. `counted` must live until end(), after which it is not written any more.
  void begin(const std::string& hostnqn, const TrafficCounters& counted);
  // No effect when the queue has not begun.
  void end(const TrafficCounters& counted);

  // The traffic of every host with queues, and of the last limits::kMaxAbsentHosts hosts that have left; by ascending
  // NQN.
  void visit(const std::function<void(const std::string& hostnqn, const TrafficCounters& total)>& visitor) const;

 private:
  struct Host {
    std::vector<const TrafficCounters*> queues;
    std::unique_ptr<TrafficCounters> past = std::make_unique<TrafficCounters>();  // of ended queues
    uint64_t left = 0;                                                            // the order in which hosts left
  };

  void forget_who_left_first();

  std::map<std::string, Host> hosts_;
  uint64_t departures_ = 0;
};

}  // namespace nvmf::core
