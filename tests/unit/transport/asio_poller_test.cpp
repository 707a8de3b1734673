#include "transport/rdma/asio_poller.h"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>

using namespace nvmf::core;
using namespace nvmf::rdma;

namespace {

constexpr int kFlood = 100'000;   // turns, or messages: whoever waits for their end waits in vain
constexpr int kMostAtATime = 32;  // polls, or messages, in one go

// Finds something in each of its first polls; after that when it is rung.
class BusyPoller final : public Poller {
 public:
  explicit BusyPoller(int busy) : busy_(busy) {}
  ~BusyPoller() override { close(fd_); }
  unsigned poll() override {
    ++polls;
    return polls <= busy_ ? 1 : 0;
  }
  void flush() override { flushed_at = polls; }
  bool arm() override { return true; }
  int wake_fd() const override { return fd_; }
  bool on_wake() override {
    eventfd_t value;
    if (eventfd_read(fd_, &value) == 0) ++wakes;
    return !dies;
  }
  void ring() { eventfd_write(fd_, 1); }

  int polls = 0, flushed_at = 0, wakes = 0;
  bool dies = false;

 private:
  int busy_;
  int fd_ = eventfd(0, EFD_NONBLOCK);
};

// A message that is sent again as soon as it is delivered, as by a host that never stops.
struct Flood {
  Mailbox& mailbox;
  int delivered = 0;
  Message message;
  void send() {
    mailbox.send(message, *this, [](Flood& flood) {
      if (++flood.delivered < kFlood) flood.send();
    });
  }
};

}  // namespace

TEST_CASE("A poller that never runs dry keeps no timer waiting") {
  boost::asio::io_context io;
  boost::asio::steady_timer timer(io, std::chrono::milliseconds(0));
  BusyPoller poller(kFlood);
  int polls_then = -1;
  timer.async_wait([&](const auto&) {
    polls_then = poller.polls;
    io.stop();
  });
  AsioPoller asio(io, poller);
  io.run();
  CHECK(polls_then >= 0);
  CHECK(polls_then < kFlood);
}

TEST_CASE("However much there is to do, it is done in small pieces") {
  boost::asio::io_context io;
  BusyPoller poller(kFlood);
  AsioPoller asio(io, poller);
  Mailbox mailbox;
  Flood flood{mailbox, 0, {}};
  flood.send();
  AsioMailbox asio_mailbox(io, mailbox, [] {});
  for (int piece = 0; piece < 10; ++piece) {
    CHECK(poller.polls <= kMostAtATime * (piece + 1));
    CHECK(flood.delivered <= kMostAtATime * (piece + 1));
    REQUIRE(io.run_one() == 1);
  }
}

TEST_CASE("What a poller finds is flushed; it sleeps when it runs dry and wakes at an event") {
  boost::asio::io_context io;
  BusyPoller poller(10);
  AsioPoller asio(io, poller);
  while (io.poll_one() != 0) {
  }
  CHECK(poller.polls == 11);
  CHECK(poller.flushed_at == poller.polls);
  poller.ring();
  io.run_one();
  CHECK(poller.wakes == 1);
  CHECK(poller.polls == 12);
  asio.turn();
  CHECK(poller.polls == 13);
  poller.ring();
  io.run_one();
  CHECK(poller.wakes == 2);
}

TEST_CASE("A descriptor that has died is not looked at any more") {
  boost::asio::io_context io;
  BusyPoller poller(0);
  poller.dies = true;
  AsioPoller asio(io, poller);
  poller.ring();
  io.run_one();
  poller.ring();
  while (io.poll_one() != 0) {
  }
  asio.turn();
  while (io.poll_one() != 0) {
  }
  CHECK(poller.wakes == 1);
}

TEST_CASE("A poller's continuation ends with it") {
  boost::asio::io_context io;
  BusyPoller poller(kFlood);
  { AsioPoller asio(io, poller); }
  const int polls = poller.polls;
  io.poll();
  CHECK(poller.polls == polls);
}

TEST_CASE("A mailbox that never empties keeps no timer waiting") {
  boost::asio::io_context io;
  boost::asio::steady_timer timer(io, std::chrono::milliseconds(0));
  Mailbox mailbox;
  Flood flood{mailbox, 0, {}};
  flood.send();
  int delivered_then = -1;
  timer.async_wait([&](const auto&) {
    delivered_then = flood.delivered;
    io.stop();
  });
  int turns = 0;
  AsioMailbox asio(io, mailbox, [&] { ++turns; });
  io.run();
  CHECK(delivered_then >= 0);
  CHECK(delivered_then < kFlood);
  CHECK(turns > 0);
}

TEST_CASE("Messages of a sleeping control thread wake it, and their turn has its end") {
  boost::asio::io_context io;
  Mailbox mailbox;
  int turns = 0;
  AsioMailbox asio(io, mailbox, [&] { ++turns; });
  Flood last{mailbox, kFlood - 1, {}};
  last.send();
  io.run_one();
  CHECK(last.delivered == kFlood);
  CHECK(turns == 1);
}
