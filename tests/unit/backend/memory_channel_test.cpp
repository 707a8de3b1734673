// Commands on memory that others read, or change, at the same time.
#include "target/backend/memory_channel.h"

#include <cstring>

#include "tests/unit/backend/model.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
namespace core = nvmf::core;

namespace {

constexpr uint64_t kSize = 4 << 20;

std::unique_ptr<Device> open_memory() {
  return open_device({.kind = DeviceKind::Memory, .path = "", .size_bytes = kSize, .zero_copy = true});
}

// A Read whose data is the namespace's own memory.
TestIo read_in_place(const Device& device, uint64_t slba, uint32_t blocks) {
  TestIo io = transfer(core::IoKind::Read, slba, blocks, device.info().memory.data() + slba * 512, 512);
  io.data.kind = core::MemoryKind::Namespace;
  return io;
}

}  // namespace

TEST_SUITE_BEGIN("memory" * doctest::skip(without_io_uring()));

TEST_CASE("memory for RNICs: all of it is there at once, and Deallocate is left out") {
  const auto device = open_memory();
  CHECK(device->info().memory.size() == kSize);
  CHECK(all_zero(device->info().memory.data(), kSize));
  CHECK_FALSE(device->info().supports_deallocate);
  CHECK(open_device({.kind = DeviceKind::Memory, .path = "", .size_bytes = kSize})->info().memory.empty());
  Bench bench(*device);
  check_reads_back(bench, 1, 700, 3);
  const std::byte* const first = device->info().memory.data();
  REQUIRE(bench.write_zeroes(0, 8192, true).ok());
  CHECK(device->info().memory.data() == first);
  CHECK(all_zero(first, kSize));
}

TEST_CASE("a read in place copies nothing, and its blocks do not change before its data has left") {
  const auto device = open_memory();
  Bench bench(*device);
  bench.start();
  Pages data(4096);
  data.fill(1);
  TestIo read = read_in_place(*device, 8, 8);
  bench.channel->submit(read);
  REQUIRE(read.times == 1);
  CHECK_FALSE(bench.channel->keeps_changes_waiting(read));

  TestIo write = transfer(core::IoKind::Write, 8, 8, data.begin(), 512);
  bench.channel->submit(write);
  for (int i = 0; i < 10; ++i) CHECK(bench.engine.poll() == 0);
  CHECK(write.times == 0);
  CHECK(bench.channel->keeps_changes_waiting(read));
  CHECK(all_zero(read.data.address, 4096));

  bench.channel->end_in_place(read);
  bench.wait(write);
  CHECK(write.status.ok());
  CHECK(std::memcmp(read.data.address, data.begin(), 4096) == 0);
  CHECK_FALSE(bench.channel->keeps_changes_waiting(read));
}

TEST_CASE("a read comes after a change that waits, whoever makes it") {
  const auto device = open_memory();
  Bench one(*device), two(*device);
  one.start();
  two.start();
  Pages data(512);
  data.fill(1);
  TestIo first = read_in_place(*device, 0, 1);
  one.channel->submit(first);
  TestIo write = transfer(core::IoKind::Write, 0, 1, data.begin(), 512);
  two.channel->submit(write);
  TestIo second = read_in_place(*device, 0, 1);
  one.channel->submit(second);
  CHECK(write.times + second.times == 0);
  one.channel->end_in_place(first);
  CHECK(one.engine.poll() == 0);
  CHECK(two.engine.poll() == 1);
  CHECK(one.engine.poll() == 1);
  CHECK((write.times == 1 && second.times == 1));
  one.channel->end_in_place(second);
}

TEST_CASE("a long Write Zeroes takes several turns, and others are served in between") {
  const auto device = open_memory();
  Bench bench(*device);
  bench.start();
  std::memset(device->info().memory.data(), 7, kSize);
  TestIo zeroes = transfer(core::IoKind::WriteZeroes, 0, 8192, nullptr, 512);
  bench.channel->submit(zeroes);
  CHECK(zeroes.times == 0);
  Pages data(512);
  CHECK(bench.read(8191, 1, data.begin()).ok());
  CHECK(data.begin()[0] == std::byte{7});
  bench.wait(zeroes);
  CHECK(zeroes.status.ok());
  CHECK(all_zero(device->info().memory.data(), kSize));
}

TEST_CASE("the engine does not sleep while a command waits") {
  const auto device = open_memory();
  Bench bench(*device);
  bench.start();
  TestIo read = read_in_place(*device, 0, 1);
  bench.channel->submit(read);
  Pages data(512);
  TestIo write = transfer(core::IoKind::Write, 0, 1, data.begin(), 512);
  bench.channel->submit(write);
  bench.engine.sleep(std::nullopt);  // would not return
  CHECK(write.times == 0);
  bench.channel->end_in_place(read);
  bench.engine.sleep(std::nullopt);
  CHECK(write.times == 1);
}

TEST_CASE("a change that is withdrawn while it waits changes nothing, and keeps no reader out") {
  const auto device = open_memory();
  Bench bench(*device);
  bench.start();
  Pages data(512);
  data.fill(1);
  TestIo first = read_in_place(*device, 0, 1);
  bench.channel->submit(first);
  TestIo write = transfer(core::IoKind::Write, 0, 1, data.begin(), 512);
  bench.channel->submit(write);
  TestIo second = read_in_place(*device, 0, 1);
  bench.channel->submit(second);
  REQUIRE(write.times + second.times == 0);
  bench.channel->withdraw_rest(write);
  bench.wait(second);
  CHECK(write.times == 1);
  CHECK(write.status == core::Status(NVME_SC_ABORT_QUEUE));
  CHECK(second.status.ok());
  CHECK_FALSE(bench.channel->keeps_changes_waiting(first));
  CHECK(all_zero(device->info().memory.data(), 512));
  bench.channel->end_in_place(first);
  bench.channel->end_in_place(second);
  CHECK(bench.write(0, 1, data.begin()).ok());  // the same request again is not withdrawn
  bench.channel->submit(write);
  CHECK((write.times == 2 && write.status.ok()));
}

TEST_CASE("a long change that is withdrawn ends with its turn") {
  const auto device = open_memory();
  Bench bench(*device);
  bench.start();
  std::memset(device->info().memory.data(), 7, kSize);
  TestIo zeroes = transfer(core::IoKind::WriteZeroes, 0, 8192, nullptr, 512);
  bench.channel->submit(zeroes);
  bench.channel->withdraw_rest(zeroes);
  CHECK(bench.engine.poll() == 1);
  CHECK(zeroes.status == core::Status(NVME_SC_ABORT_QUEUE));
  CHECK(device->info().memory.data()[kSize - 1] == std::byte{7});
}

TEST_CASE("every change of persistent memory is flushed before it is done") {
  static size_t flushed_bytes;
  flushed_bytes = 0;
  Pages pages(1 << 20);
  AddressableMemory memory(pages.begin(), pages.size(), 9);
  memory.persist = [](const std::byte*, size_t length_bytes) { flushed_bytes += length_bytes; };
  UringEngine engine;
  MemoryChannel channel(engine, memory);
  Pages data(512 * 300);
  TestIo write = transfer(core::IoKind::Write, 100, 300, data.begin(), 512);
  channel.submit(write);
  CHECK(write.times == 1);
  CHECK(flushed_bytes == data.size());
  TestIo zeroes = transfer(core::IoKind::WriteZeroes, 100, 300, nullptr, 512);
  channel.submit(zeroes);
  CHECK(flushed_bytes == 2 * data.size());
}
