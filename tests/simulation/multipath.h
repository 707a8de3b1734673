// A host with two paths to the same namespace, each through a port of its own: a command whose path ends without an
// answer is sent again on the other one. What it reads is held against its block history.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/block_history.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {

class Multipath {
 public:
  // Of a world with two ports. `address`: the host's; outlives it.
  Multipath(World& world, uint32_t number, uint64_t first_block, uint64_t blocks,
            const char* address = World::kHostAddress);

  // Two fibers of the host: one does I/O, the other one sets up paths that have ended.
  void run(unsigned commands);
  void keep_paths();
  uint64_t completed() const { return completed_; }
  // Commands that were sent again.
  uint64_t retried() const { return retried_; }

 private:
  struct Path {
    std::unique_ptr<Host> host;
    bool is_up = false;
  };
  struct Command {
    uint64_t number = 0;
    bool writes = false;
    uint64_t slba = 0;
    uint32_t blocks = 0;
    uint64_t begun_ns = 0;
    uint64_t sent_ns = 0;  // the last time
    size_t path = 0;
    uint16_t cid = 0;
    BlockHistory::Write write{};
  };

  HostOptions options_of(size_t path) const;
  Path* path_with_room();
  void begin();
  void send(Command command);
  void collect();
  void take(const Command& command, HostQueue& queue);
  void again(const Command& command);
  void fault(const std::string& what);

  World& world_;
  const uint32_t number_;
  const char* const address_;
  BlockHistory history_;
  std::array<Path, 2> paths_;
  std::vector<Command> under_way_;
  std::vector<Command> waiting_;  // for a path
  uint64_t numbers_ = 0;
  uint64_t completed_ = 0;
  uint64_t retried_ = 0;
  bool is_over_ = false;
};

}  // namespace nvmf::simulation
