// Error Information log page: NVMe Base 2.0, section 5.16.1.2. The queue's thread records errors, and the controller
// keeps them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "target/core/datapath/status.h"

namespace nvmf::core {

struct CommandError {
  static constexpr uint16_t kNoCommand = 0xffff;  // SQID, CID and location of an error without a command

  uint16_t sqid = 0;
  uint16_t cid = 0;
  uint16_t status = 0;    // as in the completion entry
  uint16_t location = 0;  // Request::error_location
  uint32_t nsid = 0;
  uint64_t slba = 0;
};

// Passes the errors of one queue to the control thread: one writer, one reader, no lock. When it is full, newer errors
// are lost.
class ErrorRing {
 public:
  // The queue's thread.
  bool push(const CommandError& error) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == kSlots) return false;
    slots_[tail % kSlots] = error;
    tail_.store(tail + 1, std::memory_order_release);  // pairs with the acquire in pop()
    return true;
  }
  // The control thread. False when there is none.
  bool pop(CommandError& error) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return false;
    error = slots_[head % kSlots];
    head_.store(head + 1, std::memory_order_release);  // pairs with the acquire in push()
    return true;
  }

 private:
  static constexpr uint32_t kSlots = 16;
  std::array<CommandError, kSlots> slots_{};
  std::atomic<uint32_t> head_{0};
  std::atomic<uint32_t> tail_{0};
};

// The errors of one controller, newest first. Control thread.
class ErrorLog {
 public:
  static constexpr uint32_t kEntries = 64;  // ELPE + 1

  void collect(ErrorRing& ring);
  void add(const CommandError& error) { errors_[count_++ % kEntries] = error; }
  uint64_t count() const { return count_; }  // since the controller was created
  // The entry `age` places before the newest, all zero when there is none.
  nvme_error_log_page entry(uint32_t age) const;

 private:
  std::array<CommandError, kEntries> errors_{};
  uint64_t count_ = 0;
};

}  // namespace nvmf::core
