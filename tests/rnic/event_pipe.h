// A descriptor that can be polled and gives one record for each event: a pipe, so that a program which reads the
// descriptor itself finds what the kernel would give.
#pragma once

#include <cstddef>
#include <vector>

namespace nvmf::rnic {

class EventPipe {
 public:
  // Throws std::system_error.
  explicit EventPipe(size_t record_bytes);
  ~EventPipe();
  EventPipe(const EventPipe&) = delete;
  EventPipe& operator=(const EventPipe&) = delete;

  int fd() const { return read_; }
  void put(const void* record);
  // As read(2): false and errno when there is none; EIO after close().
  bool take(void* record);
  // All that wait, oldest first, one after the other; they are gone from the pipe then.
  std::vector<std::byte> drain();
  // The device is gone: the descriptor is readable for ever, and gives nothing.
  void close();
  bool closed() const { return write_ < 0; }

 private:
  size_t record_bytes_;
  int read_ = -1;
  int write_ = -1;
};

}  // namespace nvmf::rnic
