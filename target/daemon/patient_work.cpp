#include "target/daemon/patient_work.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace nvmf::daemon {

using boost::asio::steady_timer;

// Closed when the control thread's executor is about to go.
struct PatientWork::Gate {
  std::mutex mutex;
  boost::asio::io_context* io;
};

// The control thread's, but for `work` and `failure`, which are the thread's until it is done.
struct PatientWork::Job {
  std::function<void()> work;
  std::exception_ptr failure;
  bool done = false;
  steady_timer* waiting = nullptr;  // null: nobody waits any more
  std::function<void()> late;
};

PatientWork::PatientWork(boost::asio::io_context& io) : io_(io), gate_(std::make_shared<Gate>()) { gate_->io = &io; }

PatientWork::~PatientWork() {
  const std::lock_guard lock(gate_->mutex);
  gate_->io = nullptr;
}

boost::asio::awaitable<bool> PatientWork::run(std::function<void()> work, std::chrono::milliseconds patience,
                                              std::function<void()> late) {
  boost::system::error_code cancelled;
  if (running_ == kMostAtOnce) {
    steady_timer turn(io_, steady_timer::time_point::max());
    queue_.push_back(&turn);
    co_await turn.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  } else {
    ++running_;
  }
  const auto job = std::make_shared<Job>();
  job->work = std::move(work);
  steady_timer over(io_, patience);
  job->waiting = &over;
  try {
    std::thread([gate = gate_, job] {
      try {
        job->work();
      } catch (...) {
        job->failure = std::current_exception();
      }
      job->work = {};
      const std::lock_guard lock(gate->mutex);
      if (gate->io == nullptr) return;
      boost::asio::post(*gate->io, [job] {
        job->done = true;
        if (job->waiting != nullptr) job->waiting->cancel();
        if (job->late) job->late();
      });
    }).detach();
  } catch (...) {
    done_waiting();
    throw;
  }
  co_await over.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  job->waiting = nullptr;
  done_waiting();
  if (!job->done) {
    job->late = std::move(late);
    co_return false;
  }
  if (job->failure) std::rethrow_exception(job->failure);
  co_return true;
}

// Hands the place of the work to who waits longest.
void PatientWork::done_waiting() {
  if (queue_.empty()) {
    --running_;
    return;
  }
  queue_.front()->cancel();
  queue_.pop_front();
}

}  // namespace nvmf::daemon
