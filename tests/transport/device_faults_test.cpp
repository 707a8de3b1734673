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
      static_cast<rnic::CompletionQueue*>(network.group().receive_queue())->fail();
    CHECK(network.run_until([&] { return network.said("created again; the hosts reconnect"); }));
    CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    CHECK(network.run_until([&] { return network.said("the failed queue was created again"); }));

    ModelHost after(network);
    REQUIRE(after.connect());
    for (unsigned i = 1; i <= 40; ++i) {
      after.take_answers(1);
      after.send_command();
      REQUIRE(network.run_until([&] { return after.is_answered(i); }));
    }
  }
}

TEST_CASE("a device that advertises SEND with invalidate and fails it costs one connection, and is not asked again") {
  for (const rnic::Profile& profile : {rnic::bnxt_re(), rnic::vmw_pvrdma()}) {
    CAPTURE(profile.name);
    Network network(profile);
    {
      ModelHost first(network);
      REQUIRE(first.connect());
      first.take_answers(1);
      first.send_connect();
      CHECK(network.run_until([&] { return network.said("failed to SEND with invalidate"); }));
      CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    }
    ModelHost second(network);
    REQUIRE(second.connect());
    second.take_answers(1);
    second.send_connect();
    CHECK(network.run_until([&] { return second.is_answered(1); }));
    CHECK_FALSE(second.is_disconnected());
  }
}

TEST_CASE("an iWARP device reads a host's data: the memory that it reads into may be written remotely") {
  Network network(rnic::irdma_iwarp());
  ModelHost host(network);
  REQUIRE(host.connect());
  host.take_answers(1);
  host.send_connect();
  CHECK(network.run_until([&] { return host.is_answered(1); }));
}

}  // namespace nvmf::test
