// HOT PATH: looked into each turn.
#include "target/core/reactor/mailbox.h"

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

// Pairs with prepare_sleep(): sequentially consistent on both sides, so that either the receiver sees the message or
// the sender sees that it sleeps.
void Mailbox::send(Message& message) {
  message.next = newest_.load(std::memory_order_relaxed);
  while (!newest_.compare_exchange_weak(message.next, &message, std::memory_order_seq_cst, std::memory_order_relaxed)) {
  }
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst)) wake_.write();
}

// One by one from `oldest_`: delivering may free the message, send it again, or receive those behind it.
unsigned Mailbox::receive(unsigned most) {
  unsigned count = 0;
  while (count < most) {
    if (oldest_ == nullptr) {
      if (count != 0 || newest_.load(std::memory_order_relaxed) == nullptr) break;
      oldest_ = reversed(newest_.exchange(nullptr, std::memory_order_acquire));
    }
    Message& message = *oldest_;
    oldest_ = message.next;
    message.deliver(message);
    ++count;
  }
  return count;
}

// First what has been taken from the senders already.
void Mailbox::receive_all() {
  if (oldest_ != nullptr) receive();
  receive();
}

bool Mailbox::prepare_sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (oldest_ == nullptr && newest_.load(std::memory_order_seq_cst) == nullptr) return true;
  awake();
  return false;
}

void Mailbox::awake() { sleeping_.store(false, std::memory_order_relaxed); }

}  // namespace nvmf::core
