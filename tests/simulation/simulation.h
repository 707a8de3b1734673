// One run of the simulation: everything in it follows from the seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nvmf::simulation {

struct Settings {
  std::string profile;   // of the target's RNICs; empty: the seed chooses
  bool is_long = false;  // twice as many connections, with four times as many commands in each
};

struct Outcome {
  std::vector<std::string> faults;  // empty: all is well
  std::string story;                // the last events
  std::string what;                 // the run in a line: profile, hosts, what happens to them
  size_t profile = 0;               // place in rnic::all_profiles()
  uint64_t commands = 0;
  uint64_t connections = 0;
};

Outcome simulate(uint64_t seed, const Settings& settings = {});

}  // namespace nvmf::simulation
