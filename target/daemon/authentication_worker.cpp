#include "target/daemon/authentication_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "target/auth/dhchap_response.h"
#include "target/core/subsystem/host_network.h"
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

bool AuthenticationWorker::make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) {
  return begin({auth::make_challenge, &transaction, std::move(done)});
}

bool AuthenticationWorker::check_reply(core::DhchapTransaction& transaction, std::function<void()> done) {
  return begin({auth::check_reply, &transaction, std::move(done)});
}

AuthenticationWorker::Job AuthenticationWorker::Network::take_next() {
  const auto place = waiting.find(turns.front());
  turns.pop_front();
  std::deque<Job>& jobs = place->second;
  Job job = std::move(jobs.front());
  jobs.pop_front();
  if (jobs.empty())
    waiting.erase(place);
  else
    turns.push_back(place->first);
  return job;
}

bool AuthenticationWorker::begin(Job job) {
  const std::string& address = job.transaction->address;
  const std::string name = core::network_of(address);
  Network& network = networks_[name];
  std::deque<Job>& jobs = network.waiting[address];
  if (jobs.size() >= kMostWaiting) return false;
  if (network.turns.empty()) turns_.push_back(name);
  if (jobs.empty()) network.turns.push_back(address);
  jobs.push_back(std::move(job));
  if (!working_) work_on_next();
  return true;
}

void AuthenticationWorker::work_on_next() {
  working_ = !turns_.empty();
  if (!working_) return;
  const auto network = networks_.find(turns_.front());
  turns_.pop_front();
  Job job = network->second.take_next();
  if (network->second.turns.empty())
    networks_.erase(network);
  else
    turns_.push_back(network->first);
  const auto on_worker = [work = job.work, transaction = job.transaction] {
    give_way();
    work(*transaction);
  };
  // The next one begins first: whatever goes wrong with the answer, it does not wait for ever.
  const auto on_control = [this, done = std::move(job.done)] {
    work_on_next();
    done();
    answered_();
  };
  spawn(io_, work_on(worker_, on_worker, on_control), "authenticating a host");
}

}  // namespace nvmf::daemon
