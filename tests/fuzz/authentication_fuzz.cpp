// Messages of in-band authentication as a host with bad intentions sends them: wrong, replayed, reflected and
// truncated. Whatever comes, each Authentication Send is answered exactly once, no message is longer than the room for
// it, and the queue is admitted only after a reply that the cryptography has found right.
//
// Input: records of a byte that says what happens (see Step) and, for a message, two bytes of length and the message.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace {

using namespace nvmf;  // NOLINT: a program of its own

constexpr char kHostNqn[] = "nqn.2024-01.org.example:host";

enum class Step : uint8_t { Send, Receive, Work, Later, SendNegotiate, SendLastAgain };
constexpr unsigned kSteps = 6;

void require(bool condition) {
  if (!condition) std::abort();
}

// A reply is right when its response begins with this. Works when it is told to, or at once.
constexpr uint8_t kRight = 0xa5;

class Crypto final : public core::DhchapCrypto {
 public:
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    return begin(
        [&transaction] {
          transaction.c1.assign(nvme::hash_length_bytes(transaction.hash), 0x11);
          transaction.controller_dh_value.assign(nvme::dh_value_length_bytes(transaction.group), 0x22);
        },
        std::move(done));
  }
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    return begin(
        [this, &transaction] {
          using Verdict = core::DhchapTransaction::Verdict;
          require(transaction.r1.size() == nvme::hash_length_bytes(transaction.hash));
          require(transaction.host_dh_value.size() == nvme::dh_value_length_bytes(transaction.group));
          const bool right = transaction.r1.front() == kRight;
          was_right |= right;
          transaction.verdict = right ? Verdict::Right : Verdict::WrongResponse;
          transaction.matched = transaction.keys.front();
          if (!transaction.c2.empty()) transaction.r2.assign(transaction.r1.size(), 0x33);
        },
        std::move(done));
  }
  void work() {
    if (const auto waiting = std::exchange(waiting_, nullptr)) waiting();
  }

  bool waits = false;
  bool was_right = false;

 private:
  bool begin(std::function<void()> work, std::function<void()> done) {
    require(waiting_ == nullptr);
    waiting_ = [work = std::move(work), done = std::move(done)] {
      work();
      done();
    };
    if (!waits) this->work();
    return true;
  }
  std::function<void()> waiting_;
};

class Key final : public core::DhchapKey {
 public:
  const std::string& fingerprint() const override { return name_; }

 private:
  std::string name_ = "key";
};

class Link final : public core::QueueLink {
 public:
  void disconnect(const std::string&) override { closing = true; }
  void quiesce(std::function<void()> done) override { done(); }
  void abort(uint16_t, std::function<void(bool aborted)> done) override { done(false); }
  void abort_all(uint32_t, std::function<void()> done) override { done(); }
  bool is_closing() const override { return closing; }
  uint32_t reserve_io_queues(uint32_t wanted) override { return wanted; }
  const core::IoNamespaceTable* io_namespaces(const core::Subsystem&) override { return nullptr; }
  uint16_t port_id() const override { return 1; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_address() const override { return local_address_; }
  bool closing = false;

 private:
  std::string peer_ = "192.0.2.7:41512";
  std::string local_address_ = "192.0.2.1";
};

struct World {
  World() : target({}) {
    target.dhchap_crypto = &crypto;
    target.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
    core::SubsystemOptions options;
    options.nqn = "nqn.2024-01.org.example:fuzz";
    options.ports = {1};
    options.hosts = {{.nqn = kHostNqn, .keys = {std::make_shared<Key>(), std::make_shared<Key>()}}};
    core::Subsystem& subsystem = target.add_subsystem(options);
    queue.target = &target;
    queue.link = &link;
    queue.depth = 32;
    controller = subsystem.create_controller({.nqn = kHostNqn, .id = {1}}, queue, 5000, options.nqn, true);
    require(controller != nullptr);
    controller->require_authentication(queue);
  }

  core::Authentication& authentication() { return *controller->authentication(queue); }
  void send(std::span<const std::byte> message) {
    ++sent;
    authentication().take(message, [this](core::Status) { ++answered; });
    last.assign(message.begin(), message.end());
  }
  void check() const {
    require(answered <= sent);
    const bool admitted = queue.admission.load() == core::Admission::Admitted;
    require(!admitted || crypto.was_right);
  }

  Crypto crypto;
  core::Target target;
  Link link;
  core::Queue queue;
  core::Controller* controller = nullptr;
  unsigned sent = 0;
  unsigned answered = 0;
  std::vector<std::byte> last;
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
};

std::vector<std::byte> negotiate(uint8_t choice) {
  std::vector<std::byte> message(sizeof(nvme::AuthNegotiate) + sizeof(nvme::DhchapDescriptor));
  message[7] = message[8] = message[10] = message[11] = std::byte{1};
  message[12] = std::byte{static_cast<uint8_t>(1 + choice % 3)};
  message[42] = std::byte{static_cast<uint8_t>(choice % 6)};
  return message;
}

void run(World& world, std::span<const std::byte> input) {
  while (!input.empty() && !world.link.closing) {
    const auto control = static_cast<uint8_t>(input.front());
    input = input.subspan(1);
    world.crypto.waits = (control & 0x80) != 0;
    switch (static_cast<Step>((control & 0x7f) % kSteps)) {
      case Step::Send: {
        if (input.size() < 2) return;
        const size_t wanted = static_cast<size_t>(input[0]) | static_cast<size_t>(input[1]) << 8;
        const auto message = input.subspan(2, std::min(wanted, input.size() - 2));
        world.send(message);
        input = input.subspan(2 + message.size());
        break;
      }
      case Step::Receive: {
        const size_t room = control < 16 ? control : 4096;
        const core::Authentication::Given given = world.authentication().give(room);
        require(given.message.size() <= room && given.status.ok() == !given.message.empty());
        world.authentication().sent();
        break;
      }
      case Step::Work:
        world.crypto.work();
        break;
      case Step::Later:
        world.now += std::chrono::milliseconds(500);
        world.target.expire(world.now);
        break;
      case Step::SendNegotiate:
        world.send(negotiate(control));
        break;
      case Step::SendLastAgain:
        world.send(std::vector(world.last));
        break;
    }
    world.check();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  run(world, {reinterpret_cast<const std::byte*>(data), size});
  world.crypto.work();
  world.target.expire(world.now + std::chrono::hours(1));
  require(world.answered == world.sent);
  world.check();
  world.target.queue_closed(world.queue);
  return 0;
}
