// Changes of what is served are made one after the other: a reload, a change through the admin API, devices that come
// and go. Control thread.
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

  // Runs `work` when the changes before are over, and throws what it throws. Once closed, refuses it.
  Change alone(std::function<Change()> work);

  // The daemon shuts down. A change under way looks at closed() where it waits long.
  void close() { closed_ = true; }
  bool closed() const { return closed_; }

 private:
  std::function<void()> after_;
  boost::asio::steady_timer over_;  // never expires: cancelled when a change is over
  bool changing_ = false;
  bool closed_ = false;
};

inline constexpr char kShutsDown[] = "the daemon shuts down";

}  // namespace nvmf::daemon
