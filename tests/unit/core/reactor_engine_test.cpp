// A reactor that sleeps in the real engine: its mailbox and a poller's descriptor wake it through io_uring.
#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <semaphore>
#include <system_error>

#include "target/backend/device.h"
#include "target/core/datapath/rate_limit.h"
#include "target/core/reactor/reactor.h"

using namespace nvmf::core;
using nvmf::backend::UringEngine;

namespace {

bool without_io_uring() {
  static const bool missing = [] {
    try {
      UringEngine engine;
      return false;
    } catch (const std::system_error& error) {
      std::printf("SKIPPED: a reactor in the real engine: %s\n", error.what());
      return true;
    }
  }();
  return missing;
}

// As an RNIC's completion queue: rings only when armed.
class BellPoller final : public Poller {
 public:
  BellPoller() : fd_(eventfd(0, EFD_NONBLOCK)) {}
  ~BellPoller() override { close(fd_); }

  unsigned poll() override {
    const unsigned found = waiting_.exchange(0);
    for (unsigned i = 0; i < found; ++i) handled.release();
    return found;
  }
  void flush() override {}
  bool arm() override {
    armed_ = true;
    return waiting_ == 0;
  }
  int wake_fd() const override { return fd_; }
  bool on_wake() override {
    eventfd_t events;
    return eventfd_read(fd_, &events) == 0;
  }

  void arrive() {
    waiting_++;
    if (armed_.exchange(false)) eventfd_write(fd_, 1);
  }

  std::counting_semaphore<> handled{0};

 private:
  int fd_;
  std::atomic<unsigned> waiting_{0};
  std::atomic<bool> armed_{false};
};

// Has nothing to do before its time has come, as a limit of a namespace.
class DuePoller final : public Poller {
 public:
  explicit DuePoller(uint64_t due_ns) : due_ns_(due_ns) {}

  unsigned poll() override {
    if (steady_ns() < due_ns_) return 0;
    due_ns_ = kNever;
    handled.release();
    return 1;
  }
  void flush() override {}
  bool arm() override { return true; }
  int wake_fd() const override { return bell_.wake_fd(); }
  bool on_wake() override { return bell_.on_wake(); }
  uint64_t due_ns() const override { return due_ns_; }

  std::binary_semaphore handled{0};

 private:
  BellPoller bell_;
  uint64_t due_ns_;
};

}  // namespace

TEST_SUITE_BEGIN("reactor and engine" * doctest::skip(without_io_uring()));

TEST_CASE("Messages and completions wake it, one after the other, a thousand times") {
  for (const uint32_t poll_us : {0u, 50u}) {
    UringEngine engine;
    BellPoller poller;
    Reactor reactor({.index = 0, .cpu = std::nullopt, .poll_us = poll_us}, engine);
    reactor.add(poller);
    reactor.start();
    struct Letter {
      Message message;
      std::binary_semaphore arrived{0};
    } letter;
    letter.message.context = &letter;
    letter.message.deliver = [](Message& m) { static_cast<Letter*>(m.context)->arrived.release(); };
    for (int i = 0; i < 1000; ++i) {
      reactor.mailbox().send(letter.message);
      letter.arrived.acquire();
      poller.arrive();
      poller.handled.acquire();
    }
    reactor.stop();
    CHECK(reactor.sleeps() > 0);
  }
}

TEST_CASE("A poller that is due wakes it: it sleeps until then, and goes on sleeping afterwards") {
  UringEngine engine;
  DuePoller poller(steady_ns() + 100'000'000);
  Reactor reactor({.index = 0, .cpu = std::nullopt, .poll_us = 0}, engine);
  reactor.add(poller);
  reactor.start();
  CHECK(poller.handled.try_acquire_for(std::chrono::seconds(30)));
  reactor.stop();
  CHECK(reactor.sleeps() > 0);
  CHECK(reactor.turns() < 1000);  // it did not poll for 100 ms
}

TEST_CASE("A command that a message submits is done while the reactor sleeps") {
  char path[] = "/tmp/nvmf-p2p-test-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(ftruncate(fd, 1 << 20) == 0);
  close(fd);
  const auto device = nvmf::backend::open_device({.kind = nvmf::backend::DeviceKind::File, .path = path});
  UringEngine engine;
  const auto channel = device->open_channel(engine);
  Reactor reactor({}, engine);
  reactor.start();

  struct Read : Io {
    Message message;
    IoChannel* channel = nullptr;
    std::atomic<int> status{-1};
    std::binary_semaphore ended{0};
  };
  alignas(4096) static std::byte block[4096];
  for (int i = 0; i < 100; ++i) {
    Read read;
    read.blocks = 8;
    read.data.address = block;
    read.data.length_bytes = sizeof block;
    read.channel = channel.get();
    read.done = [](Io& io, Status status) {
      auto& self = static_cast<Read&>(io);
      self.status = status.value();
      self.ended.release();
    };
    read.message.context = &read;
    read.message.deliver = [](Message& m) {
      auto& self = *static_cast<Read*>(m.context);
      self.channel->submit(self);
    };
    reactor.mailbox().send(read.message);
    read.ended.acquire();
    CHECK(read.status == 0);
  }
  reactor.stop();
  unlink(path);
}

TEST_SUITE_END();
