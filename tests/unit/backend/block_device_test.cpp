#include "target/backend/block_device.h"

#include <sys/stat.h>

#include <cstring>

#include "target/backend/block_limits.h"
#include "target/backend/open_devices.h"
#include "tests/unit/backend/loop_device.h"
#include "tests/unit/backend/model.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;

namespace {

constexpr uint64_t kSize = 4 << 20;

DeviceSpec block(const LoopDevice& device) {
  return {.kind = DeviceKind::Block, .path = device.path(), .size_bytes = 0, .block_bytes = 512};
}

int64_t allocated_bytes(const std::string& file) {
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  return status.st_blocks * 512;
}

}  // namespace

TEST_SUITE_BEGIN("block devices" * doctest::skip(without_loop_devices()));

TEST_CASE("Block device: random commands against a model") {
  for (const uint32_t block_bytes : {512u, 4096u}) {
    const LoopDevice loop(kSize, block_bytes);
    const auto device = open_device(block(loop));
    CHECK((1u << device->info().lba_shift) == block_bytes);
    REQUIRE(device->info().block_count == kSize / block_bytes);
    if (!device->info().supports_deallocate) continue;
    Bench bench(*device);
    check_against_model(bench, kSize / block_bytes);
  }
}

TEST_CASE("Block device: one that was made longer is measured again, without being opened again") {
  LoopDevice loop(kSize);
  const auto device = open_device(block(loop));
  CHECK_FALSE(device->take(device->measure()));
  loop.resize(2 * kSize);
  CHECK(device->take(device->measure()));
  CHECK(device->info().block_count == 2 * kSize / 512);
  Bench bench(*device);
  check_reads_back(bench, 2 * kSize / 512 - 8, 8, 1);
}

TEST_CASE("Block device: nobody else can take it, but the daemon's namespaces share it") {
  const LoopDevice loop(kSize);
  OpenDevices devices;
  const auto first = devices.open(block(loop));
  CHECK_THROWS_WITH_AS(open_device(block(loop)),
                       doctest::Contains("another program uses it (is it mounted, or part of a RAID or volume group?)"),
                       std::system_error);
  const auto second = devices.open(block(loop));
  CHECK(first == second);
  Bench one(*first), two(*second);
  Pages data(4096), back(4096);
  data.fill(3);
  CHECK(one.write(8, 8, data.begin()).ok());
  CHECK(two.read(8, 8, back.begin()).ok());
  CHECK(std::memcmp(data.begin(), back.begin(), 4096) == 0);
}

TEST_CASE("Block device: discards through io_uring, as on one that cannot write zeroes") {
  const LoopDevice loop(kSize);
  const int fd = open(loop.path().c_str(), O_RDWR | O_DIRECT);
  REQUIRE(fd >= 0);
  if (!takes_discard_commands(fd, 9, kSize / 512)) {
    MESSAGE("SKIPPED: this kernel passes no discards on (Linux 6.12 does), or the file system punches no holes");
    close(fd);
    return;
  }
  CHECK_MESSAGE(allocated_bytes(loop.file()) == 0, "asking changes nothing");
  UringEngine engine;
  engine.start();
  {
    BlockChannel channel(engine, fd, {.lba_shift = 9, .deallocate = Deallocate::Discard});
    const auto run = [&](TestIo io) {
      channel.submit(io);
      engine.poll();
      while (io.times == 0) engine.sleep(std::nullopt);
      return io.status;
    };
    Pages data(1 << 20);
    data.fill(9);
    REQUIRE(run(transfer(nvmf::core::IoKind::Write, 0, 2048, data.begin(), 512)).ok());
    std::vector<nvme_dsm_range> ranges = {range(0, 1024), range(7, 0), range(1032, 1016)};
    TestIo deallocate;
    deallocate.kind = nvmf::core::IoKind::Deallocate;
    deallocate.data.address = reinterpret_cast<std::byte*>(ranges.data());
    deallocate.range_count = static_cast<uint32_t>(ranges.size());
    REQUIRE(run(deallocate).ok());
    Pages back(1 << 20);
    REQUIRE(run(transfer(nvmf::core::IoKind::Read, 0, 2048, back.begin(), 512)).ok());
    CHECK(all_zero(back.begin(), 1024 * 512));
    CHECK(std::memcmp(back.begin() + 1024 * 512, data.begin() + 1024 * 512, 8 * 512) == 0);
    CHECK(all_zero(back.begin() + 1032 * 512, 1016 * 512));
  }
  CHECK(fsync(fd) == 0);
  CHECK(allocated_bytes(loop.file()) < 64 << 10);
  close(fd);
}

TEST_SUITE_END();
