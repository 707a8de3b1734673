#include "target/daemon/authentication_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "target/auth/dhchap_response.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

// Threads have priorities of their own (setpriority(2), NOTES).
void give_way() {
  constexpr int kNice = 10;
  thread_local const int kSet = setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  static_cast<void>(kSet);
}

boost::asio::awaitable<void> work_on(WorkerThread& worker, std::function<void()> work, std::function<void()> done) {
  co_await worker.run(std::move(work));
  done();
}

}  // namespace

void AuthenticationWorker::make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) {
  begin(auth::make_challenge, transaction, std::move(done));
}

void AuthenticationWorker::check_reply(core::DhchapTransaction& transaction, std::function<void()> done) {
  begin(auth::check_reply, transaction, std::move(done));
}

void AuthenticationWorker::begin(Work work, core::DhchapTransaction& transaction, std::function<void()> done) {
  const auto on_worker = [work, &transaction] {
    give_way();
    work(transaction);
  };
  const auto on_control = [this, done = std::move(done)] {
    done();
    answered_();
  };
  spawn(io_, work_on(worker_, on_worker, on_control), "authenticating a host");
}

}  // namespace nvmf::daemon
