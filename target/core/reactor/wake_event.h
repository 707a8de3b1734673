// An eventfd on which one thread sleeps and to which others write.
#pragma once

#include <sys/eventfd.h>

namespace nvmf::core {

class WakeEvent {
 public:
  WakeEvent();  // throws std::system_error when the kernel gives none
  ~WakeEvent();
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;

  // Readable (8 bytes) after a write.
  int fd() const { return fd_; }
  // Any thread. Fails only when the counter is full, and then the sleeper is awake already.
  void write() { [[maybe_unused]] const int written = eventfd_write(fd_, 1); }

 private:
  int fd_;
};

}  // namespace nvmf::core
