#include "target/core/reactor/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace nvmf::core {
namespace {

Message* reversed(Message* newest) {
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* const next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

}  // namespace

Mailbox::Mailbox() : wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd for a thread's mailbox");
}

Mailbox::~Mailbox() { close(wake_fd_); }

// Pairs with prepare_sleep(): sequentially consistent on both sides, so that either the receiver sees the message or
// the sender sees that it sleeps.
void Mailbox::send(Message& message) {
  message.next = newest_.load(std::memory_order_relaxed);
  while (!newest_.compare_exchange_weak(message.next, &message, std::memory_order_seq_cst, std::memory_order_relaxed)) {
  }
  if (!sleeping_.load(std::memory_order_seq_cst) || !sleeping_.exchange(false, std::memory_order_seq_cst)) return;
  // Fails only when the counter is full, and then the receiver is awake already.
  [[maybe_unused]] const int written = eventfd_write(wake_fd_, 1);
}

unsigned Mailbox::receive() {
  if (newest_.load(std::memory_order_relaxed) == nullptr) return 0;
  Message* message = reversed(newest_.exchange(nullptr, std::memory_order_acquire));
  unsigned count = 0;
  for (; message != nullptr; ++count) {
    Message* const next = message->next;  // delivering may free the message or send it again
    message->deliver(*message);
    message = next;
  }
  return count;
}

bool Mailbox::prepare_sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (newest_.load(std::memory_order_seq_cst) == nullptr) return true;
  awake();
  return false;
}

void Mailbox::awake() { sleeping_.store(false, std::memory_order_relaxed); }

}  // namespace nvmf::core
