// What all kinds of device must do, and what is particular to each.
#include "target/backend/device.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/unit/backend/model.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::Status;

namespace {

constexpr uint64_t kSize = 4 << 20;

DeviceSpec memory_spec(uint32_t block_bytes) {
  return {.kind = DeviceKind::Memory, .path = "", .size_bytes = kSize, .block_bytes = block_bytes};
}
DeviceSpec file_spec(const std::string& path, uint32_t block_bytes) {
  return {.kind = DeviceKind::File, .path = path, .size_bytes = 0, .block_bytes = block_bytes};
}

bool has_direct_io(const Device& device) { return device.info().notes.empty(); }

}  // namespace

TEST_SUITE_BEGIN("devices" * doctest::skip(without_io_uring()));

TEST_CASE("Memory: is zero at first and keeps what is written") {
  for (const uint32_t block_bytes : {512u, 4096u}) {
    const auto device = open_device(memory_spec(block_bytes));
    CHECK(device->info().block_count == kSize / block_bytes);
    CHECK((1u << device->info().lba_shift) == block_bytes);
    Bench bench(*device);
    CHECK(reads_zero(bench, 0, 64));
    check_reads_back(bench, 0, 1, 1);
    check_reads_back(bench, kSize / block_bytes - 8, 8, 2);
  }
}

TEST_CASE("Memory: random commands against a model") {
  for (const uint32_t block_bytes : {512u, 4096u}) {
    const auto device = open_device(memory_spec(block_bytes));
    Bench bench(*device);
    check_against_model(bench, kSize / block_bytes);
  }
}

TEST_CASE("Memory: commands are done before submit() returns") {
  const auto device = open_device(memory_spec(512));
  UringEngine engine;
  const auto channel = device->open_channel(engine);
  Pages data(4096);
  TestIo io = transfer(nvmf::core::IoKind::Read, 0, 8, data.begin(), 512);
  channel->submit(io);
  CHECK(io.times == 1);
}

TEST_CASE("Memory: channels of several reactors see the same blocks") {
  const auto device = open_device(memory_spec(512));
  Bench one(*device), two(*device);
  Pages data(512), back(512);
  data.fill(3);
  CHECK(one.write(5, 1, data.begin()).ok());
  CHECK(two.read(5, 1, back.begin()).ok());
  CHECK(std::memcmp(data.begin(), back.begin(), 512) == 0);
}

TEST_CASE("File: keeps what is written, also for the next one who opens it") {
  for (const uint32_t block_bytes : {512u, 4096u}) {
    TemporaryFile file(kSize);
    {
      const auto device = open_device(file_spec(file.path(), block_bytes));
      CHECK(device->info().block_count == kSize / block_bytes);
      CHECK(device->info().volatile_write_cache);
      CHECK_MESSAGE(device->info().memory_alignment_bytes <= 4096, "an alignment that a page fulfils");
      Bench bench(*device);
      check_reads_back(bench, 0, 1, 1);
      check_reads_back(bench, kSize / block_bytes - 128, 128, 2);
      if (device->info().supports_deallocate) {
        CHECK(bench.write_zeroes(0, 1, true).ok());
        check_reads_back(bench, 0, 1, 4);
      }
    }
    const auto device = open_device(file_spec(file.path(), block_bytes));
    Bench bench(*device);
    Pages data(block_bytes), back(block_bytes);
    data.fill(4);
    CHECK(bench.read(0, 1, back.begin()).ok());
    CHECK(std::memcmp(data.begin(), back.begin(), block_bytes) == 0);
  }
}

TEST_CASE("File: random commands against a model") {
  TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 512));
  if (!device->info().supports_deallocate) {
    MESSAGE("SKIPPED: the file system of /tmp cannot punch holes");
    return;
  }
  Bench bench(*device);
  check_against_model(bench, kSize / 512);
}

TEST_CASE("File: reads and writes from memory that is aligned as it asks for") {
  TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 512));
  Bench bench(*device);
  Pages data(8192);
  data.fill(6);
  CHECK(bench.write(1, 8, data.begin() + device->info().memory_alignment_bytes % 4096).ok());
}

TEST_CASE("File: deallocated space is given back") {
  TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 512));
  Bench bench(*device);
  Pages data(1 << 20);
  data.fill(8);
  REQUIRE(bench.write(0, 2048, data.begin()).ok());
  REQUIRE(bench.flush().ok());
  if (!device->info().supports_deallocate) return;
  std::vector<nvme_dsm_range> ranges;
  for (uint32_t i = 0; i < 256; ++i) ranges.push_back(range(uint64_t{8} * i, 8));
  REQUIRE(bench.deallocate(ranges).ok());
  REQUIRE(bench.flush().ok());
  struct stat status {};
  REQUIRE(stat(file.path().c_str(), &status) == 0);
  CHECK(status.st_blocks < 64);
  CHECK(status.st_size == static_cast<off_t>(kSize));
  CHECK(reads_zero(bench, 0, 2048));
}

TEST_CASE("File: opening changes neither its length nor its content") {
  TemporaryFile file(kSize + 100);
  open_device(file_spec(file.path(), 4096));
  struct stat status {};
  REQUIRE(stat(file.path().c_str(), &status) == 0);
  CHECK(status.st_size == static_cast<off_t>(kSize + 100));
  CHECK(status.st_blocks == 0);
}

TEST_CASE("File: without direct I/O it goes through the page cache and says so") {
  TemporaryFile file(kSize, "/dev/shm");
  const auto device = open_device(file_spec(file.path(), 512));
  Bench bench(*device);
  check_reads_back(bench, 9, 64, 1);
  CHECK(bench.flush().ok());
  if (has_direct_io(*device)) return;  // tmpfs learned it
  CHECK(device->info().memory_alignment_bytes == 1);
  CHECK(device->info().notes[0].find("page cache") != std::string::npos);
}

TEST_CASE("File: one that was made longer or shorter is measured again, one without blocks is not") {
  TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 4096));
  CHECK_FALSE(device->take(device->measure()));
  REQUIRE(truncate(file.path().c_str(), 2 * kSize + 4095) == 0);
  CHECK(device->take(device->measure()));
  CHECK(device->info().block_count == 2 * kSize / 4096);
  REQUIRE(truncate(file.path().c_str(), 4096) == 0);
  CHECK(device->take(device->measure()));
  CHECK(device->info().block_count == 1);
  REQUIRE(truncate(file.path().c_str(), 0) == 0);
  CHECK_FALSE(device->take(device->measure()));
  CHECK(device->info().block_count == 1);
}

TEST_CASE("File: one that was removed, or replaced by another of its name, is told from the one that is open") {
  const TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 512));
  const auto is_displaced = [&] {
    device->take(device->measure());
    return device->info().is_displaced;
  };
  CHECK_FALSE(is_displaced());
  const std::string elsewhere = file.path() + ".former";
  REQUIRE(rename(file.path().c_str(), elsewhere.c_str()) == 0);
  CHECK(is_displaced());
  std::ofstream(file.path()) << "another";
  CHECK(is_displaced());
  REQUIRE(rename(elsewhere.c_str(), file.path().c_str()) == 0);
  CHECK_FALSE(is_displaced());
}

TEST_CASE("File: one that shrank under us fails reads behind its end") {
  TemporaryFile file(kSize);
  const auto device = open_device(file_spec(file.path(), 512));
  Bench bench(*device);
  Pages data(4096);
  REQUIRE(truncate(file.path().c_str(), 4096) == 0);
  CHECK(bench.read(4, 8, data.begin()) == Status(NVME_SC_INTERNAL));
  CHECK(bench.read(64, 8, data.begin()) == Status(NVME_SC_INTERNAL));
  CHECK(bench.read(0, 8, data.begin()).ok());
}

TEST_SUITE_END();

TEST_CASE("Memory and files have no commands of their own beyond reads and writes, and refuse them") {
  using nvmf::core::IoKind;
  const TemporaryFile file(kSize);
  for (const DeviceSpec& spec : {memory_spec(512), file_spec(file.path(), 4096)}) {
    const auto device = open_device(spec);
    CHECK(device->info().own_commands == 0);
    Bench bench(*device);
    Pages data(4096);
    for (const IoKind kind : {IoKind::Compare, IoKind::Verify, IoKind::Copy, IoKind::WriteUncorrectable,
                              IoKind::ZoneAppend, IoKind::ZoneManagementSend, IoKind::ZoneManagementReceive}) {
      TestIo io = transfer(kind, 0, 1, data.begin(), bench.block_bytes);
      CHECK(bench.run(io) == nvmf::core::Status(NVME_SC_INVALID_OPCODE).do_not_retry());
    }
  }
}

TEST_CASE("What cannot be opened is refused with its path, the reason and a remedy") {
  const auto message_of = [](const DeviceSpec& spec) -> std::string {
    try {
      open_device(spec);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "opened";
  };
  const auto check_contains = [](const std::string& message, const char* part) {
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  TemporaryFile empty(0);
  check_contains(message_of({.kind = DeviceKind::File, .path = "/nowhere/at-all"}), "/nowhere/at-all: cannot open");
  check_contains(message_of({.kind = DeviceKind::File, .path = "/nowhere/at-all"}), "check the path");
  check_contains(message_of({.kind = DeviceKind::File, .path = empty.path()}), "truncate");
  check_contains(message_of({.kind = DeviceKind::File, .path = "/dev/null"}), "not a regular file");
  check_contains(message_of({.kind = DeviceKind::Block, .path = empty.path()}), "not a block device");
  check_contains(message_of({.kind = DeviceKind::Nvme, .path = empty.path()}), "/dev/ngXnY");
  check_contains(message_of({.kind = DeviceKind::Nvme, .path = "/dev/null"}), "not an NVMe namespace");
  check_contains(message_of({.kind = DeviceKind::Nvme, .path = "/dev/ng7n7"}), "/dev/ng7n7: cannot open");
  check_contains(message_of({.path = "", .size_bytes = 1000, .block_bytes = 512}), "multiple of the block size");
  check_contains(message_of({.path = "", .size_bytes = 1024, .block_bytes = 1024}), "512 or 4096");
}
