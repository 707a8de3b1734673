// Whether the host takes what is sent to it. Looked at from time to time; nothing is done for it per command but to
// count what has been taken.
#pragma once

#include <cstdint>

namespace nvmf::rdma {

class AnswerProgress {
 public:
  // `taken`: send queue entries that have completed, in all; it may wrap. `posted`: those that have not yet.
  // True when nothing was taken for `stalled_ns` while something was posted, or when something posted `slow_ns` ago,
  // and at most twice that, has not been taken.
  bool has_stalled(uint32_t taken, uint32_t posted, uint64_t now_ns, uint64_t stalled_ns, uint64_t slow_ns) {
    if (posted == 0 || taken != seen_) progressed_ns_ = now_ns;
    seen_ = taken;
    if (posted == 0 || static_cast<int32_t>(taken - awaited_) >= 0) {
      awaited_ = taken + posted;
      awaited_since_ns_ = now_ns;
    }
    return now_ns - progressed_ns_ >= stalled_ns || now_ns - awaited_since_ns_ >= slow_ns;
  }

 private:
  uint32_t seen_ = 0;
  uint64_t progressed_ns_ = 0;
  uint32_t awaited_ = 0;  // `taken` when all that was posted then will have been taken
  uint64_t awaited_since_ns_ = 0;
};

}  // namespace nvmf::rdma
