#include "p2p/pattern.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace nvmf::p2p {
namespace {

// The finalizer of splitmix64 over a counter.
uint64_t word(uint64_t seed, uint64_t index) {
  uint64_t value = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

void fill_pattern(std::span<std::byte> bytes, uint64_t seed) {
  for (size_t start = 0; start < bytes.size(); start += sizeof(uint64_t)) {
    const uint64_t value = word(seed, start / sizeof(uint64_t));
    std::memcpy(bytes.data() + start, &value, std::min(sizeof value, bytes.size() - start));
  }
}

Mismatch compare(std::span<const std::byte> found, std::span<const std::byte> expected) {
  assert(found.size() == expected.size());
  Mismatch mismatch;
  if (found.empty() || std::memcmp(found.data(), expected.data(), found.size()) == 0) return mismatch;
  mismatch.all_ones = true;
  for (size_t i = found.size(); i-- > 0;) {
    if (found[i] == expected[i]) continue;
    ++mismatch.wrong_bytes;
    mismatch.first = i;
    if (found[i] != std::byte{0xff}) mismatch.all_ones = false;
  }
  return mismatch;
}

std::string to_string(const Mismatch& mismatch, size_t start, size_t length) {
  std::string text = std::to_string(mismatch.wrong_bytes) + " bytes are wrong, the first one ";
  if (mismatch.first < start)
    text += "before the data";
  else if (mismatch.first >= start + length)
    text += "after the data";
  else
    text += "at byte " + std::to_string(mismatch.first - start) + " of the data";
  if (mismatch.all_ones && mismatch.wrong_bytes >= sizeof(uint64_t))
    text += " (all of them FFh: no device answered these PCIe reads)";
  return text;
}

}  // namespace nvmf::p2p
