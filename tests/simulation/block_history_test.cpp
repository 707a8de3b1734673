#include "tests/simulation/block_history.h"

#include <doctest/doctest.h>

namespace nvmf::simulation {
namespace {

using Bytes = std::vector<std::byte>;

std::string read(BlockHistory& history, const Bytes& data, uint64_t slba, uint32_t blocks) {
  history.begin_read(1, slba, blocks);
  return history.end_read(1, data);
}

TEST_CASE("a block that was never written holds zeroes, and nothing else") {
  BlockHistory history(7, 100, 10, 512);
  Bytes data(512);
  CHECK(read(history, data, 100, 1).empty());
  data[511] = std::byte{1};
  CHECK_FALSE(read(history, data, 100, 1).empty());
}

TEST_CASE("while a write is under way the block may hold the old or the new data, afterwards only the new") {
  BlockHistory history(7, 100, 10, 512);
  Bytes data;
  const auto write = history.begin_write(104, 2, data);
  CHECK(read(history, data, 104, 2).empty());
  CHECK(read(history, Bytes(1024), 104, 2).empty());
  history.end_write(write);
  CHECK(read(history, data, 104, 2).empty());
  CHECK_FALSE(read(history, Bytes(1024), 104, 2).empty());
}

TEST_CASE("of two writes that ran beside each other either may be the last, whichever was answered first") {
  BlockHistory history(7, 100, 10, 512);
  Bytes first_data;
  Bytes second_data;
  const auto first = history.begin_write(104, 1, first_data);
  const auto second = history.begin_write(104, 1, second_data);
  history.end_write(second);
  history.end_write(first);
  CHECK(read(history, first_data, 104, 1).empty());
  CHECK(read(history, second_data, 104, 1).empty());
  history.end_write(history.begin_write(104, 1, first_data));
  CHECK_FALSE(read(history, second_data, 104, 1).empty());
}

TEST_CASE("data of another block is found") {
  BlockHistory history(7, 100, 10, 512);
  Bytes data;
  history.end_write(history.begin_write(104, 2, data));
  CHECK_FALSE(read(history, {data.begin() + 512, data.end()}, 104, 1).empty());
}

TEST_CASE("a read that was begun before a write ended may have seen what was there before") {
  BlockHistory history(7, 100, 10, 512);
  Bytes data;
  const auto write = history.begin_write(104, 1, data);
  history.begin_read(5, 104, 1);
  history.end_write(write);
  CHECK(history.end_read(5, Bytes(512)).empty());
  CHECK_FALSE(read(history, Bytes(512), 104, 1).empty());
}

TEST_CASE("a write whose answer never came may still happen, whatever is written after it") {
  BlockHistory history(7, 100, 10, 512);
  Bytes lost;
  history.begin_write(104, 1, lost);
  Bytes data;
  history.end_write(history.begin_write(104, 1, data));
  CHECK(read(history, data, 104, 1).empty());
  CHECK(read(history, lost, 104, 1).empty());
  CHECK_FALSE(read(history, Bytes(512), 104, 1).empty());
}

}  // namespace
}  // namespace nvmf::simulation
