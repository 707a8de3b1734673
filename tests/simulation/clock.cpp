#include "tests/simulation/clock.h"

#include <time.h>

#include <cerrno>
#include <chrono>

#include "tests/rnic/fabric.h"

namespace std::chrono {

steady_clock::time_point steady_clock::now() noexcept {
  if (const auto* fabric = nvmf::rnic::Fabric::current()) return time_point(nanoseconds(fabric->now_ns()));
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return time_point(seconds(now.tv_sec) + nanoseconds(now.tv_nsec));
}

}  // namespace std::chrono

extern "C" int timerfd_create(int, int) noexcept {
  errno = ENOSYS;
  return -1;
}
