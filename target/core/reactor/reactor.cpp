#include "target/core/reactor/reactor.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <cstdio>
#include <future>
#include <system_error>
#include <utility>

#include "target/core/reactor/invariant.h"

namespace nvmf::core {
namespace {

// Threads that are created during its life block all signals: the control thread handles them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// With one processor for all threads, polling only delays the threads that would bring work.
bool has_one_cpu_only() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

void name_thread(unsigned index) {
  char name[16];  // the length that the kernel keeps
  std::snprintf(name, sizeof name, "nvmf-reactor-%u", index);
  pthread_setname_np(pthread_self(), name);
}

void pin_thread(unsigned cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (cpu < CPU_SETSIZE) CPU_SET(cpu, &cpus);
  if (const int error = pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus); error != 0)
    throw std::system_error(
        error, std::generic_category(),
        "cannot pin a reactor to CPU " + std::to_string(cpu) + ": check that the CPU exists and is online");
}

void ignore_record(void*, uint64_t) {}

}  // namespace

Reactor::Reactor(const ReactorOptions& options, IoEngine& engine)
    : options_(options), engine_(engine), budget_(has_one_cpu_only() ? 0 : options.poll_us) {
  engine_.watch(mailbox_.wake_fd(), ignore_record, nullptr);
}

Reactor::~Reactor() { NVMF_INVARIANT(!thread_.joinable()); }

void Reactor::add(Poller& poller) {
  pollers_.push_back(&poller);
  engine_.watch_readable(
      poller.wake_fd(), [](void* context) { return static_cast<Poller*>(context)->on_wake(); }, &poller);
}

void Reactor::remove(Poller& poller) {
  std::erase(pollers_, &poller);
  engine_.unwatch(poller.wake_fd());
}

void Reactor::start() {
  std::promise<void> started;
  std::future<void> outcome = started.get_future();
  {
    const SignalsBlocked blocked;
    thread_ = std::thread([this, started = std::move(started)]() mutable {
      try {
        enter_thread();
        started.set_value();
      } catch (...) {
        started.set_exception(std::current_exception());
        return;
      }
      run();
    });
  }
  outcome.wait();
  try {
    outcome.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

void Reactor::stop() {
  mailbox_.send(stop_message_, *this, [](Reactor& stopped) { stopped.stopping_ = true; });
  thread_.join();
}

uint64_t Reactor::cpu_ns() const {
  timespec spent{};
  if (!cpu_clock_ || clock_gettime(*cpu_clock_, &spent) != 0) return 0;
  return static_cast<uint64_t>(spent.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(spent.tv_nsec);
}

void Reactor::enter_thread() {
  name_thread(options_.index);
  if (clockid_t clock = 0; pthread_getcpuclockid(pthread_self(), &clock) == 0) cpu_clock_ = clock;
  if (options_.cpu) pin_thread(*options_.cpu);
  engine_.start();
}

}  // namespace nvmf::core
