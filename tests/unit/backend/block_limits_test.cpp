#include "target/backend/block_limits.h"

#include <doctest/doctest.h>

#include "tests/unit/backend/fake_sysfs.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::IoHints;

namespace {

// A disk as the kernel shows it; what is not given is as of the plainest one.
struct Disk {
  FakeSysfs sysfs;
  Disk() {
    for (const auto& [name, value] : {std::pair{"zoned", "none"},
                                      {"discard_max_bytes", "0"},
                                      {"discard_granularity", "0"},
                                      {"write_zeroes_max_bytes", "0"},
                                      {"write_cache", "write back"},
                                      {"physical_block_size", "512"},
                                      {"minimum_io_size", "512"},
                                      {"optimal_io_size", "0"},
                                      {"chunk_sectors", "0"},
                                      {"rotational", "0"}})
      queue(name, value);
    attribute("alignment_offset", "0");
    attribute("discard_alignment", "0");
  }
  void queue(const std::string& name, const std::string& value) { sysfs.file("disk/queue/" + name, value); }
  void attribute(const std::string& name, const std::string& value) { sysfs.file("disk/" + name, value); }
  BlockLimits limits(uint8_t lba_shift = 9) const {
    return read_block_limits(sysfs.path("disk"), sysfs.path("disk/queue"), lba_shift);
  }
};

}  // namespace

TEST_CASE("A plain disk has no hints") {
  const Disk disk;
  const BlockLimits limits = disk.limits();
  CHECK(limits.hints == IoHints{});
  CHECK_FALSE(limits.host_managed_zones);
  CHECK_FALSE(limits.discards);
  CHECK(limits.volatile_write_cache);
  CHECK(limits.memory_alignment_bytes == 0);
  CHECK(limits.optimal_io_boundary_blocks == 0);
}

TEST_CASE("A disk of which sysfs tells nothing has a volatile write cache, and nothing else") {
  const FakeSysfs nothing;
  const BlockLimits limits = read_block_limits(nothing.path("disk"), nothing.path("disk/queue"), 12);
  CHECK(limits.volatile_write_cache);
  CHECK_FALSE(limits.discards);
  CHECK(limits.hints == IoHints{});
}

TEST_CASE("A disk of 512-byte blocks on physical ones of 4096, with a discard granularity of 64 KiB") {
  Disk disk;
  disk.queue("physical_block_size", "4096");
  disk.queue("minimum_io_size", "8192");
  disk.queue("optimal_io_size", "1048576");
  disk.queue("discard_granularity", "65536");
  disk.queue("rotational", "1");
  IoHints expected;
  expected.atomic_write_blocks = expected.atomic_write_power_fail_blocks = 8;
  expected.atomic_boundary_blocks = expected.atomic_boundary_power_fail_blocks = 8;
  expected.write_granularity_blocks = expected.write_alignment_blocks = 16;
  expected.optimal_write_blocks = 2048;
  expected.deallocate_granularity_blocks = expected.deallocate_alignment_blocks = 128;
  expected.rotational = true;
  CHECK(disk.limits().hints == expected);

  SUBCASE("where the first physical block begins inside") {
    disk.attribute("alignment_offset", "3584");
    disk.attribute("discard_alignment", "32768");
    expected.first_atomic_boundary_lba = 7;
    expected.write_alignment_blocks = 1;
    expected.deallocate_alignment_blocks = 64;
    CHECK(disk.limits().hints == expected);
  }
  SUBCASE("as blocks of 4096 bytes") {
    const IoHints hints = disk.limits(12).hints;
    CHECK(hints.atomic_write_blocks == 1);
    CHECK(hints.atomic_boundary_blocks == 0);
    CHECK(hints.write_granularity_blocks == 2);
    CHECK(hints.deallocate_granularity_blocks == 16);
  }
}

TEST_CASE("Which disks deallocate, and how") {
  Disk disk;
  disk.queue("write_zeroes_max_bytes", "65536");
  CHECK_FALSE(disk.limits().discards);
  CHECK_FALSE(disk.limits().zeroes_and_unmaps);
  disk.queue("discard_max_bytes", "65536");
  CHECK(disk.limits().discards);
  CHECK(disk.limits().zeroes_and_unmaps);
  disk.queue("write_zeroes_unmap_max_bytes", "0");  // Linux 6.17 tells apart what older ones cannot
  CHECK(disk.limits().discards);
  CHECK_FALSE(disk.limits().zeroes_and_unmaps);
  disk.queue("write_zeroes_unmap_max_bytes", "65536");
  CHECK(disk.limits().zeroes_and_unmaps);
  disk.queue("write_zeroes_max_bytes", "0");  // as of dm-thin
  CHECK(disk.limits().discards);
  CHECK_FALSE(disk.limits().zeroes_and_unmaps);
}

TEST_CASE("Zones that hosts have to manage, and those that they need not") {
  Disk disk;
  disk.queue("zoned", "host-managed");
  CHECK(disk.limits().host_managed_zones);
  disk.queue("zoned", "host-aware");
  CHECK_FALSE(disk.limits().host_managed_zones);
}

TEST_CASE("Write cache, alignment of memory, and boundaries") {
  Disk disk;
  disk.queue("write_cache", "write through");
  disk.queue("dma_alignment", "511");
  disk.queue("chunk_sectors", "256");
  const BlockLimits limits = disk.limits();
  CHECK_FALSE(limits.volatile_write_cache);
  CHECK(limits.memory_alignment_bytes == 512);
  CHECK(limits.optimal_io_boundary_blocks == 256);
  CHECK(disk.limits(12).optimal_io_boundary_blocks == 32);
  disk.queue("dma_alignment", "8191");
  CHECK(disk.limits().memory_alignment_bytes == 0);

  disk.attribute("start", "2048");
  CHECK(disk.limits().optimal_io_boundary_blocks == 256);
  disk.attribute("start", "34");
  CHECK_MESSAGE(disk.limits().optimal_io_boundary_blocks == 0, "a partition between the disk's boundaries");
}

TEST_CASE("A write cache that comes later is seen") {
  Disk disk;
  disk.queue("write_cache", "write through");
  const std::string queue = disk.sysfs.path("disk/queue");
  CHECK_FALSE(has_write_cache(queue));
  disk.queue("write_cache", "write back");
  CHECK(has_write_cache(queue));
}

TEST_CASE("A device's write cache is followed, and an unknown one is not") {
  struct Measured : Device {
    Measured() { info_.block_count = 8; }
    std::unique_ptr<nvmf::core::IoChannel> open_channel(UringEngine&) override { return nullptr; }
  } device;
  CHECK_FALSE(device.take({}));
  CHECK(device.take({.size_bytes = 0, .volatile_write_cache = true}));
  CHECK(device.info().volatile_write_cache);
  CHECK(device.info().block_count == 8);
  CHECK_FALSE(device.take({.size_bytes = 4096}));
  CHECK(device.info().volatile_write_cache);
  CHECK(device.take({.size_bytes = 8192, .volatile_write_cache = true}));
  CHECK(device.info().block_count == 16);
  CHECK(device.take({.size_bytes = 8192, .volatile_write_cache = false}));
}

TEST_CASE("A file takes no discards of io_uring, and is not changed by being asked" *
          doctest::skip(without_io_uring())) {
  const TemporaryFile file(1 << 20);
  const int fd = open(file.path().c_str(), O_RDWR);
  CHECK_FALSE(takes_discard_commands(fd, 9, 2048));
  CHECK(lseek(fd, 0, SEEK_END) == 1 << 20);
  close(fd);
}
