// Cross-Controller Reset: NVMe Base 2.3, sections 5.2.12.3.1 and 5.4.3. A host that has lost the path to a controller
// asks another one, by another path, to end it, and hears when nothing that it has sent to the lost one can change the
// medium any more: then it may send its commands again. What a controller keeps of the resets that its host has asked
// it for. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "target/core/datapath/status.h"

namespace nvmf::core {

// Tells apart controllers that have the same identifier one after the other, the lives of one that is enabled several
// times, and the controllers of several targets that serve one subsystem, whose identifiers may meet.
struct ControllerInstance {
  uint8_t uniquifier = 0;      // CIU: never 0, once it was renewed
  uint64_t random_number = 0;  // CIRN: the upper half is Target::mark(), the lower half is random

  // Another life begins: CSTS.RDY is set.
  void renew(uint32_t target_mark);
  // The target with this mark has made it. Only that one knows whether its commands have ended.
  bool is_of(uint32_t target_mark) const { return random_number >> 32 == target_mark; }
  friend bool operator==(const ControllerInstance&, const ControllerInstance&) = default;
};

class CrossControllerResets {
 public:
  struct Entry {
    uint16_t cntlid;  // of the controller that is reset, the impacted one
    ControllerInstance instance;
    bool initiated = true;  // by the host's request; false: its end had begun otherwise
    bool is_completed = false;
  };

  // Whether one more may begin: success, or the status that says why not.
  Status check(uint16_t cntlid, const ControllerInstance& instance) const;
  void begin(uint16_t cntlid, const ControllerInstance& instance, bool initiated) {
    entries_.push_back({cntlid, instance, initiated});
  }
  // The controller has been reset. False: this one was not asked for that.
  bool complete(uint16_t cntlid, const ControllerInstance& instance);

  // Those in progress, and those that have ended until their host removes them. Oldest first.
  const std::vector<Entry>& entries() const { return entries_; }
  // Of the entries [first, end), those that have ended.
  void remove_completed(size_t first, size_t end);

 private:
  std::vector<Entry> entries_;
};

}  // namespace nvmf::core
