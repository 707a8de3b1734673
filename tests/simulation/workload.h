// An honest host's life: it connects, reads, writes and zeroes its own blocks, flushes, keeps its controller alive,
// leaves or vanishes, comes again. What it gets to see is held against its block history, and how long it waits against
// a bound.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "tests/simulation/admin_lane.h"
#include "tests/simulation/block_history.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {

struct WorkloadOptions {
  uint32_t number = 0;  // of the host
  HostOptions host;
  unsigned connections = 3;
  unsigned commands = 60;  // in each
  uint32_t nsid = World::kNsid;
  bool namespace_stays = true;  // false: the operator adds and removes it
  bool administers = false;     // sends admin commands beside
  // While it is true the host goes on after these connections, at leisure, and comes again and again.
  std::function<bool()> goes_on{};
  // Where nothing disturbs them, a command, a Keep Alive and a whole set-up must be over by then. 0: no bound, because
  // the operator limits the namespace, or removes it.
  uint64_t bound_ns = 5'000'000'000;
};

class Workload {
 public:
  Workload(World& world, const WorkloadOptions& options, uint64_t first_block, uint64_t blocks);

  // On the host's fiber.
  void run();
  uint64_t completed() const { return completed_; }
  uint64_t sent() const { return numbers_; }

 private:
  enum class Kind : uint8_t { Read, Write, WriteZeroes, Flush };
  struct Transfer {
    uint16_t cid;
    uint64_t number;
    uint64_t sent_ns;
    Kind kind;
    BlockHistory::Write write;
    bool may_be_aborted;
  };
  struct Lane {
    HostQueue* queue;
    std::deque<Transfer> under_way;
  };

  bool is_to_go_on() const { return options_.goes_on && options_.goes_on(); }
  bool connect(Host& host);
  void transfer(Host& host, bool at_leisure);
  bool is_missing_target(const std::vector<Lane>& lanes) const;
  void administer(std::vector<Lane>& lanes, AdminLane& admin) const;
  Kind some_kind() const;
  void send(Lane& lane, const AdminLane& admin);
  uint16_t send(HostQueue& queue, Transfer& transfer, uint64_t slba, uint32_t blocks);
  void collect(Lane& lane);
  void end(Lane& lane, const Transfer& transfer);
  bool may_fail(const Transfer& transfer, int status) const;
  void fault(const std::string& what);

  World& world_;
  WorkloadOptions options_;
  BlockHistory history_;
  uint64_t numbers_ = 0;
  uint64_t completed_ = 0;
};

}  // namespace nvmf::simulation
