#include "target/core/reactor/wake_event.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace nvmf::core {

WakeEvent::WakeEvent() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd for a thread's mailbox");
}

WakeEvent::~WakeEvent() { close(fd_); }

}  // namespace nvmf::core
