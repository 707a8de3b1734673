// Random bytes: private data, capsules on queues in every state, and commands that are almost right. Whatever the
// target says to each is right, as long as it says something or ends the connection.
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

class Garbage {
 public:
  Garbage(const Where& where, uint64_t seed) : where_(where), random_(seed) {}

  void connection_request() {
    HostQueue queue(where_.address);
    std::vector<std::byte> private_data = bytes(below(57));
    // Mostly zero: so that some get past the first check.
    for (std::byte& byte : private_data)
      if (below(4) != 0) byte = {};
    ++answered_;
    queue.connect(private_data, static_cast<uint8_t>(below(17)));
  }

  // False when a capsule was neither answered nor the end of its connection.
  bool capsule() {
    if (!queue_ || queue_->closed(milliseconds(0))) renew();
    const std::vector<std::byte> sent = below(3) == 0 ? bytes(length()) : almost_right();
    if (!queue_->send(sent)) return queue_->closed(kAnswerTimeout);
    if (never_answered(sent)) return true;
    if (queue_->response(kAnswerTimeout)) {
      ++answered_;
      return true;
    }
    ++ended_;
    return queue_->closed(milliseconds(0));
  }

  std::string report() const {
    return std::to_string(answered_) + " answered, " + std::to_string(ended_) + " ended their connection";
  }

 private:
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  std::vector<std::byte> bytes(size_t count) {
    std::vector<std::byte> made(count);
    std::ranges::generate(made, [this] { return static_cast<std::byte>(random_()); });
    return made;
  }

  // Short ones end the connection, which costs a new one: rarely.
  size_t length() { return below(50) == 0 ? below(65) : 64 + below(4096); }

  // A queue in one of its states: not connected, admin, admin of an enabled controller, I/O.
  void renew() {
    session_ = {};
    bare_.reset();
    switch (below(4)) {
      case 0:
        bare_ = open_queue(where_, static_cast<uint16_t>(below(2)));
        queue_ = bare_.get();
        return;
      case 1:
        session_ = connect_admin(where_);
        queue_ = session_.admin.get();
        return;
      default:
        session_ = connect_all(where_);
        queue_ = below(2) ? session_.admin.get() : session_.io.get();
    }
  }

  std::vector<std::byte> almost_right() {
    static constexpr uint8_t kOpcodes[] = {
        nvme_cmd_flush,        nvme_cmd_write,       nvme_cmd_read,           nvme_cmd_write_zeroes,
        nvme_cmd_dsm,          nvme_cmd_compare,     nvme_cmd_verify,         nvme_cmd_copy,
        nvme_admin_identify,   nvme_admin_abort_cmd, nvme_admin_set_features, nvme_admin_get_features,
        nvme_admin_keep_alive, nvme_admin_fabrics};
    nvme::Sqe sqe = command(kOpcodes[below(std::size(kOpcodes))], below(3));
    sqe.sgl1 = keyed(*queue_, below(HostQueue::kDataBytes));
    sqe.cdw10 = below(4096);
    sqe.cdw12 = below(64);
    std::vector<std::byte> capsule(sizeof sqe + below(4096));
    std::memcpy(capsule.data(), &sqe, sizeof sqe);
    for (uint32_t flips = below(4); flips > 0; --flips) capsule[below(sizeof sqe)] = static_cast<std::byte>(random_());
    return capsule;
  }

  // Asynchronous Event Requests wait for an event.
  static bool never_answered(const std::vector<std::byte>& capsule) {
    return capsule.size() >= 64 && capsule[0] == std::byte{nvme_admin_async_event};
  }

  Where where_;
  std::mt19937_64 random_;
  Session session_;
  std::unique_ptr<HostQueue> bare_;
  HostQueue* queue_ = nullptr;
  unsigned answered_ = 0;
  unsigned ended_ = 0;
};

}  // namespace

unsigned attack_garbage(const Where& where, uint64_t seed, unsigned count) {
  constexpr unsigned kCapsulesPerConnectionRequest = 20;
  Expectations expectations;
  Garbage garbage(where, seed);
  for (unsigned i = 0; i < count; ++i) {
    if (i % kCapsulesPerConnectionRequest == 0) garbage.connection_request();
    if (!garbage.capsule())
      expectations.check(false, "capsule " + std::to_string(i) + " was neither answered nor the end");
  }
  std::cout << garbage.report() << std::endl;
  const Session session = connect_all(where);
  expectations.check(session.io != nullptr, "a well-behaved host connects afterwards");
  return expectations.failed();
}

}  // namespace nvmf::lab
