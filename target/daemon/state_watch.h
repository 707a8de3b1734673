// Whether the state directory takes what is written there: for the metrics, `status` and the page. Control thread.
//
// A host's change of state that cannot be saved is refused, so nothing of it is left to be tried again. What is tried
// is the directory itself, until it can be written again.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "target/daemon/state_directory.h"
#include "target/daemon/state_writer.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

// State that hosts change, and that must be saved before they are answered.
enum class HostState : uint8_t { Reservation, WriteProtection };
inline constexpr size_t kHostStates = 2;
const char* name_of(HostState state);

class StateWatch {
 public:
  using Refused = std::array<uint64_t, kHostStates>;

  // `on`: the thread that writes to the directory.
  StateWatch(boost::asio::io_context& io, StateDirectory directory, WorkerThread& on);

  // Does what `writer` does, and notes which of the changes of `state` could not be saved.
  StateWriter watch(HostState state, StateWriter writer);

  // Tries whether the directory can be written: once, and while it cannot be, again every few seconds; while it can be,
  // only whether it is there and may be written to.
  boost::asio::awaitable<void> run();
  // Once. A directory that was there and is gone is not made anew: what was kept there is lost.
  boost::asio::awaitable<void> look();

  // Why nothing can be written there, as far as known; empty: it can be.
  const std::string& fault() const { return fault_; }
  // Changes that were refused, because they could not be saved.
  const Refused& refused() const { return refused_; }

 private:
  StateDirectory directory_;
  WorkerThread& on_;
  boost::asio::steady_timer timer_;
  std::string fault_;
  bool was_there_ = false;
  Refused refused_{};
};

}  // namespace nvmf::daemon
