#include "target/core/reactor/reactor.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "target/core/reactor/clock.h"

using namespace nvmf::core;

namespace {

// Sleeps on the watched descriptors with poll(2), and has commands that complete when it is told so.
class FakeEngine final : public IoEngine {
 public:
  FakeEngine() : disk_(eventfd(0, EFD_NONBLOCK)) {
    watch(
        disk_, [](void* self, uint64_t) { static_cast<FakeEngine*>(self)->completed_++; }, this);
  }
  ~FakeEngine() override { close(disk_); }

  void start() override {
    if (fail_start) throw std::runtime_error("no engine today");
    thread.set_value(pthread_self());
  }
  unsigned poll() override {
    polls++;
    return std::exchange(completed_, 0u);
  }
  void watch(int fd, void (*on_record)(void*, uint64_t), void* context) override {
    watches_.push_back({fd, on_record, nullptr, context});
  }
  void watch_readable(int fd, bool (*on_readable)(void*), void* context) override {
    watches_.push_back({fd, nullptr, on_readable, context});
  }
  void unwatch(int fd) override {
    std::erase_if(watches_, [fd](const Watch& w) { return w.fd == fd; });
  }
  void sleep(std::optional<uint32_t> timeout_us) override {
    longest_us = timeout_us.value_or(UINT32_MAX);
    std::vector<pollfd> entries;
    for (const Watch& w : watches_) entries.push_back({w.fd, POLLIN, 0});
    ::poll(entries.data(), entries.size(), -1);
    for (size_t i = 0; i < entries.size(); ++i) {
      const Watch w = watches_[i];
      uint64_t record;
      if (w.on_readable != nullptr && (entries[i].revents & POLLIN) != 0) w.on_readable(w.context);
      if (w.on_record != nullptr && read(w.fd, &record, sizeof record) == sizeof record) w.on_record(w.context, record);
    }
  }

  void complete_something() { eventfd_write(disk_, 1); }

  bool fail_start = false;
  std::promise<pthread_t> thread;
  std::atomic<unsigned> polls{0};
  std::atomic<uint32_t> longest_us{0};  // of its last sleep

 private:
  struct Watch {
    int fd;
    void (*on_record)(void*, uint64_t);
    bool (*on_readable)(void*);
    void* context;
  };
  int disk_;
  unsigned completed_ = 0;
  std::vector<Watch> watches_;
};

// Completions arrive by arrive(), on any thread; they ring only while armed, as those of an RNIC.
class FakePoller final : public Poller {
 public:
  FakePoller() : fd_(eventfd(0, EFD_NONBLOCK)) {}
  ~FakePoller() override { close(fd_); }

  unsigned poll() override {
    const unsigned found = waiting_.exchange(0);
    handled += found;
    return found;
  }
  void flush() override { flushed_at = handled.load(); }
  bool arm() override {
    waiting_ += arrives_at_arming.exchange(0);
    armed_ = true;
    arms++;
    return waiting_ == 0;
  }
  int wake_fd() const override { return fd_; }
  uint64_t due_ns() const override { return due; }
  bool on_wake() override {
    eventfd_t events;
    if (eventfd_read(fd_, &events) == 0) wakes++;
    return true;
  }

  void arrive() {
    waiting_++;
    if (armed_.exchange(false)) eventfd_write(fd_, 1);
  }

  std::atomic<unsigned> handled{0}, flushed_at{0}, wakes{0}, arms{0};
  std::atomic<unsigned> arrives_at_arming{0};  // after the last poll, and too early for the next event
  std::atomic<uint64_t> due{kNever};

 private:
  int fd_;
  std::atomic<unsigned> waiting_{0};
  std::atomic<bool> armed_{false};
};

// Runs `work` on the reactor's thread, and waits for it.
void on_thread_of(Reactor& reactor, std::function<void()> work) {
  struct Errand {
    Message message;
    std::function<void()> work;
    std::promise<void> done;
  } errand;
  errand.work = std::move(work);
  errand.message.context = &errand;
  errand.message.deliver = [](Message& message) {
    auto& there = *static_cast<Errand*>(message.context);
    there.work();
    there.done.set_value();
  };
  reactor.mailbox().send(errand.message);
  errand.done.get_future().wait();
}

void wait_until(const std::function<bool()>& happened) {
  for (int i = 0; i < 10000 && !happened(); ++i) usleep(1000);
  REQUIRE(happened());
}

struct Fixture {
  FakeEngine engine;
  FakePoller poller;
  Reactor reactor;

  explicit Fixture(uint32_t poll_us = 0) : reactor({.index = 3, .cpu = std::nullopt, .poll_us = poll_us}, engine) {
    reactor.add(poller);
    reactor.start();
  }
  ~Fixture() { reactor.stop(); }
};

}  // namespace

TEST_CASE("An idle reactor sleeps: it does not turn") {
  Fixture f(50);
  wait_until([&] { return f.reactor.sleeps() > 0; });
  usleep(20000);
  const uint64_t turns = f.reactor.turns();
  usleep(50000);
  CHECK(f.reactor.turns() == turns);
  CHECK(f.reactor.cpu_ns() > 0);
}

TEST_CASE("A completion wakes a sleeping reactor, which handles it and posts what came of it") {
  Fixture f;
  for (unsigned i = 1; i <= 50; ++i) {
    f.poller.arrive();
    wait_until([&] { return f.poller.flushed_at == i; });
  }
  CHECK(f.poller.wakes > 0);
}

TEST_CASE("Completions that race with falling asleep are never left lying") {
  for (const uint32_t poll_us : {0u, 20u}) {
    Fixture f(poll_us);
    for (unsigned i = 0; i < 20000; ++i) {
      f.poller.arrive();
      if (i % 64 == 0) wait_until([&] { return f.poller.flushed_at == i + 1; });
    }
    wait_until([&] { return f.poller.flushed_at == 20000; });
  }
}

TEST_CASE("Completions that arming finds are handled before it sleeps") {
  Fixture f;
  for (unsigned i = 1; i <= 50; ++i) {
    wait_until([&] { return f.reactor.sleeps() >= i; });
    f.poller.arrives_at_arming = 1;
    f.engine.complete_something();
    wait_until([&] { return f.poller.flushed_at == i; });
  }
}

TEST_CASE("It sleeps until the first of its pollers is due") {
  Fixture f;
  FakePoller later;
  on_thread_of(f.reactor, [&] { f.reactor.add(later); });
  const auto falls_asleep = [&] {
    const uint64_t sleeps = f.reactor.sleeps();
    f.engine.complete_something();
    wait_until([&] { return f.reactor.sleeps() > sleeps; });
  };
  falls_asleep();
  wait_until([&] { return f.engine.longest_us == UINT32_MAX; });
  f.poller.due = steady_ns() + 500'000'000;
  later.due = steady_ns() + 60'000'000'000;
  falls_asleep();
  wait_until([&] { return f.engine.longest_us <= 500'000; });
  on_thread_of(f.reactor, [&] { f.reactor.remove(later); });
}

TEST_CASE("A disk's completion wakes it") {
  Fixture f;
  wait_until([&] { return f.reactor.sleeps() > 0; });
  const unsigned before = f.engine.polls;
  f.engine.complete_something();
  wait_until([&] { return f.engine.polls > before; });
}

TEST_CASE("A message wakes it and is delivered on its thread") {
  Fixture f;
  struct Note {
    Message message;
    std::promise<std::string> thread_name;
  };
  for (int i = 0; i < 100; ++i) {
    Note note;
    note.message.context = &note;
    note.message.deliver = [](Message& message) {
      char name[16];
      pthread_getname_np(pthread_self(), name, sizeof name);
      static_cast<Note*>(message.context)->thread_name.set_value(name);
    };
    f.reactor.mailbox().send(note.message);
    CHECK(note.thread_name.get_future().get() == "nvmf-reactor-3");
  }
}

TEST_CASE("Its thread takes no signals") {
  Fixture f;
  struct Question {
    Message message;
    std::promise<bool> blocked;
  } question;
  question.message.context = &question;
  question.message.deliver = [](Message& message) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    static_cast<Question*>(message.context)->blocked.set_value(sigismember(&mask, SIGTERM) == 1);
  };
  f.reactor.mailbox().send(question.message);
  CHECK(question.blocked.get_future().get());
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("However many messages come, a few are delivered each turn: its pollers have their turns in between") {
  FakeEngine engine;
  Reactor reactor({}, engine);
  struct Note {
    Reactor* reactor = nullptr;
    uint64_t turn = 0;
    Message message{};
  };
  std::vector<Note> notes(100);
  for (Note& note : notes) {
    note.reactor = &reactor;
    reactor.mailbox().send(note.message, note, [](Note& delivered) { delivered.turn = delivered.reactor->turns(); });
  }
  reactor.start();
  reactor.stop();
  for (size_t i = 0; i < notes.size(); ++i) {
    REQUIRE(notes[i].turn != 0);
    if (i >= 16) CHECK(notes[i].turn > notes[i - 16].turn);
  }
}

TEST_CASE("Messages sent before stop() are delivered") {
  FakeEngine engine;
  Reactor reactor({}, engine);
  reactor.start();
  std::vector<Message> messages(100);
  static std::atomic<unsigned> delivered;
  delivered = 0;
  for (Message& message : messages) {
    message.deliver = [](Message&) { delivered++; };
    reactor.mailbox().send(message);
  }
  reactor.stop();
  CHECK(delivered == 100);
}

namespace {

// Delivers the reactor's messages while it looks for work, as a poll group that waits for one does.
class DeliveringPoller final : public Poller {
 public:
  explicit DeliveringPoller(Mailbox& mailbox) : mailbox_(mailbox) {}
  unsigned poll() override { return mailbox_.receive(); }
  void flush() override {}
  bool arm() override { return poll() == 0; }
  int wake_fd() const override { return bell_.wake_fd(); }
  bool on_wake() override { return bell_.on_wake(); }

 private:
  Mailbox& mailbox_;
  FakePoller bell_;
};

}  // namespace

TEST_CASE("A poller comes to a running reactor: what arrives at it is handled from then on") {
  Fixture f;
  wait_until([&] { return f.reactor.sleeps() > 0; });
  FakePoller late;
  on_thread_of(f.reactor, [&] { f.reactor.add(late); });
  for (unsigned i = 1; i <= 50; ++i) {
    late.arrive();
    f.poller.arrive();
    wait_until([&] { return late.flushed_at == i && f.poller.flushed_at == i; });
  }
  CHECK(late.wakes > 0);
  on_thread_of(f.reactor, [&] { f.reactor.remove(late); });
}

TEST_CASE("A poller that has been removed is polled no more and may be destroyed; the others go on") {
  Fixture f;
  for (unsigned i = 1; i <= 200; ++i) {
    auto brief = std::make_unique<FakePoller>();
    on_thread_of(f.reactor, [&] { f.reactor.add(*brief); });
    brief->arrive();
    wait_until([&] { return brief->flushed_at == 1u; });
    on_thread_of(f.reactor, [&] { f.reactor.remove(*brief); });
    brief->arrive();
    f.poller.arrive();
    wait_until([&] { return f.poller.flushed_at == i; });
    CHECK(brief->handled == 1u);
  }
}

TEST_CASE("Pollers come and go by messages that another poller delivers in the middle of a turn") {
  FakeEngine engine;
  Reactor reactor({.index = 0, .cpu = std::nullopt, .poll_us = 20}, engine);
  DeliveringPoller delivering(reactor.mailbox());
  FakePoller before;
  FakePoller after;
  reactor.add(before);
  reactor.add(delivering);
  reactor.add(after);
  reactor.start();
  for (unsigned i = 1; i <= 2000; ++i) {
    FakePoller brief;
    on_thread_of(reactor, [&] { reactor.add(brief); });
    on_thread_of(reactor, [&] { reactor.remove(i % 2 == 0 ? brief : before); });
    after.arrive();
    wait_until([&] { return after.flushed_at == i; });
    on_thread_of(reactor, [&] {
      if (i % 2 == 0) return;
      reactor.remove(brief);
      reactor.add(before);
    });
  }
  reactor.stop();
}

TEST_CASE("What goes wrong at the start is the starter's to know") {
  SUBCASE("the engine") {
    FakeEngine engine;
    engine.fail_start = true;
    Reactor reactor({}, engine);
    CHECK_THROWS_WITH(reactor.start(), "no engine today");
  }
  SUBCASE("a CPU that is not there") {
    FakeEngine engine;
    Reactor reactor({.index = 0, .cpu = 5000, .poll_us = 0}, engine);
    CHECK_THROWS_AS(reactor.start(), std::system_error);
  }
}

TEST_CASE("Bursts with idleness between them cost one sleep each, not an extra submission call") {
  Fixture f;
  for (unsigned i = 1; i <= 20; ++i) {
    f.poller.arrive();
    wait_until([&] { return f.poller.flushed_at == i; });
    usleep(2000);
  }
  // Work, then a look that finds nothing, or both in one: never more than two turns a burst, after the first few.
  CHECK(f.reactor.turns() < 4 + 2 * f.reactor.sleeps());
}
