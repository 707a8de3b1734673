#include "target/daemon/authentication_worker.h"

#include <doctest/doctest.h>

#include <ctime>
#include <list>
#include <stdexcept>
#include <string>
#include <vector>

namespace nvmf::daemon {
namespace {

struct Hosts {
  // False: refused.
  bool ask(const std::string& address, nvme::DhGroup group = nvme::DhGroup::Null) {
    core::DhchapTransaction& transaction = transactions.emplace_back();
    transaction.address = address;
    transaction.group = group;
    return worker.make_challenge(transaction, [this, &transaction, address] {
      served.push_back(address);
      CHECK(!transaction.c1.empty());
    });
  }

  boost::asio::io_context io;
  std::list<core::DhchapTransaction> transactions;
  std::vector<std::string> served;
  unsigned answers = 0;
  AuthenticationWorker worker{io, [this] { ++answers; }};
};

TEST_CASE("a host waits for one piece of work of each other address, however many these ask for") {
  Hosts hosts;
  for (int i = 0; i < 20; ++i) REQUIRE(hosts.ask("192.0.2.66", nvme::DhGroup::Ffdhe2048));
  for (int i = 0; i < 20; ++i) REQUIRE(hosts.ask("192.0.2.67"));
  REQUIRE(hosts.ask("192.0.2.7"));
  REQUIRE(hosts.ask("192.0.2.7"));
  hosts.io.run();
  REQUIRE(hosts.served.size() == 42);
  CHECK(hosts.answers == 42);
  const std::vector<std::string> first(hosts.served.begin(), hosts.served.begin() + 7);
  CHECK(first == std::vector<std::string>{"192.0.2.66", "192.0.2.66", "192.0.2.67", "192.0.2.7", "192.0.2.66",
                                          "192.0.2.67", "192.0.2.7"});
}

TEST_CASE("a host with many IPv6 addresses has one turn beside other networks, each host of a network one in it") {
  Hosts hosts;
  for (const char* address : {"[2001:db8::1]", "[2001:db8::2]", "[2001:db8::3]", "[2001:db8::1]"})
    REQUIRE(hosts.ask(address));
  for (const char* address : {"[2001:db8:0:1::7]", "192.0.2.7", "192.0.2.7"}) REQUIRE(hosts.ask(address));
  hosts.io.run();
  CHECK(hosts.served == std::vector<std::string>{"[2001:db8::1]", "[2001:db8::2]", "[2001:db8:0:1::7]", "192.0.2.7",
                                                 "[2001:db8::3]", "192.0.2.7", "[2001:db8::1]"});
}

uint64_t cpu_time_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

TEST_CASE("the exponentiations of a storm are none of the control thread's work") {
  Hosts hosts;
  const uint64_t own_before = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID);
  const uint64_t all_before = cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < 20; ++i) REQUIRE(hosts.ask("192.0.2." + std::to_string(i), nvme::DhGroup::Ffdhe8192));
  hosts.io.run();
  const uint64_t own = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID) - own_before;
  const uint64_t all = cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID) - all_before;
  CHECK(hosts.served.size() == 20);
  CHECK(own < all / 2);
}

TEST_CASE("an answer to a host that goes wrong keeps no other host waiting") {
  Hosts hosts;
  core::DhchapTransaction broken;
  broken.address = "192.0.2.66";
  REQUIRE(hosts.worker.make_challenge(broken, [] { throw std::runtime_error("no memory"); }));
  REQUIRE(hosts.ask("192.0.2.7"));
  hosts.io.run();
  CHECK(hosts.served == std::vector<std::string>{"192.0.2.7"});
}

TEST_CASE("an address that asks for too much is refused, and nobody else") {
  Hosts hosts;
  for (size_t i = 0; i <= AuthenticationWorker::kMostWaiting; ++i) REQUIRE(hosts.ask("192.0.2.66"));
  CHECK(!hosts.ask("192.0.2.66"));
  CHECK(hosts.ask("192.0.2.7"));
  hosts.io.run();
  CHECK(hosts.served.size() == AuthenticationWorker::kMostWaiting + 2);
  CHECK(hosts.ask("192.0.2.66"));
  hosts.io.restart();
  hosts.io.run();
  CHECK(hosts.served.back() == "192.0.2.66");
}

}  // namespace
}  // namespace nvmf::daemon
