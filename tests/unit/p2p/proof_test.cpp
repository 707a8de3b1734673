#include "p2p/proof.h"

#include <doctest/doctest.h>

#include <array>

#include "fakes.h"

namespace nvmf::p2p::test {
namespace {

constexpr std::array<uint32_t, 5> kMtusOfJumboFrames = {4096, 2048, 1024, 512, 256};
constexpr std::array<uint32_t, 3> kMtusOfPlainFrames = {1024, 512, 256};
constexpr uint32_t kNever = core::ProvenTransfers::kNever;

Evidence prove(FakeRnic& rnic, std::span<const uint32_t> path_mtus) {
  return prove_by_loop(rnic, path_mtus, {0x1234, kMaxTransferBytes});
}

void check(const Evidence& evidence, Direction direction, uint32_t any_offset, uint32_t page_start) {
  const core::ProvenTransfers proven = proven_transfers(evidence, direction);
  CHECK(proven.any_offset_from_mtu == any_offset);
  CHECK(proven.page_start_from_mtu == page_start);
}

TEST_CASE("an RNIC that carries every byte right is trusted with every transfer") {
  FakeRnic rnic;
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  CHECK(evidence.page_copy_mtu == 4096);
  check(evidence, Direction::HostReads, 256, 256);
  check(evidence, Direction::HostWrites, 256, 256);
}

TEST_CASE("Soft-RoCE with jumbo frames is trusted with transfers that start on a page, from path MTU 4096") {
  FakeRnic rnic;
  rnic.fault = lose_place_in_page;
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, kNever, 4096);
  check(evidence, Direction::HostWrites, kNever, 4096);
}

TEST_CASE("Soft-RoCE with plain frames is trusted with nothing, and the path MTU is found to be why") {
  FakeRnic rnic;
  rnic.fault = lose_place_in_page;
  const Evidence evidence = prove(rnic, kMtusOfPlainFrames);
  CHECK(evidence.page_copy_mtu == 0);
  CHECK(evidence.short_packets_right);
  CHECK(evidence.no_page_copy.find("path MTU 1024") != std::string::npos);
  check(evidence, Direction::HostReads, kNever, kNever);
  check(evidence, Direction::HostWrites, kNever, kNever);
}

TEST_CASE("a fault of one direction does not spoil the other") {
  FakeRnic rnic;
  SUBCASE("on the way in") {
    rnic.fault = [](Byte& byte) {
      if (byte.direction == Direction::HostWrites) lose_place_in_page(byte);
    };
    const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
    check(evidence, Direction::HostReads, 256, 256);
    check(evidence, Direction::HostWrites, kNever, 4096);
  }
  SUBCASE("on the way out") {
    rnic.fault = [](Byte& byte) {
      if (byte.direction == Direction::HostReads) lose_place_in_page(byte);
    };
    const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
    check(evidence, Direction::HostReads, kNever, 4096);
    check(evidence, Direction::HostWrites, 256, 256);
  }
}

TEST_CASE("writes that are dropped silently are found, whatever the CMB held before") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.dropped = byte.direction == Direction::HostWrites; };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, kNever, kNever);
  check(evidence, Direction::HostWrites, kNever, kNever);
  CHECK_FALSE(evidence.short_packets_right);
}

TEST_CASE("reads that nobody answers are found and named") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.all_ones = true; };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, kNever, kNever);
  CHECK(evidence.no_page_copy.find("FFh") != std::string::npos);
}

TEST_CASE("pages that share memory are found") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.cmb_offset %= kCmbBytes / 2; };
  check(prove(rnic, kMtusOfJumboFrames), Direction::HostReads, kNever, kNever);
}

TEST_CASE("memory that is missing behind the end of the range only is found") {
  constexpr uint64_t kLastPage = kCmbBytes - kPageBytes;
  for (const Direction direction : {Direction::HostReads, Direction::HostWrites}) {
    FakeRnic rnic;
    rnic.fault = [&](Byte& byte) { byte.dropped = byte.direction == direction && byte.cmb_offset >= kLastPage; };
    const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
    CHECK(evidence.page_copy_mtu == 0);
    check(evidence, Direction::HostReads, kNever, kNever);
    check(evidence, Direction::HostWrites, kNever, kNever);
  }
}

TEST_CASE("transfers that go wrong near the end of the range only are found") {
  for (const Direction direction : {Direction::HostReads, Direction::HostWrites}) {
    FakeRnic rnic;
    rnic.fault = [&](Byte& byte) {
      const bool is_page_copy = byte.length == kPageBytes && byte.packet % kPageBytes == 0;
      byte.dropped = byte.direction == direction && !is_page_copy && byte.cmb_offset >= kCmbBytes * 3 / 4;
    };
    check(prove(rnic, kMtusOfJumboFrames), direction, kNever, kNever);
  }
}

TEST_CASE("a transfer that touches a byte too many is found") {
  FakeRnic rnic;
  // The last byte of a transfer that is not of whole pages lands one further on: the one before keeps old content.
  rnic.fault = [](Byte& byte) {
    if (byte.length % kPageBytes != 0 && byte.index == byte.length - 1) ++byte.cmb_offset;
  };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, kNever, kNever);
  check(evidence, Direction::HostWrites, kNever, kNever);
}

TEST_CASE("a byte beside a transfer that is right itself is found") {
  for (const Direction direction : {Direction::HostReads, Direction::HostWrites}) {
    for (const int64_t beside : {-1, 1}) {
      CAPTURE(beside);
      FakeRnic rnic;
      // Page copies, with which the proof looks at the CMB, are right.
      rnic.fault = [&](Byte& byte) {
        const bool is_at_edge = byte.index == (beside < 0 ? 0 : byte.length - 1);
        if (byte.direction == direction && byte.length != kPageBytes && is_at_edge) byte.also_at = beside;
      };
      const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
      const auto expected = [&](Direction one) { return one == direction ? kNever : 256; };
      check(evidence, Direction::HostReads, expected(Direction::HostReads), expected(Direction::HostReads));
      check(evidence, Direction::HostWrites, expected(Direction::HostWrites), expected(Direction::HostWrites));
    }
  }
}

TEST_CASE("the end of a long transfer is looked at") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.dropped = byte.index == kMaxTransferBytes - 1; };
  check(prove(rnic, kMtusOfJumboFrames), Direction::HostReads, kNever, kNever);
}

TEST_CASE("what fails below some path MTU is trusted from there on only") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) {
    if (byte.path_mtu < 1024) lose_place_in_page(byte);
  };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, 1024, 1024);
  check(evidence, Direction::HostWrites, 1024, 1024);
}

TEST_CASE("a failure at the largest path MTU is not made good by a smaller one") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.dropped = byte.path_mtu == 4096; };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  CHECK(evidence.page_copy_mtu == 2048);
  check(evidence, Direction::HostReads, kNever, kNever);
}

TEST_CASE("an error of the queue pair costs the transfers it concerns, and no more") {
  FakeRnic rnic;
  rnic.refuse = [](const Transfer& transfer) {
    return transfer.direction == Direction::HostReads && transfer.path_mtu < 2048 ? "no completion" : "";
  };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  check(evidence, Direction::HostReads, 2048, 2048);
  check(evidence, Direction::HostWrites, 256, 256);
  CHECK(evidence.by_mtu[2].host_reads.failure.find("no completion") != std::string::npos);
}

TEST_CASE("an RNIC that fails altogether is given up soon") {
  FakeRnic rnic;
  rnic.refuse = [](const Transfer&) { return "no completion"; };
  const Evidence evidence = prove(rnic, kMtusOfJumboFrames);
  CHECK(evidence.page_copy_mtu == 0);
  CHECK(rnic.copies <= kMtusOfJumboFrames.size() + 1);
}

TEST_CASE("a small CMB is tested with transfers that fit") {
  CHECK(testable_transfer_bytes(16384, 1 << 20) == 4096);
  CHECK(testable_transfer_bytes(12288, 1 << 20) == 0);
  CHECK(testable_transfer_bytes(64 << 20, 1 << 20) == 1 << 20);
  for (const uint32_t max_transfer_bytes : {4096u, 53248u}) {
    FakeRnic rnic(max_transfer_bytes, max_transfer_bytes + 3 * kPageBytes);
    const Evidence evidence = prove_by_loop(rnic, kMtusOfJumboFrames, {1, max_transfer_bytes});
    check(evidence, Direction::HostWrites, 256, 256);
  }
}

TEST_CASE("each run leaves other bytes in the CMB") {
  FakeRnic rnic;
  prove_by_loop(rnic, kMtusOfPlainFrames, {1, kMaxTransferBytes});
  const std::vector<std::byte> first = rnic.cmb;
  prove_by_loop(rnic, kMtusOfPlainFrames, {1u << 20, kMaxTransferBytes});
  CHECK(rnic.cmb != first);
}

}  // namespace
}  // namespace nvmf::p2p::test
