// One run of the simulation: everything in it follows from the seed.
//
// What of the target runs: transport, core, peer memory's pools and policy, and of the daemon ports, reload, storage
// and what they need. What does not, or is a model's:
// - The daemon's threads: control thread and reactors take steps in turn, nothing runs at the same time. What worker
//   threads do is done in steps, too; the destruction of queue pairs takes time where a profile says so.
// - The processor's time: a step takes the same time whatever is done in it. Only busy_control_thread_test.cpp charges
//   for calls.
// - The HTTP API, metrics, mDNS, saving of the config, upgrade and start-up: `status` is what the API asks of the
//   control thread.
// - The backends: a disk ends commands in any order, late, or with errors, and hangs for up to 3 s; a CMB is memory of
//   this process, and its self-test finds what the seed has decided. io_uring, block devices, NVMe passthrough and DAX
//   have their own tests.
// - Zoned namespaces, reservations beyond reports, Cross-Controller Reset, persistent state: unit and protocol tests.
// - What the model RNIC does not model: tests/rnic/fabric.h.
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
