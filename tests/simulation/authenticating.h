// Hosts that authenticate (DH-HMAC-CHAP), and impostors: they come with the NQN and the identifier of an honest host,
// from another address, and have no key; some of them after the honest host has authenticated a part of the controller
// from there. None may get in, nor keep an honest host out. Strangers come from its own address, to its own controller.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "target/core/subsystem/dhchap.h"
#include "tests/protocol/dhchap_host.h"
#include "tests/rnic/schedule.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {

enum class Imposture : uint8_t {
  WrongKey,
  Replay,         // the last reply of the honest host, which was right
  Reflection,     // the target's own challenge
  Truncated,      // messages that end too early
  NeverFinishes,  // falls silent, or vanishes, at any message
  GivesUp,        // AUTH_Failure2
  DoesNotBother   // goes on as if it were authenticated
};
inline constexpr unsigned kImpostures = 7;

// The queue that an impostor is at.
enum class Breach : uint8_t {
  AdminQueue,
  IoQueue,          // of a controller whose admin queue has been authenticated with the key
  AdminQueueAgain,  // that and an I/O queue have been: to authenticate again
  IoQueueAgain      // the same
};
inline constexpr unsigned kBreaches = 4;

// Both sides' cryptography and keys. Outlives the world.
class Authenticators final : public core::DhchapCrypto {
 public:
  static constexpr char kImpostorAddress[] = "192.0.2.102";

  // The target has keys for these hosts, which must authenticate; others need not.
  void attach(World& world, const std::vector<std::string>& hostnqns);
  // For HostOptions::authenticate of an honest host.
  std::function<bool(Host& host, HostQueue& queue)> honest(const std::string& hostnqn);
  // On the host's fiber. `victim`: whom it plays.
  void be_impostor(Imposture how, Breach where, const HostOptions& victim);
  // The same several times, anywhere.
  void be_impostor(Imposture how, const HostOptions& victim);
  // At a free queue of the controller of `victim`, which has these options, from its address.
  void be_stranger_at(uint16_t qid, Imposture how, const Host& victim, HostOptions options);
  // How often an impostor came to the point where it needs the key.
  unsigned tried(Breach where) const { return tried_[static_cast<size_t>(where)]; }

  // As long as a worker takes, and the others go on.
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override;
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override;

 private:
  bool authenticate(Host& host, HostQueue& queue, const std::string& hostnqn);
  bool come_in(Imposture how, Breach where, Host& host, const HostOptions& victim);
  void try_it(Imposture how, Host& host, HostQueue& queue, const HostOptions& victim);
  bool begin(std::function<void()> work, std::function<void()> done);

  World* world_ = nullptr;
  rnic::Life life_;
  std::map<std::string, test::Key> keys_;  // by host NQN
  test::Key controller_key_ = auth::DhchapKey::generate(32, {});
  test::Message last_reply_;
  std::array<unsigned, kBreaches> tried_{};
};

}  // namespace nvmf::simulation
