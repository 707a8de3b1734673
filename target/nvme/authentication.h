// In-band authentication, DH-HMAC-CHAP: NVMe Base 2.1, section 8.3.4 (Base 2.0: 8.13; Base 2.4 names it KX-HMAC-CHAP);
// the commands: sections 6.1 and 6.2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/nvme/command.h"

namespace nvmf::nvme {

// FCTYPE.
inline constexpr uint8_t kFctypeAuthenticationSend = 0x05;
inline constexpr uint8_t kFctypeAuthenticationReceive = 0x06;

// Authentication Send and Authentication Receive.
struct AuthenticationCommand {
  uint8_t opcode;
  uint8_t flags;
  uint16_t cid;
  uint8_t fctype;
  uint8_t reserved5[19];
  SglDescriptor sgl1;
  uint8_t reserved40;
  uint8_t spsp0;
  uint8_t spsp1;
  uint8_t secp;
  uint32_t length_bytes;  // of Send: TL; of Receive: AL
  uint8_t reserved48[16];
};
static_assert(sizeof(AuthenticationCommand) == 64);
static_assert(offsetof(AuthenticationCommand, spsp0) == 41 && offsetof(AuthenticationCommand, length_bytes) == 44);

inline constexpr uint8_t kSecpNvmeof = 0xe9;  // the only SECP of these commands; both SPSP bytes are 01h
inline constexpr uint8_t kSpspNvmeof = 0x01;

// AUTHREQ in dword 0 of Connect's completion.
inline constexpr uint32_t kAuthreqAtr = 1u << 17;   // authentication is required
inline constexpr uint32_t kAuthreqAscr = 1u << 18;  // and a secure channel

enum class AuthType : uint8_t { Common = 0x00, DhHmacChap = 0x01 };

enum class AuthId : uint8_t {
  Negotiate = 0x00,
  Challenge = 0x01,
  Reply = 0x02,
  Success1 = 0x03,
  Success2 = 0x04,
  Failure2 = 0xf0,
  Failure1 = 0xf1,
};

// HashID.
enum class DhchapHash : uint8_t { Sha256 = 1, Sha384 = 2, Sha512 = 3 };
// Its HL, in bytes; 0: there is no such hash function.
constexpr size_t hash_length_bytes(DhchapHash hash) {
  constexpr size_t kLengths[] = {0, 32, 48, 64};
  return static_cast<uint8_t>(hash) < 4 ? kLengths[static_cast<uint8_t>(hash)] : 0;
}
inline constexpr size_t kMaxHashBytes = 64;

// DHgID.
enum class DhGroup : uint8_t { Null = 0, Ffdhe2048 = 1, Ffdhe3072 = 2, Ffdhe4096 = 3, Ffdhe6144 = 4, Ffdhe8192 = 5 };
inline constexpr size_t kDhGroups = 6;
// Of its DH values (DHVLEN), in bytes.
constexpr size_t dh_value_length_bytes(DhGroup group) {
  constexpr size_t kLengths[kDhGroups] = {0, 256, 384, 512, 768, 1024};
  return static_cast<uint8_t>(group) < kDhGroups ? kLengths[static_cast<uint8_t>(group)] : 0;
}
inline constexpr size_t kMaxDhValueBytes = 1024;

// The first bytes of each message.
struct AuthHeader {
  uint8_t auth_type;
  uint8_t auth_id;
  uint16_t reserved2;
  uint16_t t_id;
};
static_assert(sizeof(AuthHeader) == 6);

// A protocol descriptor of DH-HMAC-CHAP in AUTH_Negotiate.
struct DhchapDescriptor {
  uint8_t authid;  // kDhchapAuthid
  uint8_t reserved1;
  uint8_t halen;  // hash functions at the head of `hashes`
  uint8_t dhlen;  // groups at the head of `groups`
  uint8_t hashes[30];
  uint8_t groups[30];
};
static_assert(sizeof(DhchapDescriptor) == 64);
inline constexpr uint8_t kDhchapAuthid = 0x01;

// AUTH_Negotiate; `napd` protocol descriptors follow.
struct AuthNegotiate {
  AuthHeader header;
  uint8_t sc_c;  // secure channel concatenation
  uint8_t napd;
};
static_assert(sizeof(AuthNegotiate) == 8);

// DH-HMAC-CHAP_Challenge; C1 (`hl` bytes) and the DH value (`dhvlen` bytes) follow.
struct DhchapChallenge {
  AuthHeader header;
  uint8_t hl;
  uint8_t reserved7;
  uint8_t hashid;
  uint8_t dhgid;
  uint16_t dhvlen;
  uint32_t seqnum;
};
static_assert(sizeof(DhchapChallenge) == 16);

// DH-HMAC-CHAP_Reply; the response R1 and C2 (`hl` bytes each) and the DH value (`dhvlen` bytes) follow.
struct DhchapReply {
  AuthHeader header;
  uint8_t hl;
  uint8_t reserved7;
  uint8_t cvalid;  // 1: C2 is valid, the controller is to authenticate itself
  uint8_t reserved9;
  uint16_t dhvlen;
  uint32_t seqnum;
};
static_assert(sizeof(DhchapReply) == 16);

// DH-HMAC-CHAP_Success1; the response R2 (`hl` bytes) follows when `rvalid` is 1.
struct DhchapSuccess1 {
  AuthHeader header;
  uint8_t hl;
  uint8_t reserved7;
  uint8_t rvalid;
  uint8_t reserved9[7];
};
static_assert(sizeof(DhchapSuccess1) == 16);

struct DhchapSuccess2 {
  AuthHeader header;
  uint8_t reserved6[10];
};
static_assert(sizeof(DhchapSuccess2) == 16);

// AUTH_Failure1 and AUTH_Failure2.
struct AuthFailure {
  AuthHeader header;
  uint8_t reason;  // kAuthenticationFailure
  uint8_t explanation;
};
static_assert(sizeof(AuthFailure) == 8);
inline constexpr uint8_t kAuthenticationFailure = 0x01;

// Reason code explanations.
enum class AuthExplanation : uint8_t {
  AuthenticationFailed = 0x01,
  ProtocolNotUsable = 0x02,
  SecureChannelMismatch = 0x03,
  HashNotUsable = 0x04,
  DhGroupNotUsable = 0x05,
  IncorrectPayload = 0x06,
  IncorrectMessage = 0x07,
};

// The longest message: a reply with the largest hash function and group.
inline constexpr size_t kMaxAuthMessageBytes = sizeof(DhchapReply) + 2 * kMaxHashBytes + kMaxDhValueBytes;

}  // namespace nvmf::nvme
