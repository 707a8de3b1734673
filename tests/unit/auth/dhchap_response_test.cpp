// The responses of DH-HMAC-CHAP, with exchanges of Linux 7.3's host (R1) and its own target nvmet (R2), as they went
// over the wire: group NULL, mutual, one exchange for each hash function. With a group, whose exponents are on no wire:
// the kernel's test vector of FFDHE-2048, and what the specification makes of it (make_ffdhe2048_exchange); exchanges
// with nvmet are in nvmet_exchange_test.cpp.
#include "target/auth/dhchap_response.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "target/auth/dhchap_key.h"
#include "target/auth/diffie_hellman.h"
#include "tests/unit/auth/bytes.h"
#include "tests/unit/auth/ffdhe2048_exchange.h"

namespace nvmf::auth {
namespace {

using nvme::DhchapHash;
using Bytes = std::vector<uint8_t>;
using Verdict = core::DhchapTransaction::Verdict;

constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555";
constexpr char kSubsysNqn[] = "nqn.2025-01.org.example:kernel";

struct Exchange {
  DhchapHash hash;
  const char* host_key;
  const char* controller_key;
  uint32_t s1;
  uint32_t s2;
  const char* c1;
  const char* r1;
  const char* c2;
  const char* r2;
};

constexpr Exchange kExchanges[] = {
    {DhchapHash::Sha256, "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:",
     "DHHC-1:01:CLaL/jAMKMoXgYx8Xmn+hfg/Ru5pu6fxenBJVOu4cf3z+K/D:", 801801666, 1973668324,
     "e8a03fa69d127d2225e8d6b7cc06173c3fd9782906da95ba6c2ec5a0fe35280e",
     "aff7e67eb545637fe973026f28c4878ede7e320eaef7b8ddeb197d0bde05ff1e",
     "fbe4a601bee4905721dcf6a868ee2cb06ae7a35b4db8fd2f254329492ba2218c",
     "f54b86ff3d2e4c3535bdc5a99f0802217862ecf81377880d04ca41bf02282687"},
    {DhchapHash::Sha384, "DHHC-1:02:GLAERPikGd/Jp1/UMM085Wc7uiFH9FBMmAM9cO35d0Nlve223jX0up/jJ4P8XIko29duTw==:",
     "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:", 801801667, 1973668325,
     "e90ed035df481ec020d243a147fc422c785c983a060a3e02cabdf63369e1cf4e593d0e20811b9067304fffe7d3f8d439",
     "40d3ab2f80f6569770edcdce1942e46e86c9d4d5f532ee6a5cea929d33fb794d7b7ac913245308f27dc4298870cd4055",
     "53a86a793ed3c9c699bdf9b0d46360db6639a653444dfd6878287c7354d81e163b991e68f61585fc546e64472ae0bc0d",
     "416883df55307e9908b9262ddeb15d502753f8b1e476da25de0178a53cf29ab3ea4a9c7e527710e2e18b1adb5cb8f2d7"},
    {DhchapHash::Sha512,
     "DHHC-1:03:eeyGD70Vi/N0TVFo+oDU/kfKXtc5fKIPB99TLxUSz+aM5usPXA8A/ohKfod+ukxStAu2vgyIbOcxgjx1vRc5ucqf4Ic=:",
     "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P4zODhA=:",
     801801668, 1973668326,
     "bc67ef6869a477a7e2f4523574b7ec09ed919dd942afbbb4dfb797bbc53f5b2ab13000eae20aa94709db910ce8bc4b672996f07203b16a898"
     "d9931780ae64874",
     "9757e8c48432ef762eb98955611c9dfbfc86e8a7d96934c794c5af6c316c71793f4eef8e5aa5cbb03d359d0e64f2f1f00b81728c355a8d326"
     "2eba5299ee00a9a",
     "8175ce893cc404fc68c8089c5277b574b346584a3b43594862418039742b5e2d3b72a54f9d2c5e200b48c2ae5bb2f8b622f640065a989e26e"
     "843529a35253cba",
     "a5de79e8ce21ac77c9a104217bac869880e699e36bcab9a53fe05b0949dd3e6141fa60cf0fe293094bddc664b38e6db2921c8d412362011f9"
     "f786e6b21b67849"}};

core::DhchapTransaction transaction_of(const Exchange& exchange) {
  core::DhchapTransaction transaction;
  transaction.hostnqn = kHostNqn;
  transaction.subsysnqn = kSubsysNqn;
  transaction.t_id = 0;
  transaction.hash = exchange.hash;
  transaction.s1 = exchange.s1;
  transaction.s2 = exchange.s2;
  transaction.c1 = bytes_of(exchange.c1);
  transaction.r1 = bytes_of(exchange.r1);
  transaction.c2 = bytes_of(exchange.c2);
  transaction.keys = {{DhchapKey::parse(exchange.host_key), DhchapKey::parse(exchange.controller_key)}};
  return transaction;
}

TEST_CASE("the kernel host's response is right, and the answer to it is nvmet's") {
  for (const Exchange& exchange : kExchanges) {
    core::DhchapTransaction transaction = transaction_of(exchange);
    check_reply(transaction);
    CHECK((transaction.verdict == Verdict::Right));
    CHECK(transaction.r2 == bytes_of(exchange.r2));
  }
}

TEST_CASE("with any value of the exchange changed the response is wrong") {
  for (const Exchange& exchange : kExchanges) {
    const auto refuse = [&exchange](void (*change)(core::DhchapTransaction&)) {
      core::DhchapTransaction transaction = transaction_of(exchange);
      change(transaction);
      check_reply(transaction);
      CHECK((transaction.verdict == Verdict::WrongResponse));
    };
    refuse([](core::DhchapTransaction& transaction) { ++transaction.s1; });
    refuse([](core::DhchapTransaction& transaction) { ++transaction.t_id; });
    refuse([](core::DhchapTransaction& transaction) { transaction.c1.front() ^= 1; });
    refuse([](core::DhchapTransaction& transaction) { transaction.r1.back() ^= 1; });
    refuse([](core::DhchapTransaction& transaction) { transaction.r1.pop_back(); });
    refuse([](core::DhchapTransaction& transaction) { transaction.hostnqn.pop_back(); });
    refuse([](core::DhchapTransaction& transaction) { transaction.subsysnqn.pop_back(); });
    refuse([](core::DhchapTransaction& transaction) { transaction.keys[0].host = transaction.keys[0].controller; });
    refuse([](core::DhchapTransaction& transaction) { transaction.keys.clear(); });
  }
}

core::DhchapTransaction transaction_of(const FfdheExchange& exchange) {
  core::DhchapTransaction transaction;
  transaction.hostnqn = kFfdheHostNqn;
  transaction.subsysnqn = kFfdheSubsysNqn;
  transaction.t_id = kFfdheTid;
  transaction.hash = exchange.hash;
  transaction.group = nvme::DhGroup::Ffdhe2048;
  transaction.s1 = kFfdheS1;
  transaction.c1 = bytes_of(exchange.c1);
  transaction.exponent = std::make_unique<DhExponent>(transaction.group, bytes_of(kFfdheExponent));
  transaction.r1 = bytes_of(exchange.r1);
  transaction.c2 = bytes_of(exchange.c2);
  transaction.s2 = kFfdheS2;
  transaction.host_dh_value = bytes_of(kFfdheHostValue);
  transaction.keys = {{DhchapKey::parse(kFfdheHostKey), DhchapKey::parse(kFfdheControllerKey)}};
  return transaction;
}

TEST_CASE("the kernel's exponent of FFDHE-2048 gives the kernel's DH value, and what the kernel shares") {
  const DhExponent exponent(nvme::DhGroup::Ffdhe2048, bytes_of(kFfdheExponent));
  CHECK(exponent.value() == bytes_of(kFfdheControllerValue));
  const auto shared = exponent.shared_with(bytes_of(kFfdheHostValue));
  REQUIRE(shared);
  CHECK(bytes_of(*shared) == bytes_of(kFfdheShared));
}

TEST_CASE("with FFDHE-2048 the response is right, and the answer to it as the specification has it") {
  for (const FfdheExchange& exchange : kFfdheExchanges) {
    core::DhchapTransaction transaction = transaction_of(exchange);
    check_reply(transaction);
    CHECK((transaction.verdict == Verdict::Right));
    CHECK(transaction.r2 == bytes_of(exchange.r2));
    transaction = transaction_of(exchange);
    transaction.host_dh_value.back() ^= 1;
    check_reply(transaction);
    CHECK((transaction.verdict == Verdict::WrongResponse));
  }
}

}  // namespace
}  // namespace nvmf::auth
