// Lets the control thread run work on every reactor's own thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <vector>

#include "target/core/reactor/mailbox.h"
#include "target/core/reactor/reactor.h"

namespace nvmf::daemon {

// Runs `work` on each reactor, with the reactor's index; completes when all have finished. The reactors run. `control`:
// the mailbox of the control thread, on which the coroutine runs.
boost::asio::awaitable<void> on_reactors(boost::asio::io_context& io, core::Mailbox& control,
                                         std::vector<core::Reactor*> reactors,
                                         std::function<void(size_t reactor)> work);

}  // namespace nvmf::daemon
