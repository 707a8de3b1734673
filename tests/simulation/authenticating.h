// Hosts that authenticate (DH-HMAC-CHAP), and impostors: they come with the NQN and the identifier of an honest host,
// from another address, and have no key. None may get in, nor keep an honest host out.
#pragma once

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

// Both sides' cryptography and keys. Outlives the world.
class Authenticators final : public core::DhchapCrypto {
 public:
  static constexpr char kImpostorAddress[] = "192.0.2.102";

  // The target has keys for these hosts, which must authenticate; others need not.
  void attach(World& world, const std::vector<std::string>& hostnqns);
  // For HostOptions::authenticate of an honest host.
  std::function<bool(Host& host, HostQueue& queue)> honest(const std::string& hostnqn);
  // On the host's fiber. `victim`: whom it plays.
  void be_impostor(Imposture how, const HostOptions& victim);

  // As long as a worker takes, and the others go on.
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override;
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override;

 private:
  bool authenticate(Host& host, HostQueue& queue, const std::string& hostnqn);
  void try_it(Imposture how, Host& host, const HostOptions& victim);
  bool begin(std::function<void()> work, std::function<void()> done);

  World* world_ = nullptr;
  rnic::Life life_;
  std::map<std::string, test::Key> keys_;  // by host NQN
  test::Key controller_key_ = auth::DhchapKey::generate(32, {});
  test::Message last_reply_;
};

}  // namespace nvmf::simulation
