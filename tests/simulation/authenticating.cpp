#include "tests/simulation/authenticating.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nvmf::simulation {
namespace {

using nvme::AuthId;
using nvme::AuthType;
using test::DhchapHost;
using test::Message;

constexpr uint64_t kWorkNs = 200'000;  // of the worker, typically
// By imposture, and by breach.
constexpr std::array<const char*, kImpostures> kImpostureNames{
    "has a wrong key", "replays a reply", "reflects the challenge",         "cuts its messages off",
    "never finishes",  "gives up",        "does not bother to authenticate"};
constexpr std::array<const char*, kBreaches> kBreachNames{"the admin queue", "an I/O queue", "the admin queue, again",
                                                          "an I/O queue, again"};

std::string text_of(const std::string& who, Imposture how) {
  return who + " that " + kImpostureNames[static_cast<size_t>(how)];
}

// False: refused, or the connection has ended.
bool send(Host& host, HostQueue& queue, const Message& message) {
  return host.run(queue, test::auth_send(message.size()), Direction::ToController, message).ok();
}

std::optional<Message> receive(Host& host, HostQueue& queue) {
  Answer answer = host.run(queue, test::auth_receive(), Direction::ToHost, Bytes(test::kAuthMessageBytes));
  if (!answer.ok()) return std::nullopt;
  return std::move(answer.data);
}

bool is(const std::optional<Message>& message, AuthId id) {
  return message && test::is_message(*message, id == AuthId::Failure1 ? AuthType::Common : AuthType::DhHmacChap, id);
}

}  // namespace

void Authenticators::attach(World& world, const std::vector<std::string>& hostnqns) {
  world_ = &world;
  world.target.dhchap_crypto = this;
  world.host_device.add_address(kImpostorAddress);
  std::vector<core::AuthenticatedHost> hosts;
  for (const std::string& nqn : hostnqns) {
    keys_[nqn] = auth::DhchapKey::generate(32, nvme::DhchapHash::Sha256);
    hosts.push_back({.nqn = nqn, .keys = {keys_[nqn], controller_key_}});
  }
  world.subsystem().set_allowed_hosts(true, {}, std::move(hosts));
}

bool Authenticators::make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) {
  return begin([&transaction] { auth::make_challenge(transaction); }, std::move(done));
}

bool Authenticators::check_reply(core::DhchapTransaction& transaction, std::function<void()> done) {
  return begin([&transaction] { auth::check_reply(transaction); }, std::move(done));
}

bool Authenticators::begin(std::function<void()> work, std::function<void()> done) {
  rnic::Schedule& schedule = world_->fabric.schedule();
  schedule.after(schedule.delay_ns(kWorkNs), life_, [this, work = std::move(work), done = std::move(done)] {
    work();
    done();
    world_->transport()->turn_admin();
  });
  return true;
}

std::function<bool(Host& host, HostQueue& queue)> Authenticators::honest(const std::string& hostnqn) {
  return [this, hostnqn](Host& host, HostQueue& queue) {
    if (!authenticate(host, queue, hostnqn)) return false;
    return !world_->fabric.schedule().random().chance(20) || authenticate(host, queue, hostnqn);
  };
}

bool Authenticators::authenticate(Host& host, HostQueue& queue, const std::string& hostnqn) {
  rnic::Random& random = world_->fabric.schedule().random();
  DhchapHost side(hostnqn, World::kNqn);
  if (!send(host, queue, test::negotiate({1, 2, 3}, {static_cast<uint8_t>(random.chance(5) ? 1 : 0)}))) return false;
  const auto challenge = receive(host, queue);
  if (!challenge) return false;
  if (!is(challenge, AuthId::Challenge)) return world_->fabric.fault("an honest host got no challenge"), false;
  side.take_challenge(*challenge);
  const bool mutual = random.chance(50);
  last_reply_ = side.reply(keys_.at(hostnqn), std::vector<uint8_t>(mutual ? side.c1.size() : 0, 0x5c));
  if (!send(host, queue, Message(last_reply_))) return false;
  const auto success = receive(host, queue);
  if (!success) return false;
  if (!is(success, AuthId::Success1)) return world_->fabric.fault("an honest host was refused"), false;
  if (!mutual) return true;
  const std::vector<uint8_t> r2 = test::slice(*success, sizeof(nvme::DhchapSuccess1), side.c1.size());
  if (r2 != side.expected_r2(controller_key_)) world_->fabric.fault("the controller's response is wrong");
  return send(host, queue, test::success2());
}

// What follows is only for hosts that do not have the key.
void Authenticators::be_impostor(Imposture how, const HostOptions& victim) {
  rnic::Random& random = world_->fabric.schedule().random();
  for (int i = 0; i < 8; ++i) {
    const uint64_t until = world_->fabric.now_ns() + random.below(5'000'000);
    world_->wait([&] { return world_->fabric.now_ns() >= until; });
    be_impostor(how, static_cast<Breach>(random.below(kBreaches)), victim);
  }
}

void Authenticators::be_impostor(Imposture how, Breach where, const HostOptions& victim) {
  world_->fabric.note(text_of("an impostor", how) + " at " + kBreachNames[static_cast<size_t>(where)]);
  HostOptions options = victim;
  options.address = kImpostorAddress;
  options.keep_alive_ms = 500;  // how the target misses one that dies
  options.authenticate = [=, this](Host& host, HostQueue& queue) {
    const bool is_admin = &queue == &host.admin();
    if (where == Breach::AdminQueue) return true;
    if (where != Breach::IoQueue || is_admin) return authenticate(host, queue, victim.nqn);
    ++tried_[static_cast<size_t>(where)];
    try_it(how, host, queue, victim);
    return true;
  };
  Host host(*world_, options);
  if (!come_in(how, where, host, victim)) return;
  const bool has_admin_queue = where == Breach::IoQueue;
  if (!has_admin_queue && (host.identify_controller().ok() || host.property_get(NVME_REG_CSTS).ok()))
    return world_->fabric.fault("got in: " + text_of("an impostor", how));
  if (where != Breach::AdminQueue && (host.read(1, 0, 1).ok() || host.write(1, 0, Bytes(1u << World::kLbaShift)).ok()))
    return world_->fabric.fault("has an I/O queue: " + text_of("an impostor", how));
  world_->fabric.schedule().random().chance(50) ? host.die() : host.vanish();
}

void Authenticators::be_stranger_at(uint16_t qid, Imposture how, const Host& victim, HostOptions options) {
  world_->fabric.note(text_of("a stranger", how) + " at queue " + std::to_string(qid));
  options.authenticate = [this, how, victim_options = options](Host& host, HostQueue& queue) {
    try_it(how, host, queue, victim_options);
    return true;
  };
  Host stranger(*world_, options);
  stranger.claim(victim.cntlid());
  if (!stranger.connect_io(qid)) return world_->fabric.fault("a stranger did not come so far: " + stranger.failure);
  if (stranger.read(1, 0, 1).ok()) world_->fabric.fault("has an I/O queue: " + text_of("a stranger", how));
}

// False: the target did not let it come so far, or there is nothing to be gained.
bool Authenticators::come_in(Imposture how, Breach where, Host& host, const HostOptions& victim) {
  if (where == Breach::IoQueue) return host.bring_up();
  const bool is_again = where != Breach::AdminQueue;
  // A queue that does not fail to authenticate again stays authenticated.
  if (is_again && (how == Imposture::NeverFinishes || how == Imposture::DoesNotBother)) return false;
  if (!(is_again ? host.bring_up() : host.connect_admin())) return false;
  ++tried_[static_cast<size_t>(where)];
  const uint64_t begun_ns = world_->fabric.now_ns();
  try_it(how, host, where == Breach::IoQueueAgain ? host.io(1) : host.admin(), victim);
  // A queue that a disturbance has ended before it could fail leaves the others what they are.
  return !is_again || !world_->is_disturbed_since(begun_ns);
}

void Authenticators::try_it(Imposture how, Host& host, HostQueue& queue, const HostOptions& victim) {
  rnic::Random& random = world_->fabric.schedule().random();
  const auto cut = [&](Message message) {
    if (how == Imposture::Truncated && random.chance(60)) message.resize(1 + random.below(message.size() - 1));
    return message;
  };
  const auto stops = [&] { return how == Imposture::NeverFinishes && random.chance(40); };
  if (how == Imposture::DoesNotBother || stops() || !send(host, queue, cut(test::negotiate({1}, {0}))) || stops())
    return;
  const auto challenge = receive(host, queue);
  if (!is(challenge, AuthId::Challenge) || stops()) return;
  if (how == Imposture::GivesUp) return static_cast<void>(send(host, queue, test::failure2()));
  DhchapHost side(victim.nqn, World::kNqn);
  side.take_challenge(*challenge);
  const test::Key wrong = auth::DhchapKey::generate(32, {});
  Message reply = side.reply(wrong, how == Imposture::Reflection ? side.c1 : std::vector<uint8_t>());
  if (how == Imposture::Replay && !last_reply_.empty()) reply = last_reply_;
  if (!send(host, queue, cut(std::move(reply)))) return;
  if (is(receive(host, queue), AuthId::Success1)) world_->fabric.fault("an impostor's reply was taken for right");
  if (random.chance(50)) send(host, queue, test::success2());
}

}  // namespace nvmf::simulation
