// A block device of the kernel's own making: a file as a loop device. Takes root, and a machine that has loop devices.
#pragma once

#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "target/backend/descriptor.h"
#include "tests/unit/backend/support.h"

namespace nvmf::backend::test {

// A loop device of `backing`, open, and its path; not open when there is none. Another process may take the number that
// is free.
inline Descriptor attach_loop_device(const Descriptor& backing, uint32_t block_bytes, std::string& path) {
  const Descriptor control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  loop_config config{};
  config.fd = static_cast<__u32>(backing.get());
  config.block_size = block_bytes;
  for (int tries = 0; control.is_open() && tries < 20; ++tries) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) break;
    path = "/dev/loop" + std::to_string(number);
    Descriptor device(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device.is_open()) break;
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno != EBUSY) break;
  }
  return Descriptor();
}

class LoopDevice {
 public:
  explicit LoopDevice(uint64_t size_bytes, uint32_t block_bytes = 512)
      : file_(size_bytes), device_(attach_loop_device(open_file(file_.path(), O_RDWR), block_bytes, path_)) {
    REQUIRE(device_.is_open());
  }
  ~LoopDevice() { ioctl(device_.get(), LOOP_CLR_FD); }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }
  const std::string& file() const { return file_.path(); }
  void resize(uint64_t size_bytes) {
    REQUIRE(truncate(file().c_str(), static_cast<off_t>(size_bytes)) == 0);
    REQUIRE(ioctl(device_.get(), LOOP_SET_CAPACITY) == 0);
  }

 private:
  TemporaryFile file_;
  std::string path_;
  Descriptor device_;
};

// Says why, once, and is for doctest::skip.
inline bool without_loop_devices() {
  static const bool missing = [] {
    const Descriptor backing(open("/tmp", O_TMPFILE | O_RDWR, 0600));
    std::string path;
    if (!backing.is_open() || ftruncate(backing.get(), 1 << 20) != 0) return true;
    const Descriptor device = attach_loop_device(backing, 512, path);
    if (device.is_open()) ioctl(device.get(), LOOP_CLR_FD);
    return !device.is_open();
  }();
  static const int said =
      missing ? std::printf("SKIPPED: every test of block devices: no loop device can be had (run as root)\n") : 0;
  return missing || said < 0 || without_io_uring();
}

}  // namespace nvmf::backend::test
