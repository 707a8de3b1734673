// The seam to an SSD in the self-test. The CMB is its own, which it accesses without any PCIe path between devices, or
// another SSD's. Nothing here changes the media. Implemented by nvme_probe.h, and by a fake in unit tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nvmf::p2p {

// One thread; each call returns when its commands have ended: an implementation splits requests that are too long for
// one command of the SSD. Lengths are whole pages, and CMB offsets, counted from the start of the range under test,
// page boundaries.
class SsdProbe {
 public:
  enum class Comparison : uint8_t { Equal, Different, Failed };

  virtual ~SsdProbe() = default;

  virtual uint32_t block_bytes() const = 0;  // a power of two, 512 to 4096
  virtual uint64_t block_count() const = 0;
  virtual bool has_compare() const = 0;

  // Empty, or why the command failed.
  virtual std::string read(uint64_t slba, std::span<std::byte> dram) = 0;
  virtual std::string read_into_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes) = 0;
  // The Compare command, its data in the CMB. When Failed, `error` says why.
  virtual Comparison compare_from_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes,
                                      std::string& error) = 0;
};

}  // namespace nvmf::p2p
