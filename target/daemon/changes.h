// Runs the changes of the running config one after the other: reloads, changes through the admin API, devices that
// appear and disappear. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "target/daemon/admin_actions.h"

namespace nvmf::daemon {

class Changes {
 public:
  using Change = AdminActions::Change;

  // `after`: called when a change has been made, or has failed.
  Changes(boost::asio::io_context& io, std::function<void()> after);

  // When closed: refuse, or wait until it is open again, which may never be.
  enum class WhenClosed : uint8_t { Refuse, Wait };

  // Runs `work` when earlier changes have ended, and throws what `work` throws.
  Change alone(std::function<Change()> work, WhenClosed when_closed = WhenClosed::Refuse);

  // The daemon shuts down, or makes way for another program. A running change checks closed() where it waits long.
  void close() { closed_ = true; }
  // It serves on.
  void reopen();
  bool closed() const { return closed_; }

 private:
  std::function<void()> after_;
  boost::asio::steady_timer over_;  // never expires: cancelled when a change has ended, or at reopen()
  bool changing_ = false;
  bool closed_ = false;
};

inline constexpr char kShutsDown[] = "the daemon is shutting down, or makes way for another program";

}  // namespace nvmf::daemon
