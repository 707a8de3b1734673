// Messages between threads: many senders, one receiver, no lock, no allocation. The node lies in what it is about.
#pragma once

#include <atomic>
#include <cstdint>

namespace nvmf::core {

struct Message {
  void (*deliver)(Message&) = nullptr;  // runs on the receiver's thread
  void* context = nullptr;
  Message* next = nullptr;
};

// The receiver sleeps on an eventfd (wake_fd()); senders write to it only while the receiver says that it sleeps.
class Mailbox {
 public:
  Mailbox();  // throws std::system_error when the kernel gives no eventfd
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. A message may be sent again once delivered.
  void send(Message& message);

  // Receiver: delivers all that have come, oldest first; returns how many.
  unsigned receive();
  // Receiver, before it sleeps: from now on senders wake it. False when a message is there already.
  bool prepare_sleep();
  void awake();
  int wake_fd() const { return wake_fd_; }

 private:
  std::atomic<Message*> newest_{nullptr};
  std::atomic<bool> sleeping_{false};
  int wake_fd_;
};

}  // namespace nvmf::core
