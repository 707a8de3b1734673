#include "target/daemon/spawn.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

namespace nvmf::daemon {

void spawn(boost::asio::io_context& io, boost::asio::awaitable<void> task, std::string purpose) {
  boost::asio::co_spawn(io, std::move(task), [purpose = std::move(purpose)](const std::exception_ptr& failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      spdlog::error("{} failed: {}", purpose, error.what());
    } catch (...) {
      spdlog::error("{} failed", purpose);
    }
  });
}

}  // namespace nvmf::daemon
