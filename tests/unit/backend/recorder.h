// An engine that is not started: what channels put into it stays, to be looked at.
#pragma once

#include <linux/nvme_ioctl.h>

#include <cstring>

#include "tests/unit/backend/support.h"

namespace nvmf::backend::test {

struct Recorder {
  UringEngine engine;

  // The entries since the engine was made, `count` of them. To be called once: it takes an entry of its own.
  std::vector<io_uring_sqe> entries(size_t count) {
    constexpr size_t kHalves = 2;  // of an entry of 128 bytes
    const io_uring_sqe* const next = engine.next_sqe();
    REQUIRE(next != nullptr);
    std::vector<io_uring_sqe> recorded;
    for (size_t i = count; i > 0; --i) recorded.push_back(*(next - i * kHalves));
    return recorded;
  }
  // Of the same, their NVMe commands.
  std::vector<nvme_uring_cmd> commands(size_t count) {
    constexpr size_t kBegin = offsetof(io_uring_sqe, cmd);
    const auto* const next = reinterpret_cast<const std::byte*>(engine.next_sqe());
    REQUIRE(next != nullptr);
    std::vector<nvme_uring_cmd> recorded(count);
    for (size_t i = 0; i < count; ++i)
      std::memcpy(&recorded[i], next - (count - i) * 2 * sizeof(io_uring_sqe) + kBegin, sizeof recorded[i]);
    return recorded;
  }
};

// Whether the entry waits for nobody but is waited for by the next one.
inline bool is_linked(const io_uring_sqe& entry) { return (entry.flags & IOSQE_IO_LINK) != 0; }

}  // namespace nvmf::backend::test
