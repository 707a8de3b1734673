// Coroutines that nobody waits for, on the control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

namespace nvmf::daemon {

// Starts `task`. What it throws ends the task, is logged as a failure of `purpose` ("the reload"), and harms nothing
// else: no exception may leave a handler of the control thread.
void spawn(boost::asio::io_context& io, boost::asio::awaitable<void> task, std::string purpose);

}  // namespace nvmf::daemon
