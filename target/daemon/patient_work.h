// Work that may block for long, or for ever: a device that is slow, busy or dead. Each piece has a thread of its own;
// the coroutine that wants it waits for a bounded time. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

namespace nvmf::daemon {

class PatientWork {
 public:
  static constexpr size_t kMostAtOnce = 128;  // threads that are waited for; further work begins when one is done

  explicit PatientWork(boost::asio::io_context& io);
  // Waits for no thread: those that still run end with the process.
  ~PatientWork();
  PatientWork(const PatientWork&) = delete;
  PatientWork& operator=(const PatientWork&) = delete;

  // Runs `work` on a thread. True when it is done; throws what it throws. False after `patience`: then it goes on,
  // what it throws is lost, and `late` is called on the control thread when it is done. So whatever `work` uses must
  // live as long as `work` itself does.
  boost::asio::awaitable<bool> run(std::function<void()> work, std::chrono::milliseconds patience,
                                   std::function<void()> late = {});

 private:
  struct Gate;
  struct Job;

  void done_waiting();

  boost::asio::io_context& io_;
  std::shared_ptr<Gate> gate_;  // to the control thread, which the threads share
  size_t running_ = 0;
  std::deque<boost::asio::steady_timer*> queue_;  // who waits for a thread to be done
};

}  // namespace nvmf::daemon
