// A pattern of bytes that does not repeat, and a comparison that describes the differences. A pattern with a short
// period would miss transfers that land in the wrong place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nvmf::p2p {

// Word i of the pattern is a hash of (seed, i).
void fill_pattern(std::span<std::byte> bytes, uint64_t seed);

struct Mismatch {
  size_t wrong_bytes = 0;
  size_t first = 0;
  bool all_ones = false;  // every wrong byte was read as FFh: the value of a PCIe read that no device answered

  explicit operator bool() const { return wrong_bytes != 0; }
};
// Both must be of one length.
Mismatch compare(std::span<const std::byte> found, std::span<const std::byte> expected);
// "512 bytes are wrong, the first one at byte 64 of the data", where "the data" is [start, start + length) of the
// compared bytes; or
// "..., the first before it", or "after it".
std::string to_string(const Mismatch& mismatch, size_t start, size_t length);

}  // namespace nvmf::p2p
