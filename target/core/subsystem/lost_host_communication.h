// Lost Host Communication (TP8028; cross_controller_reset.h in target/nvme says what is known of it): of which other
// controllers the target has lost the same host, so that the host hears of it by a path that works. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {

// What a controller keeps of the other ones, until its host has read it.
class LostHostCommunications {
 public:
  struct Entry {
    uint16_t cntlid;
    uint8_t uniquifier;  // CIU of the last loss
    uint8_t count;       // losses by controllers with this identifier, 255 for more
  };

  void add(uint16_t cntlid, uint8_t uniquifier);
  // The oldest loss first. The newest nvme::kMaxLostHostCommunicationEntries.
  const std::vector<Entry>& entries() const { return entries_; }
  void clear() { entries_.clear(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace nvmf::core
