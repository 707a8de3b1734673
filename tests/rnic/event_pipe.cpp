#include "tests/rnic/event_pipe.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace nvmf::rnic {

EventPipe::EventPipe(size_t record_bytes) : record_bytes_(record_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe for a device's events");
  read_ = ends[0];
  write_ = ends[1];
  fcntl(write_, F_SETFL, O_NONBLOCK);
}

EventPipe::~EventPipe() {
  close();
  ::close(read_);
}

void EventPipe::put(const void* record) {
  if (closed()) return;
  if (write(write_, record, record_bytes_) != static_cast<ssize_t>(record_bytes_)) std::abort();  // 64 KiB unread
}

bool EventPipe::take(void* record) {
  const ssize_t got = read(read_, record, record_bytes_);
  if (got == 0) errno = EIO;
  return got == static_cast<ssize_t>(record_bytes_);
}

std::vector<std::byte> EventPipe::drain() {
  int waiting = 0;
  ioctl(read_, FIONREAD, &waiting);
  std::vector<std::byte> records(static_cast<size_t>(waiting));
  if (waiting > 0 && read(read_, records.data(), records.size()) != waiting) std::abort();
  return records;
}

void EventPipe::close() {
  if (!closed()) ::close(std::exchange(write_, -1));
}

}  // namespace nvmf::rnic
