// The one place where an event is made known: a line of the log, with fields where the log goes to the journal, and a
// message for the clients that follow events (event_stream.h). Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>
#include <utility>

#include "target/core/subsystem/event.h"
#include "target/daemon/event_stream.h"
#include "target/daemon/log_limit.h"

namespace nvmf::daemon {

class Events {
 public:
  explicit Events(boost::asio::io_context& io);
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  void tell(core::Event event);
  // `subsystem`: its NQN; empty: none, or several.
  void tell(core::EventKind kind, std::string message, std::string subsystem = {}) {
    tell({.kind = kind, .message = std::move(message), .subsystem = std::move(subsystem)});
  }
  void warn(core::EventKind kind, std::string message, std::string subsystem = {}) {
    tell({core::Severity::Warning, kind, std::move(message), std::move(subsystem)});
  }
  void error(core::EventKind kind, std::string message, std::string subsystem = {}) {
    tell({core::Severity::Error, kind, std::move(message), std::move(subsystem)});
  }
  // What hosts can cause as often as they like: of many warnings of one kind some are told, with the number of the
  // others (log_limit.h).
  void tell_at_most(const core::Event& event);

  EventStream& stream() { return stream_; }

 private:
  void flush();

  EventStream stream_;
  LogLimit limit_;
  boost::asio::steady_timer next_flush_;
};

}  // namespace nvmf::daemon
