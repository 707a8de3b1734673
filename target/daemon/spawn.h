// Coroutines on the control thread whose end no other code awaits.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

namespace nvmf::daemon {

// Starts `task`. An exception ends the task, and is logged as a failure of `purpose` ("the reload"): no exception may
// leave a handler of the control thread.
void spawn(boost::asio::io_context& io, boost::asio::awaitable<void> task, std::string purpose);

}  // namespace nvmf::daemon
