// The proof of a CMB is there for the next daemon of the same boot, and for no other.
#include "target/daemon/proof_files.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using test::StateScratch;

const p2p::ProofSubject kPair{.bdf = "0000:03:00.0", .rnic = "mlx5_0", .active_mtu = 4096};
const p2p::ProofConditions kConditions{{"the boot", "1"}, {"the firmware of the SSD", "1.0"}};

p2p::SelfTestResult proof() {
  p2p::SelfTestResult result;
  result.host_reads = {.any_offset_from_mtu = 256, .page_start_from_mtu = 256};
  result.host_writes = {.page_start_from_mtu = 4096};
  result.active_mtu = 4096;
  result.findings = {"host reads: all transfers"};
  result.remedies = {"move the SSD"};
  return result;
}

TEST_CASE("under the same conditions the proof is what it was") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  CHECK_FALSE(files.find(kPair, kConditions).proof);
  CHECK(files.find(kPair, kConditions).why_not.empty());
  files.keep(kPair, kConditions, proof());
  const ProofFiles::Kept kept = ProofFiles(scratch.state()).find(kPair, kConditions);
  REQUIRE(kept.proof);
  CHECK(kept.why_not.empty());
  CHECK_FALSE(kept.made_at.empty());
  CHECK(kept.proof->host_reads.any_offset_from_mtu == 256);
  CHECK(kept.proof->host_reads.page_start_from_mtu == 256);
  CHECK(kept.proof->host_writes.any_offset_from_mtu == core::ProvenTransfers::kNever);
  CHECK(kept.proof->host_writes.page_start_from_mtu == 4096);
  CHECK(kept.proof->active_mtu == 4096);
  CHECK(kept.proof->findings == proof().findings);
  CHECK(kept.proof->remedies == proof().remedies);
}

TEST_CASE("under other conditions there is none, and the difference is named") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  files.keep(kPair, kConditions, proof());
  p2p::ProofConditions now = kConditions;
  SUBCASE("another value") { now["the firmware of the SSD"] = "2.0"; }
  SUBCASE("one is unknown") { now.erase("the firmware of the SSD"); }
  SUBCASE("one more") { now["the driver of the RNIC"] = "mlx5"; }
  const ProofFiles::Kept kept = files.find(kPair, now);
  CHECK_FALSE(kept.proof);
  CHECK(kept.why_not.starts_with("the "));
}

TEST_CASE("the proof of one pair is not that of another") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  files.keep(kPair, kConditions, proof());
  p2p::ProofSubject other = kPair;
  SUBCASE("another SSD") { other.bdf = "0000:05:00.0"; }
  SUBCASE("another RNIC") { other.rnic = "mlx5_1"; }
  SUBCASE("another port") { other.port = 2; }
  CHECK_FALSE(files.find(other, kConditions).proof);
}

TEST_CASE("without conditions nothing is kept, and nothing found") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  files.keep(kPair, kConditions, proof());
  CHECK_FALSE(files.find(kPair, {}).proof);
  files.keep(kPair, {}, proof());
  CHECK_FALSE(std::filesystem::exists(files.path_of(kPair)));
}

TEST_CASE("a proof that is forgotten is gone") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  files.keep(kPair, kConditions, proof());
  files.forget(kPair);
  CHECK_FALSE(files.find(kPair, kConditions).proof);
  files.forget(kPair);
}

TEST_CASE("a file that is broken, or promises what no self-test can, is no proof") {
  const StateScratch scratch;
  const ProofFiles files(scratch.state());
  files.keep(kPair, kConditions, proof());
  const std::string path = files.path_of(kPair);
  SUBCASE("no JSON") { std::ofstream(path) << "{"; }
  SUBCASE("another format") { test::replace_in(path, "\"format\": 1", "\"format\": 2"); }
  SUBCASE("a path MTU that does not exist") { test::replace_in(path, "\"active_mtu\": 4096", "\"active_mtu\": 9000"); }
  SUBCASE("more at any offset than from page starts") {
    test::replace_in(path, "\"any_offset_from_mtu\": 4294967295", "\"any_offset_from_mtu\": 256");
  }
  SUBCASE("a part is missing") { test::replace_in(path, "\"host_writes\"", "\"others\""); }
  const ProofFiles::Kept kept = files.find(kPair, kConditions);
  CHECK_FALSE(kept.proof);
  CHECK(kept.why_not.find(path) != std::string::npos);
}

}  // namespace
}  // namespace nvmf::daemon
