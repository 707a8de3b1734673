// The events of a subsystem, for the Persistent Event log page: NVMe Base 2.0, section 5.16.1.14. The newest events
// since the subsystem was added, which counts as its power-on, are kept in memory. Control thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "target/nvme/command.h"

namespace nvmf::core {

class Controller;
struct NamespaceOptions;

struct PersistentEvent {
  nvme_persistent_event_entry header{};
  std::vector<std::byte> data;
};

class PersistentEvents {
 public:
  static constexpr size_t kEvents = 256;

  // A host has enabled the controller, for the first time or after a reset.
  void enabled(const Controller& controller);
  void namespace_added(const NamespaceOptions& ns);
  void namespace_removed(const NamespaceOptions& ns);
  // `sqe`: a Set Features that has succeeded.
  void feature_set(const Controller& controller, const nvme::Sqe& sqe);

  const std::deque<PersistentEvent>& newest_first() const { return events_; }
  // A snapshot, which is made when a host reads it and is not kept.
  PersistentEvent health(const Controller& controller, const nvme_smart_log& health) const;
  // Since power-on.
  uint64_t age_ms() const;

 private:
  PersistentEvent make(nvme_persistent_event_types type, const Controller* controller) const;
  void add(PersistentEvent event);
  void namespace_event(uint32_t sel, const NamespaceOptions& ns);

  std::chrono::steady_clock::time_point power_on_ = std::chrono::steady_clock::now();
  std::deque<PersistentEvent> events_;
};

}  // namespace nvmf::core
