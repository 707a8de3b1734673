// The verdict of the self-test, with the SSD's part in it.
#include "p2p/self_test.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "fakes.h"
#include "p2p/media_sample.h"

namespace nvmf::p2p::test {
namespace {

constexpr uint32_t kNever = core::ProvenTransfers::kNever;

SelfTestResult examine_pair(FakeRnic& rnic, SsdProbe* ssd, uint32_t active_mtu = 4096) {
  return examine(rnic, {"rxe0 port 1", "eth0", "0000:03:00.0", active_mtu}, 99, kMaxTransferBytes, ssd);
}

bool mentions(const std::vector<std::string>& texts, const std::string& what) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.find(what) != std::string::npos; });
}

void drop_reads(Byte& byte) { byte.all_ones = byte.direction == Direction::HostReads; }

TEST_CASE("a right pair is trusted, and nothing is advised") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  SUBCASE("on an SSD that holds zeros") {}
  SUBCASE("on an SSD that holds data") { ssd.fill_media(); }
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK(result.host_reads.any_offset_from_mtu == 256);
  CHECK(result.host_writes.any_offset_from_mtu == 256);
  CHECK(result.usable_at(256));
  CHECK(result.findings.size() == 1);
  CHECK(result.remedies.empty());
}

TEST_CASE("Soft-RoCE with plain frames: refused, with the MTU to set") {
  FakeRnic rnic;
  rnic.fault = lose_place_in_page;
  FakeSsd ssd(rnic.cmb);
  SUBCASE("on an SSD that holds zeros") {}
  SUBCASE("on an SSD that holds data") { ssd.fill_media(); }
  const SelfTestResult result = examine_pair(rnic, &ssd, 1024);
  CHECK_FALSE(result.usable_at(4096));
  CHECK(mentions(result.remedies, "ip link set dev eth0 mtu 9000"));
  CHECK(mentions(result.findings, "1024 now"));
}

TEST_CASE("Soft-RoCE with jumbo frames: page starts only, at path MTU 4096 only") {
  FakeRnic rnic;
  rnic.fault = lose_place_in_page;
  FakeSsd ssd(rnic.cmb);
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK(result.host_reads.page_start_from_mtu == 4096);
  CHECK(result.host_writes.any_offset_from_mtu == kNever);
  CHECK(result.usable_at(4096));
  CHECK_FALSE(result.usable_at(2048));
  CHECK(mentions(result.findings, "only transfers that start on a page boundary at path MTU 4096 or more"));
  CHECK(result.remedies.empty());
}

TEST_CASE("both directions displaced alike: only the SSD sees it") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.cmb_offset ^= 1 << 16; };
  CHECK(examine_pair(rnic, nullptr).usable_at(4096));
  FakeSsd ssd(rnic.cmb);
  SUBCASE("on an SSD that holds zeros") {}
  SUBCASE("on an SSD that holds data") { ssd.fill_media(); }
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK_FALSE(result.usable_at(4096));
  CHECK(mentions(result.findings, "the RNIC did not read from the CMB what the SSD had written there"));
  CHECK(mentions(result.remedies, "doctor"));
}

TEST_CASE("PCIe reads that nobody answers: host writes are proved by the SSD's Compare") {
  FakeRnic rnic;
  rnic.fault = drop_reads;
  FakeSsd ssd(rnic.cmb);
  ssd.fill_media();
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK(result.host_reads.page_start_from_mtu == kNever);
  CHECK(result.host_writes.any_offset_from_mtu == 256);
  CHECK(mentions(result.findings, "FFh"));
  CHECK(mentions(result.remedies, "0000:03:00.0"));
}

TEST_CASE("PCIe writes that are dropped: host reads are proved by the SSD's reads") {
  FakeRnic rnic;
  rnic.fault = [](Byte& byte) { byte.dropped = byte.direction == Direction::HostWrites; };
  FakeSsd ssd(rnic.cmb);
  ssd.fill_media();
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK(result.host_reads.any_offset_from_mtu == 256);
  CHECK(result.host_writes.page_start_from_mtu == kNever);
}

TEST_CASE("a failing direction is not told apart") {
  FakeRnic rnic;
  rnic.fault = drop_reads;
  FakeSsd ssd(rnic.cmb);
  SUBCASE("without an SSD to ask") { CHECK_FALSE(examine_pair(rnic, nullptr).usable_at(4096)); }
  SUBCASE("by an SSD that holds zeros") {
    const SelfTestResult result = examine_pair(rnic, &ssd);
    CHECK_FALSE(result.usable_at(4096));
    CHECK(mentions(result.findings, "all blocks of the SSD look alike"));
  }
  SUBCASE("by an SSD without Compare") {
    ssd.fill_media();
    ssd.compare_supported = false;
    const SelfTestResult result = examine_pair(rnic, &ssd);
    CHECK_FALSE(result.usable_at(4096));
    CHECK(mentions(result.findings, "no Compare"));
  }
}

TEST_CASE("with reads unanswered, a write of which a part is dropped is not taken for a whole one") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  ssd.fill_media();
  SUBCASE("a packet of long transfers") {
    rnic.fault = [](Byte& byte) {
      drop_reads(byte);
      byte.dropped = byte.direction == Direction::HostWrites && byte.index / 256 == 100;
    };
    CHECK(examine_pair(rnic, &ssd).host_writes.page_start_from_mtu == kNever);
  }
  SUBCASE("what does not start on a page") {
    rnic.fault = [](Byte& byte) {
      drop_reads(byte);
      if (byte.direction == Direction::HostWrites) lose_place_in_page(byte);
    };
    const SelfTestResult result = examine_pair(rnic, &ssd);
    CHECK(result.host_writes.page_start_from_mtu == 4096);
    CHECK(result.host_writes.any_offset_from_mtu == kNever);
  }
}

TEST_CASE("without Compare of the SSD, only the RNIC's loop tests host writes, and a finding says so") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  ssd.compare_supported = false;
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK(result.host_writes.any_offset_from_mtu == 256);
  CHECK(mentions(result.findings, "no Compare command"));
}

TEST_CASE("an SSD whose commands cannot use the CMB is refused in both directions") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  ssd.cmb_error = "NVMe status 012h";
  const SelfTestResult result = examine_pair(rnic, &ssd);
  CHECK_FALSE(result.usable_at(4096));
  CHECK(mentions(result.findings, "012h"));
}

TEST_CASE("a namespace that others write to is no proof against the pair") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  SUBCASE("now and then: it is asked again") {
    int changes = 1;
    ssd.after_read = [&] {
      if (changes-- > 0) fill_pattern(ssd.media, 1);
    };
    CHECK(examine_pair(rnic, &ssd).findings.size() == 1);
  }
  SUBCASE("all the time: the RNIC's loop has the say") {
    uint64_t seed = 0;
    ssd.after_read = [&] { fill_pattern(ssd.media, ++seed); };
    const SelfTestResult result = examine_pair(rnic, &ssd);
    CHECK(result.usable_at(256));
  }
}

TEST_CASE("content tells places apart when its pieces differ") {
  std::vector<std::byte> bytes(8192);
  CHECK_FALSE(is_telling(bytes));
  fill_pattern(bytes, 1);
  CHECK(is_telling(bytes));
  std::fill(bytes.begin(), bytes.begin() + 2048, std::byte{});
  CHECK_FALSE(is_telling(bytes));
}

TEST_CASE("the first telling place of a namespace is taken") {
  std::vector<std::byte> cmb;
  FakeSsd ssd(cmb);
  fill_pattern(std::span(ssd.media).last(2 << 20), 5);
  std::string error;
  const auto sample = find_sample(ssd, 16384, error);
  REQUIRE(sample);
  CHECK(sample->telling);
  CHECK(sample->slba >= 4096);
  FakeSsd tiny(cmb, 4096);
  CHECK_FALSE(find_sample(tiny, 16384, error));
  CHECK(error.find("smaller") != std::string::npos);
}

// Taking a proof over
// --------------------------------------------------------------------------------------------------

TEST_CASE("a proof is confirmed by a round trip of pages, which takes a small part of the self-test") {
  FakeRnic rnic;
  FakeSsd ssd(rnic.cmb);
  const SelfTestResult proof = examine_pair(rnic, &ssd);
  const uint64_t copies = rnic.copies;
  CHECK(confirm(rnic, proof, 7).empty());
  CHECK((rnic.copies - copies) * 4 < copies);
}

TEST_CASE("a proof of page starts only is confirmed, too") {
  FakeRnic rnic;
  rnic.fault = lose_place_in_page;
  FakeSsd ssd(rnic.cmb);
  const SelfTestResult proof = examine_pair(rnic, &ssd);
  CHECK(confirm(rnic, proof, 7).empty());
}

TEST_CASE("a proof that holds no longer is not confirmed") {
  FakeRnic rnic;
  const SelfTestResult proof = examine_pair(rnic, nullptr);
  SUBCASE("reads are lost") { rnic.fault = drop_reads; }
  SUBCASE("writes are lost") {
    rnic.fault = [](Byte& byte) { byte.dropped = byte.direction == Direction::HostWrites; };
  }
  SUBCASE("pages share memory") {
    rnic.fault = [](Byte& byte) { byte.cmb_offset %= kCmbBytes / 2; };
  }
  SUBCASE("the RNIC refuses") {
    rnic.refuse = [](const Transfer&) { return std::string("it is gone"); };
  }
  CHECK_FALSE(confirm(rnic, proof, 7).empty());
}

TEST_CASE("a proof of one direction cannot be confirmed") {
  FakeRnic rnic;
  SelfTestResult proof = examine_pair(rnic, nullptr);
  proof.host_reads = {};
  CHECK(confirm(rnic, proof, 7).find("only one direction") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::p2p::test
