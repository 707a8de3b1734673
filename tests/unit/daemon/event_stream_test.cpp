// What clients that follow events receive: each event once, in order; who is too slow, or comes from another run, is
// told so.
#include "target/daemon/event_stream.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <vector>

namespace nvmf::daemon {
namespace {

struct World {
  void happen(const std::string& message) { stream.add({.kind = core::EventKind::Port, .message = message}); }
  // Starts to ask for the next part; `received` gets it, perhaps later.
  void ask(EventStream::Reader& reader) {
    boost::asio::co_spawn(io, stream.next(reader),
                          [this](const std::exception_ptr&, std::string part) { received.push_back(std::move(part)); });
    io.restart();
    io.poll();
  }
  // The next part, which is there.
  std::string next(EventStream::Reader& reader) {
    const size_t before = received.size();
    ask(reader);
    REQUIRE(received.size() == before + 1);
    return received.back();
  }

  boost::asio::io_context io;
  EventStream stream{"run"};
  std::vector<std::string> received;
};

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

size_t events_in(const std::string& text) {
  size_t count = 0;
  for (size_t place = text.find("\nevent: "); place != std::string::npos; place = text.find("\nevent: ", place + 1))
    ++count;
  return count;
}

TEST_CASE("client receives what happens after it has come, each event as a message with its id") {
  World world;
  world.happen("before");
  EventStream::Reader reader = world.stream.reader(std::nullopt, false);
  world.ask(reader);
  CHECK(world.received.empty());
  world.stream.add({.severity = core::Severity::Warning,
                    .kind = core::EventKind::Connect,
                    .message = "connected\n\x1b[31m",
                    .subsystem = "nqn.a",
                    .host = "nqn.h"});
  world.io.restart();
  world.io.poll();
  REQUIRE(world.received.size() == 1);
  const std::string& text = world.received[0];
  CHECK(text.starts_with("id: run-2\nevent: connect\ndata: {\"time_ms\":"));
  CHECK(has(
      text,
      R"("kind":"connect","severity":"warning","message":"connected\\x0a\\x1b[31m","subsystem":"nqn.a","host":"nqn.h"})"));
  CHECK(text.ends_with("}\n\n"));
}

TEST_CASE("client that was away goes on after the last event that it has received") {
  World world;
  for (int i = 1; i <= 5; ++i) world.happen("event " + std::to_string(i));
  EventStream::Reader again = world.stream.reader("run-3", false);
  const std::string text = world.next(again);
  CHECK(text.starts_with("id: run-4\n"));
  CHECK(events_in(text) == 2);
  EventStream::Reader all = world.stream.reader(std::nullopt, true);
  CHECK(events_in(world.next(all)) == 5);
}

TEST_CASE("client's last event is of another run, or no longer kept: it is told, and receives what there is") {
  World world;
  for (size_t i = 0; i < EventStream::kRing + 10; ++i) world.happen("event");
  for (const char* const id : {"other-3", "run-3", "run-99999", "run-", "", "run-18446744073709551615"}) {
    CAPTURE(id);
    EventStream::Reader reader = world.stream.reader(id, false);
    const std::string text = world.next(reader);
    CHECK(text.starts_with("event: lost\n"));
    CHECK(has(text, "id: run-11\n"));
    CHECK(events_in(text) == EventStream::kMostEventsPerPart);
  }
}

TEST_CASE("client that is slower than events come is cut, and its last event says so") {
  World world;
  EventStream::Reader reader = world.stream.reader(std::nullopt, true);
  world.happen("first");
  CHECK(events_in(world.next(reader)) == 1);
  for (size_t i = 0; i <= EventStream::kRing; ++i) world.happen("event");
  const std::string last = world.next(reader);
  CHECK(last.starts_with("event: cut\n"));
  CHECK(has(last, "this client is too slow"));
  CHECK(world.next(reader).empty());
}

TEST_CASE("events come between a client's request and the first part of its answer: it is not too slow for them") {
  World world;
  world.happen("first");
  EventStream::Reader past = world.stream.reader(std::nullopt, true);
  EventStream::Reader resumed = world.stream.reader("run-1", false);
  for (size_t i = 0; i <= EventStream::kRing; ++i) world.happen("event");
  CHECK(world.next(past).starts_with("id: run-3\n"));
  CHECK(world.next(resumed).starts_with("event: lost\n"));
}

TEST_CASE("an event has a bounded length, whatever a host calls itself") {
  World world;
  world.happen(std::string(1U << 20U, 'x'));
  EventStream::Reader reader = world.stream.reader(std::nullopt, true);
  CHECK(world.next(reader).size() < 2 * EventStream::kMostMessageBytes);
}

}  // namespace
}  // namespace nvmf::daemon
