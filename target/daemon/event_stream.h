// The last events, for clients that follow them: server-sent events (HTML standard, section 9.2). All clients read from
// one ring, so that a client costs no memory of its own; one that is so slow that the ring laps it is cut. Control
// thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "target/core/subsystem/event.h"

namespace nvmf::daemon {

class EventStream {
 public:
  static constexpr size_t kRing = 1'024;              // events that are kept
  static constexpr size_t kMostMessageBytes = 2'048;  // of an event; longer ones are cut off
  static constexpr size_t kMostEventsPerPart = 64;
  // A comment goes to a client that has received nothing for so long: then it is known whether the client is there.
  static constexpr std::chrono::seconds kHeartbeat{15};

  // One client's place.
  struct Reader {
    uint64_t next = 0;     // number of the event that it receives next
    bool resumes = false;  // it goes on after an event that it has received
    bool lost = false;     // it asked for events that are no longer there, and is to be told
    bool begun = false;    // it has received a part
    bool over = false;
  };

  // `start`: tells the events of this run of the daemon from those of others.
  explicit EventStream(std::string start) : start_(std::move(start)) {}

  void add(const core::Event& event);

  // A client that has received the event with the id `last_event_id` before goes on after it; one that wants what is
  // `past`, and one whose id is unknown, begins with the oldest event that is kept, any other with the next event.
  Reader reader(const std::optional<std::string>& last_event_id, bool past) const;
  // The next part of the stream, perhaps after a while; empty: that was all.
  boost::asio::awaitable<std::string> next(Reader& reader);

 private:
  uint64_t end() const { return first_ + ring_.size(); }
  std::string id_of(uint64_t number) const { return start_ + '-' + std::to_string(number); }
  std::string note(const char* kind, const std::string& message) const;
  std::string collect(Reader& reader) const;

  std::string start_;
  std::deque<std::string> ring_;                  // events as clients receive them
  uint64_t first_ = 1;                            // number of the ring's first event
  std::set<boost::asio::steady_timer*> waiting_;  // of clients that have received everything
};

}  // namespace nvmf::daemon
