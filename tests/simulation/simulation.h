// One run of the simulation: everything in it follows from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nvmf::simulation {

struct Outcome {
  std::vector<std::string> faults;  // empty: all is well
  std::string story;                // the last events, where something is not
  std::string what;                 // the run in a line: profile, hosts, what happens to them
  uint64_t commands = 0;
  uint64_t connections = 0;
};

Outcome simulate(uint64_t seed);

}  // namespace nvmf::simulation
