// On a real SSD, whose data it destroys: only when NVMF_TEST_SSD names its generic device (/dev/ng0n1), as the lab
// does.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "target/backend/device.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::IoKind;
using nvmf::core::MemoryKind;

namespace {

std::string ssd_path() {
  const char* const path = std::getenv("NVMF_TEST_SSD");
  return path != nullptr ? path : "";
}

// "/dev/ng0n1" and "/dev/nvme0n1" are one namespace.
std::string block_path() { return "/dev/nvme" + ssd_path().substr(std::strlen("/dev/ng")); }

bool without_ssd() {
  static const bool missing = ssd_path().empty();
  static const int said =
      missing ? std::printf("SKIPPED: every test of NVMe passthrough on an SSD: NVMF_TEST_SSD names none\n") : 0;
  return missing || said < 0 || without_io_uring();
}

std::unique_ptr<Device> open_ssd(DeviceKind kind) {
  return open_device({.kind = kind, .path = kind == DeviceKind::Nvme ? ssd_path() : block_path()});
}

// The SSD's controller memory buffer, or null when it has none that the kernel gives away.
class ControllerMemory {
 public:
  ControllerMemory(const std::string& pci_address, size_t length_bytes) : length_bytes_(length_bytes) {
    const std::string path = "/sys/bus/pci/devices/" + pci_address + "/p2pmem/allocate";
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void* const memory = mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) begin_ = static_cast<std::byte*>(memory);
  }
  ~ControllerMemory() {
    if (begin_ != nullptr) munmap(begin_, length_bytes_);
  }
  ControllerMemory(const ControllerMemory&) = delete;
  ControllerMemory& operator=(const ControllerMemory&) = delete;

  std::byte* begin() const { return begin_; }

 private:
  size_t length_bytes_;
  std::byte* begin_ = nullptr;
};

void check_random_transfers(Bench& bench, std::byte* memory, size_t length_bytes, MemoryKind kind, int fixed_index) {
  std::mt19937 random(3);
  Pages data(length_bytes);
  const auto blocks_at_most = static_cast<uint32_t>(length_bytes / bench.block_bytes);
  for (uint32_t step = 0; step < 40; ++step) {
    const uint32_t blocks = step == 0 ? blocks_at_most : 1 + random() % blocks_at_most;
    const uint64_t slba = random() % 4096;
    data.fill(step);
    for (const IoKind direction : {IoKind::Write, IoKind::Read}) {
      if (direction == IoKind::Write)
        std::memcpy(memory, data.begin(), blocks * bench.block_bytes);
      else
        std::memset(memory, 0xa5, blocks * bench.block_bytes);
      TestIo io = transfer(direction, slba, blocks, memory, bench.block_bytes);
      io.data.kind = kind;
      io.data.fixed_index = fixed_index;
      io.fua = step % 4 == 0;
      REQUIRE(bench.run(io).value() == 0);
    }
    REQUIRE(std::memcmp(memory, data.begin(), blocks * bench.block_bytes) == 0);
  }
}

}  // namespace

TEST_SUITE_BEGIN("ssd" * doctest::skip(without_ssd()));

TEST_CASE("What the SSD says of itself") {
  for (const DeviceKind kind : {DeviceKind::Nvme, DeviceKind::Block}) {
    const auto device = open_ssd(kind);
    const DeviceInfo& info = device->info();
    std::printf("%s; alignment %u, write zeroes %d, deallocate %d, cache %d\n", info.description.c_str(),
                info.memory_alignment_bytes, info.supports_write_zeroes, info.supports_deallocate,
                info.volatile_write_cache);
    CHECK(info.block_count > 0);
    CHECK(info.pci_address);
    CHECK(info.memory_alignment_bytes <= 4096);
  }
}

TEST_CASE("Data goes through DRAM, pinned for each command or once") {
  constexpr size_t kLength = 2 << 20;
  for (const DeviceKind kind : {DeviceKind::Nvme, DeviceKind::Block}) {
    const auto device = open_ssd(kind);
    Bench bench(*device);
    Pages memory(kLength);
    check_random_transfers(bench, memory.begin(), kLength, MemoryKind::Dram, -1);
    Bench pinned(*device);
    const int index = pinned.engine.register_buffer(memory.begin(), kLength);
    REQUIRE(index >= 0);
    check_random_transfers(pinned, memory.begin(), kLength, MemoryKind::Dram, index);
  }
}

TEST_CASE("Data goes through the controller memory buffer") {
  constexpr size_t kLength = 2 << 20;
  for (const DeviceKind kind : {DeviceKind::Nvme, DeviceKind::Block}) {
    const auto device = open_ssd(kind);
    const ControllerMemory memory(*device->info().pci_address, kLength);
    if (memory.begin() == nullptr) {
      MESSAGE("SKIPPED: the SSD has no controller memory buffer that can be had");
      return;
    }
    Bench bench(*device);
    CHECK(bench.engine.register_buffer(memory.begin(), kLength) == -1);
    check_random_transfers(bench, memory.begin(), kLength, MemoryKind::Cmb, -1);
  }
}

TEST_CASE("Memory that starts inside a page") {
  for (const DeviceKind kind : {DeviceKind::Nvme, DeviceKind::Block}) {
    const auto device = open_ssd(kind);
    Bench bench(*device);
    Pages memory((1 << 20) + 4096);
    const uint32_t shift = std::max(device->info().memory_alignment_bytes, 64u);
    check_random_transfers(bench, memory.begin() + shift, 1 << 20, MemoryKind::Dram, -1);
  }
}

TEST_CASE("Write Zeroes, Deallocate and Flush") {
  for (const DeviceKind kind : {DeviceKind::Nvme, DeviceKind::Block}) {
    const auto device = open_ssd(kind);
    Bench bench(*device);
    Pages data(1 << 20), back(1 << 20);
    const auto blocks = static_cast<uint32_t>(data.size() / bench.block_bytes);
    for (const bool deallocate : {false, true}) {
      data.fill(1);
      REQUIRE(bench.write(0, blocks, data.begin()).ok());
      REQUIRE(bench.write_zeroes(8, blocks - 8, deallocate, true).ok());
      REQUIRE(bench.read(0, blocks, back.begin()).ok());
      const size_t kept = 8 * bench.block_bytes;
      CHECK(std::memcmp(data.begin(), back.begin(), kept) == 0);
      CHECK(all_zero(back.begin() + kept, back.size() - kept));
    }
    if (device->info().supports_deallocate) {
      std::vector<nvme_dsm_range> ranges;
      for (uint32_t i = 0; i < 256; ++i) ranges.push_back(range(uint64_t{8} * i, 8));
      CHECK(bench.deallocate(ranges).ok());
    }
    CHECK(bench.flush().ok());
  }
}

TEST_CASE("Many commands at once, with a ring that is too small for them") {
  const auto device = open_ssd(DeviceKind::Nvme);
  Bench bench(*device, {.submission_entries = 16, .completion_entries = 32});
  bench.start();
  Pages data(1 << 20);
  data.fill(9);
  std::vector<TestIo> ios(256);
  for (const IoKind direction : {IoKind::Write, IoKind::Read}) {
    for (uint32_t i = 0; i < ios.size(); ++i) {
      ios[i] = transfer(direction, uint64_t{8} * i, 8, data.begin() + size_t{4096} * i, 512);
      bench.channel->submit(ios[i]);
    }
    for (const TestIo& io : ios) bench.wait(io);
    for (const TestIo& io : ios) CHECK(io.status.ok());
  }
  Pages expected(1 << 20);
  expected.fill(9);
  CHECK(std::memcmp(data.begin(), expected.begin(), data.size()) == 0);
}

TEST_CASE("The SSD's own status comes back, with Do Not Retry") {
  const auto device = open_ssd(DeviceKind::Nvme);
  Bench bench(*device);
  Pages data(4096);
  CHECK(bench.read(device->info().block_count, 1, data.begin()) == nvmf::core::Status(NVME_SC_LBA_RANGE | NVME_SC_DNR));
}

TEST_SUITE_END();
