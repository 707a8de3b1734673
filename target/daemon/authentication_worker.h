// The cryptography of authentication on a thread of its own, which gives way to others: one transaction's work after
// the other, in the order in which hosts ask. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "target/core/subsystem/dhchap.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

class AuthenticationWorker final : public core::DhchapCrypto {
 public:
  // `answered` is called after each transaction whose work is done: hosts may have answers to get.
  AuthenticationWorker(boost::asio::io_context& io, std::function<void()> answered)
      : io_(io), answered_(std::move(answered)) {}

  void make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override;
  void check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override;

 private:
  using Work = void (*)(core::DhchapTransaction& transaction) noexcept;
  void begin(Work work, core::DhchapTransaction& transaction, std::function<void()> done);

  boost::asio::io_context& io_;
  std::function<void()> answered_;
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
