// The attacks. Each prints a line per expectation and returns how many failed.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>

#include "tests/lab/programs/host_session.h"

namespace nvmf::lab {

unsigned attack_handshake(const Where& where);
// Nothing bad: a host that sends no NQN of its own, as SPDK's spdk_nvme_perf does, reads a block of namespace 1.
unsigned attack_without_nqn(const Where& where);
// Namespace 2 must have a limit of one command a second.
unsigned attack_with_abort(const Where& where);
// Namespaces 1 and 2 must be the same blocks: 1 delays each write by 6 s, 2 does not.
unsigned attack_with_late_write(const Where& where);
// The same with two paths, of which `where` is the first; namespace 3, the same blocks again, holds what is written. It
// prints what the case has to do: «silence-N» (the first path), «release-N» (the write), «again-N» (both as before);
// the case makes a file of that name in `folder` when it is done. `also_waits`: N is 2, too, where the host does not
// ask for a reset, but waits for as long as Command Quiesce Time tells.
unsigned attack_with_late_write_on_lost_path(const Where& where, const std::string& other_address,
                                             const std::string& folder, bool also_waits);
unsigned attack_commands(const Where& where);
unsigned attack_with_fused(const Where& where);
// `count` capsules and connection requests of random bytes; the same seed does the same.
unsigned attack_garbage(const Where& where, uint64_t seed, unsigned count);
// Leaves connections in every unfinished state and waits for the target to close them.
unsigned attack_by_stalling(const Where& where);
// Connects faster than it may (the case allows one new controller per second).
unsigned attack_by_storm(const Where& where);
// Connects I/O queues until there is no room for one more.
unsigned attack_by_using_up(const Where& where);
// Sends more capsules than its queues have entries, before Connect and after.
unsigned attack_by_overrun(const Where& where);
// Sends halves of capsules, each on a connection of its own.
unsigned attack_by_halves(const Where& where);
// Keeps the control thread busy for some seconds, with admin commands and Reservation Reports of the largest size.
unsigned attack_by_flood(const Where& where);
// Connects again and again, and says nothing.
unsigned attack_by_silence(const Where& where);
// Reads from an address of its own (IPv4 literal), and takes no answer. Namespace 1 must have 256 KiB.
unsigned attack_by_taking_no_answers(const Where& where, const std::string& from);
// Nothing bad, but much of it: authenticates until it has been let in `count` times, each time on a new connection,
// with FFDHE-2048. Prints how often it was refused meanwhile.
unsigned attack_by_authenticating(const Where& where, const std::string& key_file, unsigned count);
// Nothing bad: authenticates mutually with each hash function and FFDHE-2048, with an exponent that is known, and
// prints what went over the wire, for tests of the computation. NQNs and keys are those of
// tests/unit/auth/ffdhe2048_exchange.h.
unsigned tell_exchanges(const Where& where);
// Comes back while its old controller is still there (the case allows one controller per host).
unsigned attack_by_returning(const Where& where);

// One expectation: prints it, counts it when it does not hold.
class Expectations {
 public:
  void check(bool good, const std::string& what, const std::string& instead = "") {
    std::cout << (good ? "ok   " : "FAIL ") << what << (good || instead.empty() ? "" : ": " + instead) << std::endl;
    if (!good) ++failed_;
  }
  unsigned failed() const { return failed_; }

 private:
  unsigned failed_ = 0;
};

}  // namespace nvmf::lab
