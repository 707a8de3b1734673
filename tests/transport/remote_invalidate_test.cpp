// Remote invalidate: devices that can, those that only say so, and what iWARP needs besides.
#include "tests/transport/network.h"

namespace nvmf::test {
namespace {

using rdma::RemoteInvalidate;

constexpr char kNotUsed[] = "SEND with invalidate is not used";

size_t lines_with(const Network& network, const std::string& words) {
  return static_cast<size_t>(std::ranges::count_if(
      network.events, [&](const std::string& line) { return line.find(words) != std::string::npos; }));
}

// A host sends Connect as Linux does, and takes the answer. Returns how many keys the answer has invalidated.
unsigned connect_as_linux_does(Network& network) {
  ModelHost host(network);
  REQUIRE(host.connect());
  host.take_answers(1);
  host.send_connect();
  REQUIRE(network.run_until([&] { return host.is_answered(1); }));
  CHECK_FALSE(host.is_disconnected());
  return host.invalidated();
}

NetworkOptions with(RemoteInvalidate wanted) {
  return {.seed = 1, .remote_invalidate = {{"rnic0", wanted}}, .groups = {}};
}

}  // namespace

TEST_CASE("each device's remote invalidate is proved at start: used where it works, said once where it does not") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    Network network(profile);
    const bool proved =
        profile.remote_invalidate == rnic::RemoteInvalidate::Works && profile.transport == IBV_TRANSPORT_IB;
    CHECK(lines_with(network, kNotUsed) == (proved ? 0 : 1));
    CHECK(connect_as_linux_does(network) == (proved ? 1 : 0));
    CHECK(lines_with(network, kNotUsed) == (proved ? 0 : 1));
  }
}

TEST_CASE("a device that nobody knows as a liar is found out, and costs no connection") {
  for (rnic::Profile profile : {rnic::bnxt_re(), rnic::vmw_pvrdma(), rnic::ocrdma()}) {
    CAPTURE(profile.name);
    profile.vendor_id = 0;
    Network network(profile);
    CHECK(lines_with(network, kNotUsed) == 1);
    CHECK(network.said(profile.remote_invalidate == rnic::RemoteInvalidate::Fails ? "local QP operation error"
                                                                                  : "Invalid argument"));
    CHECK(connect_as_linux_does(network) == 0);
    CHECK(network.transport->counters().failed == 0);
  }
}

TEST_CASE("a known liar is not tried") {
  Network network(rnic::bnxt_re());
  CHECK(network.said("Broadcom"));
}

TEST_CASE("what the operator says of a device holds: off without a word, on without a trial") {
  {
    Network network(rnic::connectx(), with(RemoteInvalidate::Off));
    CHECK(connect_as_linux_does(network) == 0);
    CHECK(lines_with(network, "invalidate") == 0);
  }
  Network network(rnic::siw(), with(RemoteInvalidate::On));
  CHECK(lines_with(network, kNotUsed) == 0);
  CHECK(connect_as_linux_does(network) == 1);
}

TEST_CASE("a device that fails SEND with invalidate all the same costs one connection, and is not asked again") {
  for (const rnic::Profile& profile : {rnic::bnxt_re(), rnic::vmw_pvrdma(), rnic::ocrdma()}) {
    CAPTURE(profile.name);
    Network network(profile, with(RemoteInvalidate::On));
    {
      ModelHost first(network);
      REQUIRE(first.connect());
      first.take_answers(1);
      first.send_connect();
      CHECK(network.run_until([&] { return network.said("failed to SEND with invalidate"); }));
      CHECK(network.run_until([&] { return network.transport->connections() == 0; }));
    }
    CHECK(connect_as_linux_does(network) == 0);
  }
}

TEST_CASE("the trial compares the key where the device shows one") {
  rnic::Profile profile = rnic::connectx();
  profile.remote_invalidate = rnic::RemoteInvalidate::WrongKey;
  profile.checks_invalidated_keys = false;
  Network network(profile);
  CHECK(lines_with(network, kNotUsed) == 1);
  CHECK(network.said("it invalidated another key"));
  CHECK(connect_as_linux_does(network) == 0);
}

TEST_CASE("an iWARP device reads a host's data: the memory that it reads into may be written remotely") {
  Network network(rnic::siw());
  ModelHost host(network);
  REQUIRE(host.connect());
  host.take_answers(1);
  host.send_connect();
  CHECK(network.run_until([&] { return host.is_answered(1); }));
}

}  // namespace nvmf::test
