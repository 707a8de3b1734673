#include "target/core/subsystem/lost_host_communication.h"

#include <algorithm>

namespace nvmf::core {

void LostHostCommunications::add(uint16_t cntlid, uint8_t uniquifier) {
  Entry entry{.cntlid = cntlid, .uniquifier = uniquifier, .count = 1};
  const auto former = std::ranges::find(entries_, cntlid, &Entry::cntlid);
  if (former != entries_.end()) {
    entry.count = former->count == UINT8_MAX ? UINT8_MAX : static_cast<uint8_t>(former->count + 1);
    entries_.erase(former);
  }
  if (entries_.size() == nvme::kMaxLostHostCommunicationEntries) entries_.erase(entries_.begin());
  entries_.push_back(entry);
}

}  // namespace nvmf::core
