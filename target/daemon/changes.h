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

  // Runs `work` when earlier changes have ended, and throws what `work` throws. When closed, refuses it.
  Change alone(std::function<Change()> work);

  // The daemon shuts down, or makes way for another program. A running change checks closed() where it waits long.
  void close() { closed_ = true; }
  // It serves on.
  void reopen() { closed_ = false; }
  bool closed() const { return closed_; }

 private:
  std::function<void()> after_;
  boost::asio::steady_timer over_;  // never expires: cancelled when a change has ended
  bool changing_ = false;
  bool closed_ = false;
};

inline constexpr char kShutsDown[] = "the daemon is shutting down";

}  // namespace nvmf::daemon
