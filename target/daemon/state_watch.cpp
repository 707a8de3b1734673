#include "target/daemon/state_watch.h"

#include <spdlog/spdlog.h>

#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <utility>

namespace nvmf::daemon {
namespace {

constexpr std::chrono::seconds kInterval{5};

}  // namespace

const char* name_of(HostState state) { return state == HostState::Reservation ? "reservation" : "write_protection"; }

StateWatch::StateWatch(boost::asio::io_context& io, StateDirectory directory, WorkerThread& on)
    : directory_(std::move(directory)), on_(on), timer_(io) {}

StateWriter StateWatch::watch(HostState state, StateWriter writer) {
  return [this, state, writer = std::move(writer)](std::function<bool()> write, std::function<void(bool)> done) {
    writer(std::move(write), [this, state, done = std::move(done)](bool written) {
      if (!written) {
        ++refused_[static_cast<size_t>(state)];
        fault_ = "a change of the state of a namespace could not be saved; the log says why";
      }
      done(written);
    });
  };
}

boost::asio::awaitable<void> StateWatch::run() {
  co_await look();
  for (;;) {
    timer_.expires_after(kInterval);
    co_await timer_.async_wait(boost::asio::use_awaitable);
    co_await look();
  }
}

boost::asio::awaitable<void> StateWatch::look() {
  const bool writes = !was_there_ || !fault_.empty();
  std::string fault;
  const std::function<void()> work = [&] {
    try {
      if (was_there_) directory_.require_writable();
      if (writes) directory_.try_to_write();
    } catch (const std::exception& error) {
      fault = error.what();
    }
  };
  co_await on_.run(work);
  if (fault.empty() && !fault_.empty()) spdlog::info("the state directory {} can be written again", directory_.path());
  if (!fault.empty() && fault_.empty() && was_there_)
    spdlog::error(
        "the state directory cannot be used any more: {}; reservations and write protection that hosts ask for are "
        "refused where they must be saved",
        fault);
  was_there_ = was_there_ || fault.empty();
  fault_ = std::move(fault);
}

}  // namespace nvmf::daemon
