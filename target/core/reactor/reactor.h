// A reactor is a thread that runs I/O queues and nothing else; it polls while there is work, and sleeps when there is
// none.
//
// One turn of the loop: messages, completions of the RNICs, submissions and completions of the disks, one doorbell for
// each (reactor_datapath.cpp). No code on it locks, allocates, logs or throws while queues are live.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "target/core/reactor/mailbox.h"
#include "target/core/reactor/poll_budget.h"

namespace nvmf::core {

// What a reactor polls: a poll group of the transport.
class Poller {
 public:
  virtual ~Poller() = default;
  // Handles completions; returns their number.
  virtual unsigned poll() = 0;
  // Posts the work of this turn, one doorbell per queue.
  virtual void flush() = 0;
  // Asks for an event on wake_fd() at the next completion. False when one came meanwhile: poll again.
  virtual bool arm() = 0;
  // Readable when an armed event fired.
  virtual int wake_fd() const = 0;
  // It is, or was since the last call: takes all that is there, for it is not called again before more comes. Nobody
  // else reads from the descriptor. False: it is dead, and not looked at any more.
  virtual bool on_wake() = 0;
  // When it must be polled next even without an event: nanoseconds of the steady clock.
  static constexpr uint64_t kNever = UINT64_MAX;
  virtual uint64_t due_ns() const { return kNever; }
};

// Submissions to the disks and the one place where a reactor sleeps: target/backend implements it on io_uring.
class IoEngine {
 public:
  virtual ~IoEngine() = default;
  // First call on the reactor's thread; everything but the destructor is called there from then on.
  virtual void start() = 0;
  // Submits what was queued, at most one system call, none when there is nothing; handles completions.
  virtual unsigned poll() = 0;
  // Reads 8-byte records from `fd` (O_NONBLOCK) whenever the engine sleeps, and hands each to on_record(context, r).
  virtual void watch(int fd, void (*on_record)(void* context, uint64_t record), void* context) = 0;
  // Calls on_readable(context) when there is something to read from `fd`, and again when more has come; reads nothing
  // itself. Until on_readable() returns false.
  virtual void watch_readable(int fd, bool (*on_readable)(void* context), void* context) = 0;
  // The end of either: nothing is called again, and the descriptor may be closed.
  virtual void unwatch(int fd) = 0;
  // Submits what was queued and sleeps until a completion, a record, or `timeout_us` (none: without bound).
  virtual void sleep(std::optional<uint32_t> timeout_us) = 0;
};

struct ReactorOptions {
  unsigned index = 0;
  std::optional<unsigned> cpu;  // pinned when given
  uint32_t poll_us = 50;        // the longest time that it polls after the last work; 0: it sleeps at once
};

class Reactor {
 public:
  Reactor(const ReactorOptions& options, IoEngine& engine);
  ~Reactor();  // stop() must have been called or start() never
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Each before start(), or on the reactor's thread in a message. A poller that is removed may be destroyed once the
  // message has come back, unless its own poll() delivers messages.
  void add(Poller& poller);
  void remove(Poller& poller);
  void start();
  // Control thread: ends the loop after the messages sent so far, joins.
  void stop();
  // The loop, until stop(): start() has it run on a thread of its own. For who brings another one (the simulation's
  // fibers), instead of start().
  void run();

  Mailbox& mailbox() { return mailbox_; }
  unsigned index() const { return options_.index; }
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  uint64_t sleeps() const { return sleeps_.load(std::memory_order_relaxed); }
  // CPU time of its thread, as the kernel counts it; 0 before start(). Control thread, until stop().
  uint64_t cpu_ns() const;
  // The part of that time in which it polled without finding work.
  uint64_t polled_in_vain_us() const { return budget_.polled_in_vain_us(); }

 private:
  void enter_thread();
  unsigned turn();
  unsigned gather();
  void flush();
  bool arm();
  bool sleep();
  std::optional<uint32_t> sleep_limit_us() const;

  ReactorOptions options_;
  IoEngine& engine_;
  Mailbox mailbox_;
  std::vector<Poller*> pollers_;
  bool stopping_ = false;
  std::atomic<uint64_t> turns_{0};
  std::atomic<uint64_t> sleeps_{0};
  PollBudget budget_;
  bool worked_last_turn_ = false;
  bool work_is_followed_by_idleness_ = false;  // it was, the last time
  Message stop_message_;
  std::optional<clockid_t> cpu_clock_;  // of the thread; set before start() returns
  std::thread thread_;
};

}  // namespace nvmf::core
