// Writes of state that must be durable before a host is answered. They block for as long as the disk under "state_dir"
// takes, so that the control thread does not make them itself.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

// Runs `write`, which may block, and then calls `done` with its result on the control thread. Writes are made in the
// order of the calls.
using StateWriter = std::function<void(std::function<bool()> write, std::function<void(bool)> done)>;

// At once, on the calling thread.
inline void write_at_once(const std::function<bool()>& write, const std::function<void(bool)>& done) { done(write()); }

// On `thread`, while the control thread, which runs `io`, goes on. `after`: called after each `done`.
StateWriter write_on(WorkerThread& thread, boost::asio::io_context& io, std::function<void()> after);

}  // namespace nvmf::daemon
