// Reads and writes files of the state directory beside the control thread, and waits for them a bounded time: a file
// system that hangs keeps no change from being made, or refused. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <stdexcept>

#include "target/daemon/patient_work.h"

namespace nvmf::daemon {

class StateFilesWorker {
 public:
  // The directory does not answer.
  struct Hangs : std::runtime_error {
    Hangs();
  };

  explicit StateFilesWorker(boost::asio::io_context& io,
                            std::chrono::milliseconds patience = std::chrono::milliseconds(8000))
      : work_(io), patience_(patience) {}

  // The directory, which did not answer, has answered after all.
  std::function<void()> on_late;

  // One call at a time. Throws what `work` throws; and Hangs when `work` takes longer than the patience:
  // then it goes on, so it must own whatever it uses. Until it is done, all other work fails at once.
  boost::asio::awaitable<void> run(std::function<void()> work);

 private:
  PatientWork work_;
  std::chrono::milliseconds patience_;
  bool hangs_ = false;
};

}  // namespace nvmf::daemon
