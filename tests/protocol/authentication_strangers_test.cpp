// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: what strangers can do to
// others, which must be nothing.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

using core::FailedAttempts;
using core::limits::kMaxUnauthenticatedControllers;

bool is_refused(const Secured& w) {
  return w.world.target.failed_attempts.is_refused("192.0.2.7", core::Target::Clock::now());
}

constexpr char kSmall[] = "nqn.2024-01.org.example:small";

// With eight controller identifiers, of which two are for hosts that have not authenticated.
void add_small_subsystem(Secured& w) {
  core::SubsystemOptions options;
  options.nqn = kSmall;
  options.ports = {1};
  options.cntlid_max = 8;
  options.hosts = {{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}}};
  w.world.target.add_subsystem(options);
}

TEST_CASE("failures of an address: their answers are delayed, then its hosts are refused, then let in again") {
  Secured w;
  for (unsigned i = 0; i < FailedAttempts::kMost; ++i) {
    Host stranger(w.world);
    REQUIRE(stranger.connect().ok());
    const Bytes message = negotiate({9});
    const size_t sent = stranger.admin.post(auth_send(message.size()), message);
    CHECK(stranger.admin.answered(sent) == (i == 0));
    w.world.target.expire(core::Target::Clock::now() + FailedAttempts::kLongestDelay);
    CHECK(stranger.admin.answered(sent));
  }
  Host honest(w.world);
  const Answer refused = honest.connect();
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK(!refused.do_not_retry);
  CHECK(w.world.target.failed_attempts.refused(core::Target::Clock::now()) == 1);
  CHECK(!w.world.target.failed_attempts.is_refused("192.0.2.8", core::Target::Clock::now()));
}

TEST_CASE("a host whose address was refused is let in as soon as one failure is forgotten") {
  Secured w;
  core::FailedAttempts& attempts = w.world.target.failed_attempts;
  const auto then = core::Target::Clock::now() - FailedAttempts::kForgetAfter;
  for (unsigned i = 0; i < FailedAttempts::kMost; ++i) attempts.add("192.0.2.7", then);
  CHECK(attempts.is_refused("192.0.2.7", then));
  Host honest(w.world);
  CHECK(honest.connect().ok());
}

TEST_CASE("attempts that come to nothing count as a quarter: 36 at once lock nobody out, many more do") {
  Secured w;
  AuthenticationFailure failure{};
  std::function<void(Host&)> come_to_nothing;
  SUBCASE("the connection ends before the host has sent anything") {
    failure = AuthenticationFailure::Abandoned;
    come_to_nothing = [](Host& host) { host.admin.close(); };
  }
  SUBCASE("the connection ends when the host has its challenge") {
    failure = AuthenticationFailure::Abandoned;
    come_to_nothing = [&](Host& host) {
      w.prover(host.admin).begin();
      host.admin.close();
    };
  }
  SUBCASE("the host ends it (AUTH_Failure2)") {
    failure = AuthenticationFailure::HostRejected;
    come_to_nothing = [&](Host& host) {
      Prover prover = w.prover(host.admin);
      prover.begin();
      REQUIRE(prover.send(failure2()).ok());
      CHECK(host.admin.disconnected());
    };
  }
  SUBCASE("the host takes too long") {
    failure = AuthenticationFailure::TimedOut;
    come_to_nothing = [&](Host&) { w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31)); };
  }
  SUBCASE("the host falls silent before it has authenticated") {
    failure = AuthenticationFailure::Abandoned;
    come_to_nothing = [&](Host& host) {
      host.controller().set_keep_alive(1000, core::Target::Clock::now());
      w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(20));
      CHECK(host.admin.disconnected());
    };
  }
  for (unsigned i = 1; i <= 48; ++i) {
    Host host(w.world);
    REQUIRE(host.connect().ok());
    come_to_nothing(host);
    host.admin.close();
    CHECK(w.failures(failure) == i);
    if (i == 36) CHECK(!is_refused(w));
    if (is_refused(w)) break;
  }
  CHECK(is_refused(w));
  CHECK(!w.world.target.failed_attempts.is_refused("192.0.2.7", core::Target::Clock::now() + std::chrono::seconds(6)));
}

TEST_CASE("what the target ends before a host has authenticated is no attempt of the host's") {
  Secured w;
  REQUIRE(w.connect().ok());
  w.admin().begin();
  w.world.subsystem.disconnect_all("the operator disconnects it");
  w.host.admin.close();
  CHECK(w.failures(AuthenticationFailure::Abandoned) == 0);
}

TEST_CASE("the end of a queue that is authenticated is no attempt, whatever it had begun") {
  Secured w;
  w.bring_up_admin();
  w.admin().begin();
  w.host.admin.close();
  CHECK(w.failures(AuthenticationFailure::Abandoned) == 0);
}

TEST_CASE(
    "strangers with a host's NQN take none of its places: it comes in beside them, and they count when they have "
    "authenticated") {
  Secured w;
  w.world.subsystem.set_max_controllers(2, 1);
  std::vector<std::unique_ptr<Host>> strangers;
  for (int i = 0; i < 5; ++i) {
    strangers.push_back(std::make_unique<Host>(w.world));
    REQUIRE(strangers.back()->connect().ok());
  }
  w.bring_up_admin();
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());

  // One of the others has the key: the limit, which it meets now, keeps it out.
  Host& late = *strangers.front();
  w.prover(late.admin).authenticate(w.host_key);
  CHECK(late.admin.disconnected());
  CHECK(late.admin.drops(property_get(NVME_REG_CSTS)));
  CHECK(w.logged("\"max_controllers_per_host\" is 1"));
  CHECK(!w.host.admin.disconnected());
  // Who comes now is told at once.
  Host another(w.world);
  CHECK(another.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
}

TEST_CASE("the limits of the whole target are not reached by hosts that have not authenticated") {
  Secured w;
  w.world.target.set_limits({.max_controllers = 1});
  Host stranger(w.world);
  REQUIRE(stranger.connect().ok());
  w.bring_up_admin();
  w.prover(stranger.admin).authenticate(w.host_key);
  CHECK(stranger.admin.disconnected());
}

TEST_CASE("hosts that have not authenticated take no room for I/O queues from the RNIC") {
  Secured w;
  w.world.io_queue_room = 1;
  Host stranger(w.world);
  REQUIRE(stranger.connect().ok());
  CHECK(w.world.io_queue_room == 1);
  w.bring_up_admin();
  CHECK(w.world.io_queue_room == 0);
  w.prover(stranger.admin).authenticate(w.host_key);
  CHECK(stranger.admin.disconnected());
  CHECK(w.logged("no room for one more I/O queue"));
}

TEST_CASE("a stranger makes no room by a name: a silent controller goes when the new one has authenticated") {
  Secured w;
  w.world.subsystem.set_max_controllers(3, 1);
  w.bring_up_admin();
  w.host.admin.queue.saw_command = false;
  w.host.controller().set_keep_alive(10'000, core::Target::Clock::now() - std::chrono::seconds(8));
  Host again(w.world);
  REQUIRE(again.connect().ok());
  CHECK(!w.host.admin.disconnected());
  w.prover(again.admin).authenticate(w.host_key);
  CHECK(w.host.admin.disconnected());
  CHECK(!again.admin.disconnected());
}

TEST_CASE("a stranger who has gone, while the target still has his message, keeps nobody out by a name") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  Host stranger(w.world);
  stranger.admin.come_from("192.0.2.66:41512");
  REQUIRE(stranger.connect().ok());
  const Bytes message = negotiate({1}, {0});
  const size_t sent = stranger.admin.post(auth_send(message.size()), message);
  stranger.admin.disconnect("the host disconnected");
  w.world.target.dhchap_crypto = &w.crypto;
  REQUIRE(w.connect().ok());
  w.admin().authenticate(w.host_key);
  CHECK(!w.host.admin.disconnected());
  CHECK(!stranger.admin.answered(sent));  // it was not over before
  slow.work();
}

TEST_CASE("an address may have so many controllers that have not authenticated, and no more") {
  Secured w;
  w.world.subsystem.set_max_controllers(UINT16_MAX, UINT16_MAX);
  std::vector<std::unique_ptr<Host>> strangers;
  for (uint32_t i = 0; i < kMaxUnauthenticatedControllers; ++i) {
    strangers.push_back(std::make_unique<Host>(w.world));
    REQUIRE(strangers.back()->connect().ok());
  }
  CHECK(w.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK(w.logged("64 controllers of hosts of the address 192.0.2.7 have not authenticated yet"));
  w.prover(strangers.front()->admin).authenticate(w.host_key);
  Host another(w.world);
  CHECK(another.connect().ok());
}

TEST_CASE("hosts that have not authenticated leave three identifiers of four to those that have") {
  Secured w;
  add_small_subsystem(w);
  std::vector<std::unique_ptr<Host>> strangers;
  const auto stranger = [&](const std::string& address) -> Host& {
    strangers.push_back(std::make_unique<Host>(w.world));
    strangers.back()->admin.come_from(address + ":41512");
    REQUIRE(strangers.back()->connect(kSmall).ok());
    return *strangers.back();
  };
  Host& first = stranger("192.0.2.66");
  Host& second = stranger("192.0.2.66");
  CHECK(!first.admin.disconnected());
  SUBCASE("the oldest of the address that has most makes room") {
    REQUIRE(w.host.connect(kSmall).ok());
    w.admin().authenticate(w.host_key);
    CHECK(!w.host.admin.disconnected());
    CHECK(first.admin.disconnected());
    CHECK(!second.admin.disconnected());
    CHECK(w.failures(AuthenticationFailure::Abandoned) == 0);
  }
  SUBCASE("an address keeps its only one for as long as an honest host may need") {
    Host& other = stranger("192.0.2.67");
    CHECK(first.admin.disconnected());
    CHECK(w.host.connect(kSmall).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
    CHECK(w.logged("too many hosts that have not authenticated yet"));
    CHECK(!second.admin.disconnected());
    CHECK(!other.admin.disconnected());
  }
}

TEST_CASE("a stranger with many IPv6 addresses makes room for the hosts of other networks at once") {
  Secured w;
  add_small_subsystem(w);
  Host first(w.world);
  Host second(w.world);
  first.admin.come_from("[2001:db8::66]:41512");
  second.admin.come_from("[2001:db8::67]:41512");
  for (Host* const stranger : {&first, &second}) REQUIRE(stranger->connect(kSmall).ok());
  SUBCASE("for a host of another network") {
    w.host.admin.come_from("[2001:db8:0:1::66]:41512");
    REQUIRE(w.host.connect(kSmall).ok());
    CHECK(first.admin.disconnected());
    CHECK(w.logged("([2001:db8::66]:41512)"));
  }
  SUBCASE("a neighbour waits until an honest host would be done") {
    w.host.admin.come_from("[2001:db8::68]:41512");
    CHECK(w.host.connect(kSmall).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
    CHECK(!first.admin.disconnected());
  }
  CHECK(!second.admin.disconnected());
}

TEST_CASE(
    "an I/O queue from another address than its controller's is refused: nobody takes a host's queues by its names") {
  Secured w;
  w.bring_up_admin();
  w.host.io(1).come_from("192.0.2.66:41512");
  const Answer refused = w.host.connect_io(1);
  CHECK(refused.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(w.logged("must use one address for all queues of a controller"));
  w.host.io(1).come_from("192.0.2.7:41513");
  CHECK(w.host.connect_io(1).ok());
  CHECK(!w.host.admin.disconnected());
}

TEST_CASE(
    "while an address is refused: I/O queues of its authenticated controllers come in, and these authenticate again") {
  Secured w;
  w.bring_up_admin();
  for (unsigned i = 0; i < FailedAttempts::kMost; ++i)
    w.world.target.failed_attempts.add("192.0.2.7", core::Target::Clock::now());
  REQUIRE(is_refused(w));
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(w.host_key);
  w.admin().authenticate(w.host_key);
  Host another(w.world);
  CHECK(another.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
}

TEST_CASE("a host that was connected before its address was refused is put off: no cryptography, and no failure") {
  Secured w;
  SeeingCrypto crypto;
  w.world.target.dhchap_crypto = &crypto;
  REQUIRE(w.connect().ok());
  Host second(w.world);
  REQUIRE(second.connect().ok());
  Prover prover = w.prover(second.admin);
  prover.begin();
  const unsigned challenges = crypto.challenges;
  for (unsigned i = 0; i < FailedAttempts::kMost; ++i)
    w.world.target.failed_attempts.add("192.0.2.7", core::Target::Clock::now());
  for (uint32_t i = 0; i < 2 * core::limits::kMaxNegotiations; ++i) {
    const Answer negotiated = w.admin().send(negotiate());
    CHECK(negotiated.status == NVME_SC_INTERNAL);
    CHECK(!negotiated.do_not_retry);
  }
  const Bytes reply = prover.reply(w.host_key);
  CHECK(prover.send(reply).status == NVME_SC_INTERNAL);
  CHECK(crypto.challenges == challenges);
  CHECK(crypto.replies == 0);
  // When it is let in again, both go on where they were.
  w.world.target.failed_attempts = {};
  CHECK(prover.send(reply).ok());
  w.admin().authenticate(w.host_key);
}

TEST_CASE("too much of an address waits for the worker: the host may send its message again") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  REQUIRE(w.connect().ok());
  slow.is_full = true;
  CHECK(w.admin().send(negotiate({1}, {0})).status == NVME_SC_INTERNAL);
  slow.is_full = false;
  const Bytes message = negotiate({1}, {0});
  const size_t sent = w.host.admin.post(auth_send(message.size()), message);
  slow.work();
  REQUIRE(w.host.admin.take(sent).ok());
  Prover prover = w.admin();
  prover.take_challenge(prover.receive());
  const Bytes reply = prover.reply(w.host_key);
  slow.is_full = true;
  CHECK(prover.send(reply).status == NVME_SC_INTERNAL);
  w.world.target.dhchap_crypto = &w.crypto;
  CHECK(prover.send(reply).ok());
}

TEST_CASE("a host whose key could not be read costs no cryptography") {
  Secured w;
  SeeingCrypto crypto;
  w.world.target.dhchap_crypto = &crypto;
  w.world.subsystem.set_allowed_hosts(false, {}, {{.nqn = World::kHostNqn, .keys = {}}});
  REQUIRE(w.connect().ok());
  REQUIRE(w.admin().send(negotiate()).ok());
  w.admin().expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(crypto.challenges == 0);
}

// The other host may connect, too: with a key of its own, or by its name alone.
struct TwoHosts : Secured {
  static constexpr char kOther[] = "nqn.2024-01.org.example:other-host";
  TwoHosts() {
    allow({{.nqn = World::kHostNqn, .keys = {host_key, nullptr}}, {.nqn = kOther, .keys = {other_key, nullptr}}});
  }
  void allow(std::vector<core::AuthenticatedHost> hosts, std::vector<std::string> by_name = {}) {
    world.subsystem.set_allowed_hosts(false, std::move(by_name), std::move(hosts));
  }
  void authenticate(Host& who, const Key& key) { Prover(who.admin, who.nqn, who.subnqn).authenticate(key); }

  Key other_key = key_of('h');
  Host other{world, kOther};
};

TEST_CASE("an identifier with which a host has authenticated is that host's: no other host comes with it") {
  TwoHosts w;
  w.bring_up_admin();
  const Answer refused = w.other.connect();
  CHECK(refused.status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(refused.result == (offsetof(nvmf_connect_data, hostid) | 1u << 16));
  CHECK(w.logged("the host identifier is that of host " + std::string(World::kHostNqn)));
  // Also when the host has left: its registrations stay.
  w.host.admin.close();
  CHECK(w.other.connect().status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  // With its own identifier it comes in, and the first one comes again with its own.
  w.other.hostid[0] = 0x43;
  REQUIRE(w.other.connect().ok());
  w.authenticate(w.other, w.other_key);
  CHECK(w.other.enable().ok());
  Host again(w.world);
  CHECK(again.connect().ok());
}

TEST_CASE("two hosts connect with one identifier: the first that authenticates has it, the other is disconnected") {
  TwoHosts w;
  REQUIRE(w.connect().ok());
  REQUIRE(w.other.connect().ok());
  w.authenticate(w.other, w.other_key);
  CHECK(w.host.admin.disconnected());
  CHECK(w.other.enable().ok());
}

TEST_CASE("a host that authenticates keeps its identifier from one that is known by its name alone") {
  TwoHosts w;
  w.allow({{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}}}, {TwoHosts::kOther});
  w.other.bring_up(1);
  w.bring_up_admin();
  CHECK(w.other.admin.disconnected());
  CHECK(w.logged("has authenticated with the same host identifier"));
  Host again(w.world, TwoHosts::kOther);
  CHECK(again.connect().status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(again.connect(nvme::kDiscoveryNqn).ok());
}

TEST_CASE("a host that has no key any more owns no identifier") {
  TwoHosts w;
  w.bring_up_admin();
  w.host.admin.close();
  w.allow({{.nqn = TwoHosts::kOther, .keys = {w.other_key, nullptr}}});
  CHECK(w.other.connect().ok());
}

TEST_CASE("hosts that are known by their names alone may share an identifier, as ever") {
  World world;
  Host one(world);
  Host other(world, TwoHosts::kOther);
  one.bring_up(1);
  other.bring_up(1);
  CHECK(!one.admin.disconnected());
}

}  // namespace
}  // namespace nvmf::test
