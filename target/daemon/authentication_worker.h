// The cryptography of authentication on a thread of its own, which gives way to others. The networks of hosts
// (core/subsystem/host_network.h) take turns, and in each network the addresses, so that a host waits for one piece of
// work of each other network and, of its own, of each other address at most, however much a stranger asks for. Control
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
  // Work that waits, of one network.
  struct Network {
    Job take_next();
    std::map<std::string, std::deque<Job>> waiting;  // by address; none is empty
    std::deque<std::string> turns;                   // the addresses of waiting, the next one first
  };
  bool begin(Job job);
  void work_on_next();

  boost::asio::io_context& io_;
  std::function<void()> answered_;
  std::map<std::string, Network> networks_;  // in which work waits
  std::deque<std::string> turns_;            // the names of networks_, the next one first
  bool working_ = false;
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
