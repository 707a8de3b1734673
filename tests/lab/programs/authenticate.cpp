// Hosts that authenticate (DH-HMAC-CHAP), one after the other, as fast as they can.
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"
#include "tests/protocol/dhchap_host.h"

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

}  // namespace

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
