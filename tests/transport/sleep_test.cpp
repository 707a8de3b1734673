// A reactor sleeps only where what comes next wakes it.
#include <poll.h>

#include "tests/transport/network.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kDeliveryNs = 50'000'000;

bool has_event(const rdma::PollGroup& group) {
  pollfd waited{group.wake_fd(), POLLIN, 0};
  return ::poll(&waited, 1, 0) == 1;
}

// A group that has nothing to do, and a host at it.
struct Quiet {
  explicit Quiet(const rnic::Profile& profile) : network(profile) {
    REQUIRE(host.connect());
    host.take_answers(8);
    network.settle();
  }
  void deliver_command() {
    host.send_command();
    network.stall(kDeliveryNs);
  }

  Network network;
  ModelHost host{network, 1};
  rdma::PollGroup& group = network.io_group();
};

}  // namespace

TEST_CASE("a command that comes after the last look, and before the queue is armed, keeps the reactor awake") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Quiet quiet(profile);
    CHECK(quiet.group.poll() == 0);
    quiet.deliver_command();
    CHECK_FALSE(quiet.group.arm());
    CHECK(quiet.network.run_until([&] { return quiet.host.is_answered(1); }));
  }
}

TEST_CASE(
    "a command that comes while the reactor sleeps brings an event, time and again; and so does one before that") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Quiet quiet(profile);
    for (unsigned command = 1; command <= 4; ++command) {
      while (!quiet.group.arm()) quiet.network.settle();
      CHECK(quiet.group.arm());  // woken by something else, it sleeps again
      CHECK_FALSE(has_event(quiet.group));
      quiet.deliver_command();
      CHECK(has_event(quiet.group));
      // It did not sleep yet: the event ends its sleep.
      if (command % 2 == 0) CHECK(quiet.group.arm());
      CHECK(quiet.group.on_wake());
      CHECK_FALSE(has_event(quiet.group));
      CHECK(quiet.network.run_until([&] { return quiet.host.is_answered(command); }));
    }
  }
}

}  // namespace nvmf::test
