// Remote invalidate: devices that can, those that only say so, and what iWARP needs besides.
#include "tests/transport/network.h"

namespace nvmf::test {
namespace {

using rdma::RemoteInvalidate;

constexpr char kNotUsed[] = "SEND with invalidate is not used";
constexpr char kRefusedByAll[] = "hosts refused its SEND with invalidate";

size_t lines_with(const Network& network, const std::string& words) {
  return static_cast<size_t>(std::ranges::count_if(
      network.events, [&](const std::string& line) { return line.find(words) != std::string::npos; }));
}

// A host sends Connect as Linux does, and takes the answer. Returns how many keys the answer has invalidated.
unsigned connect_as_linux_does(Network& network, const char* address = Network::kHost) {
  ModelHost host(network, 0, address);
  REQUIRE(host.connect());
  host.take_answers(1);
  host.send_connect();
  REQUIRE(network.run_until([&] { return host.is_answered(1); }));
  CHECK_FALSE(host.is_disconnected());
  return host.invalidated();
}

// The same. Returns whether the connection is lost instead. `refuses`: a host whose end refuses to invalidate its key.
bool is_lost(Network& network, const char* address, bool refuses) {
  ModelHost host(network, 0, address);
  if (refuses) host.refuse_invalidation();
  REQUIRE(host.connect());
  host.take_answers(1);
  host.send_connect();
  REQUIRE(network.run_until([&] { return host.is_answered(1) || network.transport->connections() == 0; }));
  return host.answered() == 0;
}

rnic::Profile with_wrong_keys() {
  rnic::Profile profile = rnic::connectx();
  profile.remote_invalidate = rnic::RemoteInvalidate::WrongKey;
  return profile;
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

// The trial cannot show the key: no memory of the target's own has one that may be invalidated.
TEST_CASE("a device that invalidates wrong keys costs each host one connection, until three hosts have refused") {
  Network network(with_wrong_keys());
  CHECK(lines_with(network, "SEND with invalidate") == 0);
  const char* const first_hosts[] = {Network::kHost, Network::kOtherHosts[0], Network::kOtherHosts[1]};
  for (const char* const address : first_hosts) {
    CAPTURE(address);
    CHECK(lines_with(network, kRefusedByAll) == 0);
    CHECK(is_lost(network, address, false));
    CHECK(connect_as_linux_does(network, address) == 0);
  }
  CHECK(lines_with(network, kRefusedByAll) == 1);
  CHECK(network.said("\"remote_invalidate\": \"off\""));
  CHECK(connect_as_linux_does(network, Network::kOtherHosts[2]) == 0);
  CHECK(lines_with(network, kRefusedByAll) == 1);
}

TEST_CASE("a host that refuses on purpose makes no difference to others on a good device") {
  Network network(rnic::connectx());
  CHECK(is_lost(network, Network::kHost, true));
  for (unsigned i = 0; i < 10; ++i) CHECK_FALSE(is_lost(network, Network::kHost, true));
  CHECK(connect_as_linux_does(network, Network::kOtherHosts[0]) == 1);
  CHECK(lines_with(network, kRefusedByAll) == 0);
}

TEST_CASE("a host has refused, and its hanging up is found first: the refusal counts all the same") {
  Network network(rnic::connectx());
  {
    ModelHost host(network, 1);
    host.refuse_invalidation();
    REQUIRE(host.connect());
    host.take_answers(1);
    host.send_connect();
    REQUIRE(network.run_until([&] { return host.has_failed(); }));
    host.hang_up();
    network.stall(10'000'000);
    REQUIRE(network.run_until([&] { return network.transport->connections() == 0; }));
  }
  CHECK(lines_with(network, "refused an answer") == 1);
  CHECK(connect_as_linux_does(network) == 0);
}

TEST_CASE("a device that has once invalidated a host's key is believed, however many hosts refuse") {
  Network network(rnic::connectx());
  CHECK(connect_as_linux_does(network, Network::kHost) == 1);
  for (const char* const address : Network::kOtherHosts) {
    CHECK(is_lost(network, address, true));
    CHECK_FALSE(is_lost(network, address, true));
  }
  CHECK(connect_as_linux_does(network, Network::kHost) == 1);
  CHECK(lines_with(network, kRefusedByAll) == 0);
}

TEST_CASE("the trial compares the key where the device shows one") {
  rnic::Profile profile = with_wrong_keys();
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
