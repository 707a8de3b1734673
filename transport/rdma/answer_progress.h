// Whether the host takes what is sent to it. Looked at from time to time, at equal intervals while anything is under
// way; per command nothing is done for it but to count what has been taken.
#pragma once

#include <cstdint>

namespace nvmf::rdma {

class AnswerProgress {
 public:
  enum class Verdict : uint8_t {
    Good,
    Stalled,  // nothing was taken in `stalled_looks` looks while something was posted
    Slow,     // something that was posted `slow_looks` looks ago, and at most twice that, has not been taken
  };

  // `taken`: send queue entries that have completed, in all; it may wrap. `posted`: those that have not yet.
  Verdict look(uint32_t taken, uint32_t posted, uint32_t stalled_looks, uint32_t slow_looks) {
    if (posted == 0 || taken != seen_) looks_without_progress_ = 0;
    seen_ = taken;
    if (posted == 0 || static_cast<int32_t>(taken - awaited_) >= 0) {
      awaited_ = taken + posted;
      looks_at_awaited_ = 0;
    }
    if (posted == 0) return Verdict::Good;
    if (++looks_without_progress_ > stalled_looks) return Verdict::Stalled;
    return ++looks_at_awaited_ > slow_looks ? Verdict::Slow : Verdict::Good;
  }

 private:
  uint32_t seen_ = 0;
  uint32_t looks_without_progress_ = 0;
  uint32_t awaited_ = 0;  // `taken` when all that was posted then will have been taken
  uint32_t looks_at_awaited_ = 0;
};

}  // namespace nvmf::rdma
