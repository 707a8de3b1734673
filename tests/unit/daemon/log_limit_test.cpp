// A storm of the same event in the log.
#include "target/daemon/log_limit.h"

#include <doctest/doctest.h>

#include <vector>

namespace nvmf::daemon {
namespace {

using namespace std::chrono_literals;

struct Log {
  std::vector<std::string> lines;
  LogLimit limit{[this](const core::Event& event) { lines.push_back(event.message); }};
  LogLimit::Clock::time_point now{};

  void warn(std::string message) {
    limit.add({.severity = core::Severity::Warning, .message = std::move(message)}, now);
  }

  void refuse(int port, const std::string& host = "nqn.example:host", const std::string& address = "192.0.2.7") {
    limit.add({.severity = core::Severity::Warning,
               .message = "refused host " + host + " (" + address + ":" + std::to_string(port) + "): not allowed",
               .host = host},
              now);
  }
};

TEST_CASE("the first refusal is told at once, the storm behind it once a period with its count") {
  Log log;
  for (int port = 40000; port < 41000; ++port) log.refuse(port);
  CHECK(log.lines == std::vector<std::string>{"refused host nqn.example:host (192.0.2.7:40000): not allowed"});
  CHECK((log.limit.flush(log.now + 9s) == log.now + LogLimit::kPeriod));
  CHECK(log.lines.size() == 1);
  log.limit.flush(log.now + LogLimit::kPeriod);
  CHECK(log.lines.size() == 2);
  CHECK(log.lines.back() == "refused host nqn.example:host (192.0.2.7:40999): not allowed (and 998 more like this)");
}

TEST_CASE("the storm ends: nothing more is told or awaited, and the next one begins with a line at once") {
  Log log;
  log.refuse(1);
  log.refuse(2);
  log.now += LogLimit::kPeriod;
  CHECK(log.limit.flush(log.now).has_value());
  CHECK(log.lines.back() == "refused host nqn.example:host (192.0.2.7:2): not allowed");
  log.now += LogLimit::kPeriod;
  CHECK_FALSE(log.limit.flush(log.now).has_value());
  log.refuse(3);
  CHECK(log.lines.size() == 3);
}

TEST_CASE("other hosts, and what is no warning, are events of their own") {
  Log log;
  log.refuse(1);
  log.refuse(2, "nqn.example:host", "192.0.2.8");
  for (int i = 0; i < 3; ++i) log.limit.add({.message = "connected"}, log.now);
  CHECK(log.lines.size() == 5);
}

TEST_CASE("what anybody can cause is limited like a warning") {
  Log log;
  for (int port = 1; port < 100; ++port)  // as the transport names who never sent Connect
    log.limit.add({.message = "disconnected 192.0.2.7:" + std::to_string(port) + ": it left", .anybodys = true},
                  log.now);
  CHECK(log.lines.size() == 1);
}

TEST_CASE("a host makes no kinds of its own by what it chooses, nor by how often it comes") {
  Log log;
  const auto refused = [&](int i) {
    return "authentication of queue " + std::to_string(i % 7) + " of host nqn.example:" + std::to_string(i * 31) +
           "-\\x20x (192.0.2.7:" + std::to_string(40000 + i) + "), subsystem any-" + std::to_string(i) +
           ", controller " + std::to_string(i) + " failed: explanation " + std::to_string(i % 256) + ": port 5: no";
  };
  for (int i = 0; i < 2000; ++i) log.warn(refused(i));
  CHECK(log.lines.size() == 1);
  log.refuse(1);
  CHECK(log.lines.size() == 2);
}

TEST_CASE("warnings that name no peer are told apart by their numbers, too") {
  Log log;
  for (int nsid = 1; nsid <= 3; ++nsid)
    log.warn("namespace " + std::to_string(nsid) + " of subsystem a: its device is hot");
  CHECK(log.lines.size() == 3);
}

TEST_CASE("kinds beyond those that are told apart share a line") {
  Log log;
  for (size_t i = 0; i < LogLimit::kMaxKinds + 20; ++i)
    log.refuse(1, "nqn.example:host", "192.0.2." + std::to_string(i));
  CHECK(log.lines.size() == LogLimit::kMaxKinds + 1);
}

}  // namespace
}  // namespace nvmf::daemon
