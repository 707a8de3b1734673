// Made by make_ffdhe2048_exchange, which says how.
#pragma once

#include <cstdint>

#include "target/nvme/authentication.h"

namespace nvmf::auth {

inline constexpr char kFfdheHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555";
inline constexpr char kFfdheSubsysNqn[] = "nqn.2025-01.org.example:kernel";
inline constexpr char kFfdheHostKey[] = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
inline constexpr char kFfdheControllerKey[] =
    "DHHC-1:00:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5voBXMjQ==:";
inline constexpr uint16_t kFfdheTid = 4660;
inline constexpr uint32_t kFfdheS1 = 2309737967;
inline constexpr uint32_t kFfdheS2 = 16909060;
inline constexpr char kFfdheExponent[] =
    "237dd006fd7ae57a08da9831c0b3d585e20d2a915f784ba662d0a635d4ef8639f1db715eb0112eee913aaaf9e3df8d8b"
    "4841dee87853c55f93d2790dbe8d83e88f00d2de13180405206ddafa1d0b24523a182be11eae153b0faa0909f60198e9"
    "815d6b836e55f15d6f6f0d9da872326360e60bc522e2f94658a21c2ab0d5afe35b03b736b7ba5520087c51d489429c14"
    "23e2713e152a0d348adead841115721842430ae25829b3900f56d88a0f0ebc0e9ce7d5e65bbf06643812a58d5b6834dd"
    "7548c9a7a3585a1ce1b2c5e33903cfabc21407af5580c763e403ebe90a2561851d0e81527bbc4a0cc8596aac18fb8c0c"
    "b479bda14cbb02c9d513883d25aa7749";
inline constexpr char kFfdheHostValue[] =
    "5c006fdafe4c0cc218ffa9ec7abe8a51646b57f8ede23677c123bf56a64876340ef36805456a985b9e8bc01129cb5b66"
    "2dc2eb4cf17d8530aad5f5b8d3621e971e3418f8768c10ca1fe45d62e1be61efaf2c8d9715a586d5d3126fece2a4b25a"
    "351dd491a6ef1309659c45c012ad7fee935dfa89267daeeeea8ca3cf042da0c7d91462afdfa033d75e83a2e60e0e5d77"
    "cee672e4ec9dff729f38951996ba4ce35fb8464a1de9627ba8dce761906bb9d4ad0ba306b370faea2bc42cde4337f68d"
    "72f0869abb3b8e7a710330302a5dcd1ee4d30807751717721e776c980d297face7b2eea91c339d0839e1d85be5bc48b2"
    "b6dfcda04206ccfbed606fbc57ac0945";
inline constexpr char kFfdheControllerValue[] =
    "8bdbc1f7c6baa138956aa1b6045eae5272fcef2d9d71059cd302a9fb550ffac9b43451a328898d9392cbd9b5b966fc67"
    "15926f738515e2fc116b978c4b0f12fa8d72769b8f3bfe31be42884cd2b270a6a5e37e73071236aac95c83e1f146414f"
    "7c52afdca4e682a38683475a123a0ce3dddb94032a5991a019e5f807dd546a2243b7f374d7b930fe9ce8d1cf064368b9"
    "548f54a2e53cf2c34ceed47c5d0eb17b1668b5b37dd411835c7717c4f059767a8340e5d94c76235b176dee4a92684b89"
    "a06d238c8031333a12f450a6cb139701b82ce6d238dfd07fc627190eb207fd1f1b9c1b87f9736a3f7fb0f92f3c199fc9"
    "8f97210e8ebb1a172015ddc64260ae4d";
inline constexpr char kFfdheShared[] =
    "f30e647b66d7827eab7e4abe136f433dea4f1f8b9d415671e106960268fa446ee7f226d4014af0282576add7e01774fe"
    "f9e16dd3f7c7dfc062a5f34e1b5c772afb0b87c3de1ec1e0d37ab80202ec9c97fb34a020102387b29a72e33db21850f3"
    "6ad3d319c436d559d6d6a75cc3f90933a1f5b94bf30be14f796b45f2ec8be5699fc60501fe3a13fd6dea0383297c7ff5"
    "415595de7e62aeaf28db7ca9901eb2b11beff12ede47aaa8929a493dc0e08dbb0c4286af00ceb0ab227ce9beb9722fcf"
    "5e5d62522ad1fecca2f340fd01a7540aa1fb1cf244a647305aba2a05ffd06cabebe68ff6d773a30e6c0ecffd8e165de0"
    "2c1105823c22166c5261cfbbfff806d0";

struct FfdheExchange {
  nvme::DhchapHash hash;
  const char* c1;
  const char* r1;
  const char* c2;
  const char* r2;
};

inline constexpr FfdheExchange kFfdheExchanges[] = {
    {nvme::DhchapHash::Sha256, "f903e475bb0200573eab0783b321eee23b7decf91e323c7c3d2866e9a02c2a6b",
     "72b7fd54c71eba82223829154f0ff8aa2fee8353fa82fe28e420813139c6a4a0",
     "e954cf2014c932e657a553bc73e3f3ea1bfb14aa259c20835536780ea0bb1505",
     "4a1d1b2459d90a2476fe35cb7a3c8c4be5365043ea4747442bdddb68f30e997f"},
    {nvme::DhchapHash::Sha384,
     "f903e475bb0200573eab0783b321eee23b7decf91e323c7c3d2866e9a02c2a6be46e44e78dc92f4b6f7f1cc4d41c2d33",
     "17b5447af59b10319cf4f00d0d3d7ab608559ea01c7c91042d51630ff3bac2148fbb0e3e3e60352686e7ca63c9eb450a",
     "e954cf2014c932e657a553bc73e3f3ea1bfb14aa259c20835536780ea0bb1505db22afe27ec19a0b07c10af320f2ce6c",
     "090cb2f74dcd52c9894492e31986b17c7f8735e9b5706963087753e0f39ddadc1578ed5a2c27d14b713cd5fadd09fbf3"},
    {nvme::DhchapHash::Sha512,
     "f903e475bb0200573eab0783b321eee23b7decf91e323c7c3d2866e9a02c2a6be46e44e78dc92f4b6f7f1cc4d41c2d33"
     "356adf1a8ee581609845a1b9cedd2938",
     "c76797711cc1706db7c070a3196ff230f0f2aeb081aef1bc13540fac96ff0dcde9e88ecc9a7b964fe871c7e7dd57087b"
     "ec0ea46519f68ea7e60075db65b639fb",
     "e954cf2014c932e657a553bc73e3f3ea1bfb14aa259c20835536780ea0bb1505db22afe27ec19a0b07c10af320f2ce6c"
     "67aa233a364ac3e3c5d9cf4dada65b96",
     "2e1617f25d92a734120cf0369bda3d9a7090f1864a17b9ac8d2e0dfa80345c28b99ec582d95f6f2c0302129df87c8a9f"
     "2fc148812b8277e0445ce75b7e7b3f0b"},
};

}  // namespace nvmf::auth
