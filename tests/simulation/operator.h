// An operator who changes the target while hosts use it, through the daemon's own code: reloads of the config, drains,
// disconnects; and who asks for its status all the time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace nvmf::simulation {

// What `status` and `connections` read, when the control thread comes to it: a fault when that takes long.
void ask_for_status(World& world);

class Operator {
 public:
  // The namespace that comes and goes, and its disk.
  static constexpr uint32_t kNsid = 2;
  static constexpr uint64_t kBlocks = 512;

  // `hosts`: NQNs of the hosts that may connect; the operator locks some of them out for a while.
  Operator(World& world, std::vector<std::string> hosts);

  // On a fiber: that many changes, each at some time; at the end everything is as it was.
  void run(unsigned changes);

 private:
  void pause(uint64_t most_ns);
  void reload(const WorldConfig& wanted);
  void add_or_remove_namespace();
  void resize();
  void limit();
  void lock_out();
  void drain();
  void disconnect();

  World& world_;
  std::vector<std::string> hosts_;
  ModelDisk& disk_;
};

}  // namespace nvmf::simulation
