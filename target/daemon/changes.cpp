#include "target/daemon/changes.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

namespace nvmf::daemon {

Changes::Changes(boost::asio::io_context& io, std::function<void()> after)
    : after_(std::move(after)), over_(io, boost::asio::steady_timer::time_point::max()) {}

void Changes::reopen() {
  closed_ = false;
  over_.cancel();
}

Changes::Change Changes::alone(std::function<Change()> work, WhenClosed when_closed) {
  while (changing_ || (closed_ && when_closed == WhenClosed::Wait)) {
    boost::system::error_code ignored;
    co_await over_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  ConfigChange change;
  if (closed_) {
    change.verdict = ConfigChange::Verdict::Unavailable;
    change.reasons.emplace_back(kShutsDown);
    co_return change;
  }
  changing_ = true;
  std::exception_ptr failure;
  try {
    change = co_await work();
  } catch (...) {
    failure = std::current_exception();
  }
  after_();
  changing_ = false;
  over_.cancel();
  if (failure) std::rethrow_exception(failure);
  co_return change;
}

}  // namespace nvmf::daemon
