#include "target/core/subsystem/cross_controller_reset.h"

#include <algorithm>

#include "target/core/datapath/limits.h"
#include "target/core/subsystem/random_mark.h"
#include "target/nvme/cross_controller_reset.h"
#include "target/nvme/types.h"

namespace nvmf::core {

void ControllerInstance::renew(uint32_t target_mark) {
  if (uniquifier == 0) uniquifier = static_cast<uint8_t>(random_mark());
  if (++uniquifier == 0) ++uniquifier;
  random_number = uint64_t{target_mark} << 32 | random_mark();
}

Status CrossControllerResets::check(uint16_t cntlid, const ControllerInstance& instance) const {
  size_t in_progress = 0;
  for (const Entry& entry : entries_) {
    if (entry.is_completed) continue;
    if (entry.cntlid == cntlid && entry.instance == instance)
      return command_specific(nvme::kCrossControllerResetInProgress).do_not_retry();
    ++in_progress;
  }
  if (in_progress == limits::kMaxCrossControllerResets)
    return command_specific(nvme::kCrossControllerResetLimitExceeded);
  if (entries_.size() == nvme::kMaxCrossControllerResetEntries)
    return command_specific(nvme::kCrossControllerResetLogPageFull);
  return kSuccess;
}

bool CrossControllerResets::complete(uint16_t cntlid, const ControllerInstance& instance) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return !entry.is_completed && entry.cntlid == cntlid && entry.instance == instance;
  });
  if (found == entries_.end()) return false;
  found->is_completed = true;
  return true;
}

void CrossControllerResets::remove_completed(size_t first, size_t end) {
  size_t next = 0;
  std::erase_if(entries_, [&](const Entry& entry) {
    const size_t index = next++;
    return entry.is_completed && index >= first && index < end;
  });
}

}  // namespace nvmf::core
