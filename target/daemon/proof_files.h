// The proofs of CMBs, kept in the directory "state_dir": a daemon that starts again on the machine as it was need not
// repeat a self-test of seconds while hosts wait. Any thread, one at a time.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "p2p/proof_conditions.h"
#include "p2p/self_test.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class ProofFiles {
 public:
  explicit ProofFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  struct Kept {
    std::optional<p2p::SelfTestResult> proof{};
    std::string made_at{};  // in UTC
    std::string why_not{};  // there is a proof, which may not be taken over; empty: there is none
  };
  // The proof of the pair that was made under these conditions. Without conditions there is none. Does not throw.
  Kept find(const p2p::ProofSubject& pair, const p2p::ProofConditions& now) const;
  // Replaces it. Throws std::exception when it cannot be written.
  void keep(const p2p::ProofSubject& pair, const p2p::ProofConditions& conditions,
            const p2p::SelfTestResult& proof) const;
  // Throws std::exception.
  void forget(const p2p::ProofSubject& pair) const;

  std::string path_of(const p2p::ProofSubject& pair) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
