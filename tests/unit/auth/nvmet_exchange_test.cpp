// Exchanges with nvmet of Linux 7.3 over FFDHE-2048, mutual, one for each hash function, as `hostile_host exchanges`
// prints them: nvmet took R1, and made R2.
#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

#include "target/auth/dhchap_key.h"
#include "target/auth/dhchap_response.h"
#include "target/auth/diffie_hellman.h"
#include "tests/unit/auth/bytes.h"
#include "tests/unit/auth/ffdhe2048_exchange.h"

namespace nvmf::auth {
namespace {

using nvme::DhchapHash;
using Bytes = std::vector<uint8_t>;

struct Exchange {
  DhchapHash hash;
  uint32_t s1;
  const char* c1;
  const char* controller_value;
  const char* r1;
  const char* r2;
};

constexpr Exchange kExchanges[] = {
    {DhchapHash::Sha256, 2526682272, "9e22734618749016690c542e146838e981e2529eaed6a38f90b29273f6299243",
     "d1a142be5289c53307ec17da142cc7498caf794800cb957860f8b448274b443d2942f9b5be6c192dcf0637716ec720cdc2f5eaf2081d684db"
     "0a786473c14d7b024e43aeafda0597eb062384ced5e38e86aa8e0a88e29055f3bbe82eabd5bc418dc28d2f49d1d04492adbfabf20de05e2d7"
     "601826e422fecb6621908181c0a56f4fbf6a2f5a165f1ee8056d6b3681b9f06bff45b46d0880e89a2984934c7f232d4666aa2edbdf19e48ad"
     "a40b58b864bf80dff8101a7b484edfa602c153b545c37eac620ccf4a2b44d19fb8984b54f32869ec0702f7cce2652325a0e6c839df19950cc"
     "e5e73e1e2eba1e56faa85f8d34865d66cde4498ab82232f9ca57eab05ec0",
     "2691a7f689caac7177446a3874fec721138844f98774738c712c7c58a406997e",
     "13ef7db79be4343102e7d1d268637d9acada9573fbe4fd42887f66ca0795c0cd"},
    {DhchapHash::Sha384, 2526682273,
     "f7bed695c8ce608054c2d6ccf600757449beeb02b5ace487735a8aff46fdfa17621009bebabca19bf845c4e3fc89f410",
     "f3709cb0ddc986532f46b22487c7ddd8b903bfbf7ece5060fb67229b47b2f29e83e89062935a72d7db60691e908e40ae83a4757c0f07d1468"
     "1ffb952ae4eb0fdf65d4f833f2ce5bfa5b63aa4979368da86c3b14d81a2be8a2fde3d4d236ae1f8bf7475cf659a6651d4232cb4c0dfd1900e"
     "e9bd0ac99d471219941cae5970c3425d28ac17f3b8ae5cdbd71b0b2213e00f05dbee6543c7be34ae0d3658ad5ec7e39fe0f7940f1e72d3873"
     "d63cda3a944e8dd915022df5b30a549ee0f851c049c5ea76a5f40e4dcd70870c2fb4dc97acdd3073ae4f2d1b55f40f60d6640b218ea17086d"
     "35f17165147a2435e1d390570227f04678fa45e0e2e6ac3f24fd8499cb77",
     "019b6f16763450e2b2e2f9ba194e4a4a1b5508cabdc5c73734dafc1765cda4c0bdebd6f9f25613277583ade3ec7d35e1",
     "5154a95a990e5777195f88a43e6e8219ed7cfce4b6d5c03ddf913cd930d3a49b634a8bbbb6e11cfcef92f18a2dcf0925"},
    {DhchapHash::Sha512, 2526682274,
     "2e343a91f21bdc78146ee9f65548ede76dc378b010caa5d510560cc4ad4067e77cb0ee0db3c833f161ba1c2d223f2d7559b68e3d3d445a995"
     "af597cb0d781035",
     "727248b3fedb38290b5a23f2272745d3963b54d54a6f08c24fb97e43950722f56a7a60398832b64c335abbe511dfddeda6a1ef3bf77fa29c1"
     "ab635592ff24291a22f5a7ed02fb22a97356f8b65dd850bda64b9487033dd195560b9a2bd3cde90a48e4748d80480c900337272fecdc3647d"
     "3c2be3b65c546f202391e8600ebb60cd487bcc5dc752b29c95a624167e0e2598946db302efeffb6cb85d3de9f53321e29c821788a5d29ad89"
     "54dd6a803dd266058b58efdb979706d16bc6317da83534cb6bae6833e3e8a0c3f8f08dcd863fc2a2bd887ff547fa535f902e16b66d1efd697"
     "cc4bee07cc3032079faa59511f166b9c979c10173407bfc3a5e8fe1a3a04",
     "721c01a1ad4c9408d710c3dd6aaf3727aa596f123de6dace64866a4b800849f75e3a14219e3fd1d3768d69f524d65a7ffa71d67ab20c4d437"
     "e424f842e85dd11",
     "bfdabc2876f907f0d620f4a542a4275ba11c5fec8e42eb27a0d0c23ca24b0c78172a2a011ca8c5b0b6b044b785634000f5a8d3d9bc20b4dd1"
     "8a46b9edd3c27cc"}};

TEST_CASE("with FFDHE-2048 nvmet takes the host's response, and its answer is the right one") {
  const DhExponent exponent(nvme::DhGroup::Ffdhe2048, bytes_of(kFfdheExponent));
  for (const Exchange& exchange : kExchanges) {
    const auto shared = exponent.shared_with(bytes_of(exchange.controller_value));
    REQUIRE(shared);
    const auto input_of = [&](const Secret& augmented, uint32_t seqnum) {
      return ResponseInput{exchange.hash, augmented.bytes(), seqnum, kFfdheTid, 0, kFfdheHostNqn, kFfdheSubsysNqn};
    };
    const Bytes c1 = bytes_of(exchange.c1);
    const Secret host_challenge = augmented_challenge(exchange.hash, shared->bytes(), c1);
    const Secret host_secret = DhchapKey::parse(kFfdheHostKey)->transformed(kFfdheHostNqn);
    CHECK(bytes_of(host_response(host_secret.bytes(), input_of(host_challenge, exchange.s1))) == bytes_of(exchange.r1));

    Bytes c2(c1.size());
    std::iota(c2.begin(), c2.end(), static_cast<uint8_t>(exchange.hash));
    const Secret own_challenge = augmented_challenge(exchange.hash, shared->bytes(), c2);
    const Secret secret = DhchapKey::parse(kFfdheControllerKey)->transformed(kFfdheSubsysNqn);
    CHECK(bytes_of(controller_response(secret.bytes(), input_of(own_challenge, kFfdheS2))) == bytes_of(exchange.r2));
  }
}

}  // namespace
}  // namespace nvmf::auth
