// Hosts that authenticate (DH-HMAC-CHAP), one after the other, as fast as they can.
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"
#include "tests/protocol/dhchap_host.h"
#include "tests/unit/auth/bytes.h"
#include "tests/unit/auth/ffdhe2048_exchange.h"

namespace nvmf::lab {
namespace {

using nvme::AuthId;
using nvme::AuthType;
using test::Message;

constexpr uint8_t kFfdhe2048 = 1;

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error("cannot read " + path);
  return line;
}

std::optional<nvme::Cqe> ask_with_data(HostQueue& queue, nvme::Sqe sqe, uint32_t length_bytes) {
  sqe.flags = static_cast<uint8_t>(nvme::Psdt::SglMptrContiguous) << 6;
  sqe.cid = 1;
  sqe.sgl1 = keyed(queue, length_bytes);
  return ask(queue, sqe);
}

bool send(HostQueue& queue, const Message& message) {
  std::memcpy(queue.data().data(), message.data(), message.size());
  const auto length_bytes = static_cast<uint32_t>(message.size());
  const auto cqe = ask_with_data(queue, test::auth_send(length_bytes), length_bytes);
  return cqe && cqe->status == 0;
}

Message receive(HostQueue& queue) {
  const auto cqe = ask_with_data(queue, test::auth_receive(), test::kAuthMessageBytes);
  if (!cqe || cqe->status != 0) return {};
  return {queue.data().begin(), queue.data().begin() + test::kAuthMessageBytes};
}

// Whether the target takes the host for what it says that it is.
bool authenticate(HostQueue& queue, const Where& where, const test::Key& key) {
  test::DhchapHost host(where.hostnqn, where.nqn);
  if (!send(queue, test::negotiate({1}, {kFfdhe2048}))) return false;
  const Message challenge = receive(queue);
  if (!test::is_message(challenge, AuthType::DhHmacChap, AuthId::Challenge)) return false;
  host.take_challenge(challenge);
  return send(queue, host.reply(key)) && test::is_message(receive(queue), AuthType::DhHmacChap, AuthId::Success1);
}

// Hexadecimal digits.
std::string digits_of(const Message& message, size_t begin, size_t length_bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (const std::byte byte : std::span(message).subspan(begin, length_bytes)) {
    digits += kDigits[std::to_integer<unsigned>(byte) >> 4U];
    digits += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return digits;
}

// Mutual, with FFDHE-2048 and the exponent of the tests. False: the target refuses the host.
bool tell_exchange(HostQueue& queue, const Where& where, uint8_t hash) {
  test::DhchapHost host(where.hostnqn, where.nqn);
  host.known_exponent = auth::bytes_of(auth::kFfdheExponent);
  if (!send(queue, test::negotiate({hash}, {kFfdhe2048}))) return false;
  const Message challenge = receive(queue);
  if (!test::is_message(challenge, AuthType::DhHmacChap, AuthId::Challenge)) return false;
  host.take_challenge(challenge);
  const size_t hl = host.challenge.hl;
  std::vector<uint8_t> c2(hl);
  std::iota(c2.begin(), c2.end(), hash);
  const Message reply = host.reply(auth::DhchapKey::parse(auth::kFfdheHostKey), c2, auth::kFfdheS2);
  if (!send(queue, reply)) return false;
  const Message success = receive(queue);
  if (!test::is_message(success, AuthType::DhHmacChap, AuthId::Success1)) return false;
  constexpr size_t kChallengeHead = sizeof(nvme::DhchapChallenge);
  std::cout << "hash " << unsigned{hash} << "\ns1 " << host.challenge.seqnum << "\nc1 "
            << digits_of(challenge, kChallengeHead, hl) << "\ncontroller's value "
            << digits_of(challenge, kChallengeHead + hl, host.challenge.dhvlen) << "\nr1 "
            << digits_of(reply, sizeof(nvme::DhchapReply), hl) << "\nr2 "
            << digits_of(success, sizeof(nvme::DhchapSuccess1), hl) << '\n';
  return true;
}

}  // namespace

unsigned tell_exchanges(const Where& where) {
  const Where known{where.address, auth::kFfdheSubsysNqn, auth::kFfdheHostNqn};
  Expectations expectations;
  for (const uint8_t hash : {1, 2, 3}) {
    const Session session = connect_admin(known);
    expectations.check(tell_exchange(*session.admin, known, hash), "the target takes the host's response");
  }
  return expectations.failed();
}

unsigned attack_by_authenticating(const Where& where, const std::string& key_file, unsigned count) {
  const test::Key key = auth::DhchapKey::parse(line_of(key_file));
  const auto begin = std::chrono::steady_clock::now();
  unsigned authenticated = 0;
  unsigned refused = 0;
  while (authenticated < count) {
    try {
      const Session session = connect_admin(where);
      ++(authenticate(*session.admin, where, key) ? authenticated : refused);
    } catch (const std::runtime_error&) {
      ++refused;  // Controller Busy, or too many connections in this second
    }
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  std::cout << "hosts: " << authenticated << " authenticated, " << refused << " refused, in " << passed.count()
            << " s\n";
  return 0;
}

}  // namespace nvmf::lab
