#include "p2p/pattern.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

namespace nvmf::p2p {
namespace {

TEST_CASE("no eight bytes of the pattern come twice in a megabyte, nor under another seed") {
  std::vector<uint64_t> words(2 << 17);
  const auto bytes = std::as_writable_bytes(std::span(words));
  fill_pattern(bytes.first(bytes.size() / 2), 1);
  fill_pattern(bytes.last(bytes.size() / 2), 2);
  CHECK(std::set<uint64_t>(words.begin(), words.end()).size() == words.size());
}

TEST_CASE("a pattern of odd length is the start of the longer one") {
  std::vector<std::byte> longer(32);
  std::vector<std::byte> shorter(13);
  fill_pattern(longer, 7);
  fill_pattern(shorter, 7);
  CHECK_FALSE(compare(shorter, std::span(longer).first(13)));
}

TEST_CASE("what is wrong is counted and placed") {
  std::vector<std::byte> expected(64);
  std::vector<std::byte> found(64);
  CHECK_FALSE(compare(found, expected));
  found[10] = found[20] = std::byte{1};
  const Mismatch mismatch = compare(found, expected);
  CHECK(mismatch.wrong_bytes == 2);
  CHECK(mismatch.first == 10);
  CHECK_FALSE(mismatch.all_ones);
  CHECK(to_string(mismatch, 8, 8) == "2 bytes are wrong, the first one at byte 2 of the data");
  CHECK(to_string(mismatch, 16, 8) == "2 bytes are wrong, the first one before the data");
  CHECK(to_string(mismatch, 0, 8) == "2 bytes are wrong, the first one after the data");
}

TEST_CASE("bytes that were all read as FFh are called so") {
  const std::vector<std::byte> expected(16);
  const std::vector<std::byte> found(16, std::byte{0xff});
  CHECK(to_string(compare(found, expected), 0, 16).find("FFh") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::p2p
