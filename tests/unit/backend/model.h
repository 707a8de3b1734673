// Whether a device keeps what it was given.
#pragma once

#include <cstring>
#include <random>

#include "tests/unit/backend/support.h"

namespace nvmf::backend::test {

inline void check_reads_back(Bench& bench, uint64_t slba, uint32_t blocks, uint32_t seed) {
  Pages data(blocks * bench.block_bytes), back(blocks * bench.block_bytes);
  data.fill(seed);
  REQUIRE(bench.write(slba, blocks, data.begin(), seed % 2 == 0).ok());
  REQUIRE(bench.read(slba, blocks, back.begin()).ok());
  CHECK(std::memcmp(data.begin(), back.begin(), data.size()) == 0);
}

inline bool reads_zero(Bench& bench, uint64_t slba, uint32_t blocks) {
  Pages back(blocks * bench.block_bytes);
  back.fill(99);
  REQUIRE(bench.read(slba, blocks, back.begin()).ok());
  return all_zero(back.begin(), back.size());
}

// Random commands against a copy in memory.
inline void check_against_model(Bench& bench, uint64_t block_count) {
  std::mt19937 random(7);
  std::vector<std::byte> model(block_count * bench.block_bytes);
  Pages data(64 * bench.block_bytes);
  const auto zero = [&](uint64_t slba, uint64_t blocks) {
    std::memset(&model[slba * bench.block_bytes], 0, blocks * bench.block_bytes);
  };
  for (uint32_t step = 0; step < 300; ++step) {
    const uint32_t blocks = 1 + random() % 64;
    const uint64_t slba = random() % (block_count - blocks);
    switch (random() % 5) {
      case 0:
      case 1:
        data.fill(step);
        REQUIRE(bench.write(slba, blocks, data.begin(), step % 3 == 0).ok());
        std::memcpy(&model[slba * bench.block_bytes], data.begin(), blocks * bench.block_bytes);
        break;
      case 2:
        REQUIRE(bench.write_zeroes(slba, blocks, step % 2 == 0, step % 3 == 0).ok());
        zero(slba, blocks);
        break;
      case 3: {
        const uint64_t other = random() % (block_count - 1);
        REQUIRE(bench.deallocate({range(slba, blocks), range(other, 1), range(3, 0)}).ok());
        zero(slba, blocks);
        zero(other, 1);
        break;
      }
      default:
        REQUIRE(bench.read(slba, blocks, data.begin()).ok());
        CHECK(std::memcmp(&model[slba * bench.block_bytes], data.begin(), blocks * bench.block_bytes) == 0);
    }
  }
  REQUIRE(bench.flush().ok());
}

}  // namespace nvmf::backend::test
