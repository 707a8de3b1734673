// The cryptography of authentication on a thread of its own, which gives way to others. Host addresses take turns, so
// that a host waits for one piece of work of each other address at most, however much a stranger asks for. Control
// thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "target/core/subsystem/dhchap.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

class AuthenticationWorker final : public core::DhchapCrypto {
 public:
  // Of one address; more than hosts have under way that reconnect with all their queues.
  static constexpr size_t kMostWaiting = 256;

  // `answered` is called after each transaction whose work is done: hosts may have answers to get.
  AuthenticationWorker(boost::asio::io_context& io, std::function<void()> answered)
      : io_(io), answered_(std::move(answered)) {}

  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override;
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override;

 private:
  using Work = void (*)(core::DhchapTransaction& transaction) noexcept;
  struct Job {
    Work work;
    core::DhchapTransaction* transaction;
    std::function<void()> done;
  };
  bool begin(Job job);
  void work_on_next();

  boost::asio::io_context& io_;
  std::function<void()> answered_;
  std::map<std::string, std::deque<Job>> waiting_;  // by address; none is empty
  std::deque<std::string> turns_;                   // the addresses of waiting_, the next one first
  bool working_ = false;
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
