// What RNICs do that Soft-RoCE does not.
#include "tests/transport/network.h"

namespace nvmf::test {

TEST_CASE("a failed shared receive queue, or completion queue, ends its hosts and is made anew for the next ones") {
  for (const bool srq : {true, false}) {
    CAPTURE(srq);
    Network network(rnic::connectx());
    ModelHost before(network);
    REQUIRE(before.connect());
    if (srq)
      Network::receives(network.group()).fail();
    else
      static_cast<rnic::CompletionQueue*>(network.group().queue_sets().front()->receive_cq.get())->fail();
    CHECK(network.run_until([&] { return network.said("created again; the hosts reconnect"); }));
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.run_until([&] { return network.said("the queues of a reactor were created again"); }));

    ModelHost after(network);
    REQUIRE(after.connect());
    for (unsigned i = 1; i <= 40; ++i) {
      after.take_answers(1);
      after.send_command();
      REQUIRE(network.run_until([&] { return after.is_answered(i); }));
    }
  }
}

// irdma: only what is posted before is flushed by the device itself.
TEST_CASE("an answer that is posted to a queue pair that the device has failed comes home, with each provider") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    ModelHost host(network);
    REQUIRE(host.connect());
    host.send_command();
    host.send_too_long_a_message();
    for (int i = 0; i < 40; ++i) network.fabric.schedule().step();  // the target has not looked yet
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.group().commands_in_flight() == 0);
  }
}

}  // namespace nvmf::test
