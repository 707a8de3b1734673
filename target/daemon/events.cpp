#include "target/daemon/events.h"

#include <fmt/format.h>

#include <chrono>

#include "target/daemon/log.h"

namespace nvmf::daemon {
namespace {

// Different after each start.
std::string start_of_this_run() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{:x}", std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
}

}  // namespace

Events::Events(boost::asio::io_context& io)
    : stream_(start_of_this_run()), limit_([this](const core::Event& event) { tell(event); }), next_flush_(io) {}

void Events::tell(core::Event event) {
  log(event);
  stream_.add(event);
}

// A timer runs only after a recent warning.
void Events::tell_at_most(const core::Event& event) {
  limit_.add(event, LogLimit::Clock::now());
  if (LogLimit::limits(event) && next_flush_.expiry() <= LogLimit::Clock::now()) flush();
}

void Events::flush() {
  const auto next = limit_.flush(LogLimit::Clock::now());
  if (!next) return;
  next_flush_.expires_at(*next);
  next_flush_.async_wait([this](const boost::system::error_code& error) {
    if (!error) flush();
  });
}

}  // namespace nvmf::daemon
