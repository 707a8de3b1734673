// Messages between threads: many senders, one receiver, no lock, no allocation. The message is a member of the object
// it concerns.
#pragma once

#include <atomic>
#include <climits>
#include <cstdint>
#include <type_traits>

#include "target/core/reactor/wake_event.h"

namespace nvmf::core {

struct Message {
  void (*deliver)(Message&) = nullptr;  // runs on the receiver's thread
  void* context = nullptr;
  Message* next = nullptr;
};

// Has the message delivered as call(about). `call` captures nothing.
template <class About, class Call>
void address(Message& message, About& about, Call) {
  static_assert(std::is_empty_v<Call>, "only `about` travels with the message");
  message.context = &about;
  message.deliver = [](Message& delivered) { Call{}(*static_cast<About*>(delivered.context)); };
}

// The receiver sleeps on an eventfd (wake_fd()); senders write to it only while the receiver says that it sleeps.
class Mailbox {
 public:
  Mailbox() = default;  // throws std::system_error when the kernel gives no eventfd
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. A message may be sent again once delivered.
  void send(Message& message);
  // The same, and call(about) is what is delivered.
  template <class About, class Call>
  void send(Message& message, About& about, Call call) {
    address(message, about, call);
    send(message);
  }

  // Receiver: delivers what has come, oldest first, at most `most`; returns how many. Delivering may receive more.
  unsigned receive(unsigned most = UINT_MAX);
  // Receiver: delivers all that has been sent before this call, also from inside a delivery. What is sent meanwhile may
  // wait, so that a message that is sent again when it is delivered comes a bounded number of times.
  void receive_all();
  // Receiver, before it sleeps: from now on senders wake it. False when a message has arrived already.
  bool prepare_sleep();
  void awake();
  int wake_fd() const { return wake_.fd(); }

 private:
  std::atomic<Message*> newest_{nullptr};
  std::atomic<bool> sleeping_{false};
  WakeEvent wake_;
  Message* oldest_ = nullptr;  // the receiver's: taken from the senders, not yet delivered
};

}  // namespace nvmf::core
