// Asynchronous events of one controller: NVMe Base 2.0, section 5.2. Control thread.
#pragma once

#include <array>
#include <cstdint>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

struct Queue;
struct Request;

enum class AsyncEvent : uint8_t {
  NamespaceAttributeChanged,
  AnaChanged,
  DiscoveryLogChanged,
  ReservationLogPageAvailable,
  SpareBelowThreshold,
  TemperatureThreshold,
  SubsystemReliability,
  PersistentInternalError,
  TransientInternalError,
  CrossControllerResetCompleted,
  LostHostCommunication,
};

class AsyncEvents {
 public:
  // `supported`: the bits of the Asynchronous Event Configuration feature that the host may set.
  explicit AsyncEvents(uint32_t supported) : supported_(supported) {}

  // An Asynchronous Event Request: parked, or finished at once if it cannot be parked (Asynchronous Event Request Limit
  // Exceeded; Command Aborted due to SQ Deletion after close()).
  void park(Request& request);
  // Reports the event unless the host has masked it; coalesced with one of its kind that the host has not seen yet.
  void post(AsyncEvent event);
  // Reports the SMART events of these Critical Warning bits, as far as the host has enabled them.
  void warn(uint8_t critical_warning);
  // The event has been posted, and the host has not read its log page since. Never of an event that it has masked.
  bool is_unread(AsyncEvent event) const;
  // The host has read `log_page` and does not want the event retained: its events may be reported again.
  void log_page_read(uint8_t log_page);
  // Aborts the parked request with this command identifier. False: there is none.
  bool abort(uint16_t cid);
  // Finishes all parked requests; clears the configuration and pending events.
  void reset(Status status);
  // The admin queue's connection has ended: reset() with Command Aborted due to SQ Deletion, and nothing is parked
  // again.
  void close();

  uint32_t supported() const { return supported_; }
  uint32_t configuration() const { return configuration_; }
  void configure(uint32_t configuration) { configuration_ = configuration; }

 private:
  void report();
  bool is_masked(size_t event) const;
  Request& take(uint32_t index);

  uint32_t supported_;
  uint32_t configuration_ = 0;
  uint32_t pending_ = 0;   // bit per AsyncEvent: happened, not reported
  uint32_t reported_ = 0;  // reported, its log page not read: masked, with all events of that page
  bool closed_ = false;
  uint32_t parked_count_ = 0;
  std::array<Request*, limits::kMaxAsyncEvents> parked_{};  // oldest first
};

// The connection of an admin queue ends: finishes the Async Event Requests parked on it (Command Aborted due to SQ
// Deletion), and those that arrive later, so that each is answered through respond() and no command of the queue stays
// outstanding. So is a Connect that waits (Target::wait_to_connect()). Control thread, before Target::queue_closed(),
// which does it as well. No effect on I/O queues.
void drop_parked(Queue& queue);

}  // namespace nvmf::core
