// Common to the backend's tests: an engine that runs on the test's own thread, commands that can be waited for, memory
// and files.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "target/backend/device.h"
#include "target/backend/engine.h"

namespace nvmf::backend::test {

// Says why, once, and is for doctest::skip.
inline bool without_io_uring() {
  static const bool missing = [] {
    try {
      UringEngine engine;
      return false;
    } catch (const std::system_error& error) {
      std::printf("SKIPPED: every test that needs io_uring, which does not work here: %s\n", error.what());
      return true;
    }
  }();
  return missing;
}

// Page-aligned memory.
class Pages {
 public:
  explicit Pages(size_t length_bytes)
      : length_bytes_(length_bytes),
        begin_(static_cast<std::byte*>(
            mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(begin_ != MAP_FAILED);
  }
  ~Pages() { munmap(begin_, length_bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* begin() const { return begin_; }
  size_t size() const { return length_bytes_; }

  // A pattern that does not repeat.
  void fill(uint32_t seed) {
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    for (size_t i = 0; i < length_bytes_; ++i) {
      state = state * 6364136223846793005 + 1442695040888963407;
      begin_[i] = static_cast<std::byte>(state >> 56);
    }
  }

 private:
  size_t length_bytes_;
  std::byte* begin_;
};

inline bool all_zero(const std::byte* begin, size_t length_bytes) {
  for (size_t i = 0; i < length_bytes; ++i)
    if (begin[i] != std::byte{0}) return false;
  return true;
}

// A command that remembers how it ended. `times` counts the calls of done: it must be 1 in the end.
struct TestIo : core::Io {
  TestIo() {
    done = [](core::Io& io, core::Status result) {
      auto& self = static_cast<TestIo&>(io);
      self.status = result;
      ++self.times;
    };
  }
  core::Status status = -1;
  int times = 0;
};

inline TestIo transfer(core::IoKind kind, uint64_t slba, uint32_t blocks, std::byte* memory, size_t block_bytes) {
  TestIo io;
  io.kind = kind;
  io.slba = slba;
  io.blocks = blocks;
  io.data.address = memory;
  io.data.length_bytes = static_cast<uint32_t>(blocks * block_bytes);
  return io;
}

// An engine and a device's channel on it, as a reactor has them.
struct Bench {
  explicit Bench(Device& device, const EngineOptions& options = {})
      : engine(options), block_bytes(size_t{1} << device.info().lba_shift), channel(device.open_channel(engine)) {}

  void start() {
    if (!started) engine.start();
    started = true;
  }
  core::Status run(TestIo& io) {
    start();
    channel->submit(io);
    wait(io);
    REQUIRE(io.times == 1);
    return io.status;
  }
  void wait(const TestIo& io) {
    engine.poll();
    while (io.times == 0) engine.sleep(std::nullopt);
  }
  core::Status read(uint64_t slba, uint32_t blocks, std::byte* memory) {
    TestIo io = transfer(core::IoKind::Read, slba, blocks, memory, block_bytes);
    return run(io);
  }
  core::Status write(uint64_t slba, uint32_t blocks, std::byte* memory, bool fua = false) {
    TestIo io = transfer(core::IoKind::Write, slba, blocks, memory, block_bytes);
    io.fua = fua;
    return run(io);
  }
  core::Status flush() {
    TestIo io;
    io.kind = core::IoKind::Flush;
    return run(io);
  }
  core::Status write_zeroes(uint64_t slba, uint32_t blocks, bool deallocate, bool fua = false) {
    TestIo io;
    io.kind = core::IoKind::WriteZeroes;
    io.slba = slba;
    io.blocks = blocks;
    io.deallocate = deallocate;
    io.fua = fua;
    return run(io);
  }
  core::Status deallocate(std::vector<nvme_dsm_range> ranges) {
    TestIo io;
    io.kind = core::IoKind::Deallocate;
    io.data.address = reinterpret_cast<std::byte*>(ranges.data());
    io.data.length_bytes = static_cast<uint32_t>(ranges.size() * sizeof(nvme_dsm_range));
    io.range_count = static_cast<uint32_t>(ranges.size());
    return run(io);
  }

  UringEngine engine;
  size_t block_bytes;
  std::unique_ptr<core::IoChannel> channel;
  bool started = false;
};

inline nvme_dsm_range range(uint64_t slba, uint32_t blocks) { return {.cattr = 0, .nlb = blocks, .slba = slba}; }

class TemporaryFile {
 public:
  explicit TemporaryFile(uint64_t size_bytes, const std::string& directory = "/tmp")
      : path_(directory + "/nvmf-p2p-test-XXXXXX") {
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, static_cast<off_t>(size_bytes)) == 0);
    close(fd);
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace nvmf::backend::test
