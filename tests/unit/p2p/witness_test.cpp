// What is believed of an SSD that uses the CMB of another one.
#include "p2p/witness.h"

#include <doctest/doctest.h>

#include "fakes.h"

namespace nvmf::p2p::test {
namespace {

// Reaches the CMB over PCI Express, which may fail.
class Consumer final : public SsdProbe {
 public:
  enum class Fault : uint8_t { None, WritesAreLost, WritesGoElsewhere, ReadsAreOnes, ReadsAreStale, Refused };

  Consumer(std::vector<std::byte>& cmb, Fault fault) : ssd(cmb), fault_(fault) { ssd.fill_media(); }

  uint32_t block_bytes() const override { return ssd.block_bytes(); }
  uint64_t block_count() const override { return ssd.block_count(); }
  bool has_compare() const override { return ssd.has_compare(); }
  std::string read(uint64_t slba, std::span<std::byte> dram) override { return ssd.read(slba, dram); }
  std::string read_into_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes) override {
    if (fault_ == Fault::Refused) return "Remote I/O error";
    if (fault_ == Fault::WritesAreLost) return {};
    return ssd.read_into_cmb(slba, cmb_offset ^ (fault_ == Fault::WritesGoElsewhere ? 1 << 16 : 0), length_bytes);
  }
  Comparison compare_from_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes, std::string& error) override {
    if (fault_ == Fault::ReadsAreOnes) return Comparison::Different;
    if (fault_ == Fault::ReadsAreStale) return Comparison::Equal;
    if (fault_ == Fault::Refused) error = "Remote I/O error";
    return fault_ == Fault::Refused ? Comparison::Failed : ssd.compare_from_cmb(slba, cmb_offset, length_bytes, error);
  }

  FakeSsd ssd;

 private:
  Fault fault_;
};

using Fault = Consumer::Fault;

ConsumerProof proof_with(Fault fault) {
  FakeRnic rnic;
  Consumer consumer(rnic.cmb, fault);
  return examine_consumer(consumer, rnic, 4096, 7);
}

TEST_CASE("another SSD uses the CMB in both directions: both are proved, and nothing is left to say") {
  const ConsumerProof proof = proof_with(Fault::None);
  CHECK(proof.host_reads);
  CHECK(proof.host_writes);
  CHECK(proof.reasons.empty());
}

TEST_CASE("one direction of another SSD fails: the other one is proved") {
  bool fails_reads = true;
  Fault fault{};
  SUBCASE("its writes to the CMB are lost") { fault = Fault::WritesAreLost; }
  SUBCASE("its writes to the CMB arrive elsewhere") { fault = Fault::WritesGoElsewhere; }
  SUBCASE("it reads ones from the CMB") {
    fault = Fault::ReadsAreOnes;
    fails_reads = false;
  }
  SUBCASE("it reads something from before") {
    fault = Fault::ReadsAreStale;
    fails_reads = false;
  }
  const ConsumerProof proof = proof_with(fault);
  CHECK(proof.host_reads == !fails_reads);
  CHECK(proof.host_writes == fails_reads);
  CHECK(proof.reasons.size() == 1);
}

TEST_CASE("the kernel lets another SSD nowhere near the CMB: nothing is proved, with the kernel's error") {
  const ConsumerProof proof = proof_with(Fault::Refused);
  CHECK_FALSE(proof.host_reads);
  CHECK_FALSE(proof.host_writes);
  CHECK(proof.reasons.front() == "the SSD cannot read into the CMB: Remote I/O error");
}

TEST_CASE("another SSD without Compare: no register promises that it reads the CMB, so its writes are not proved") {
  FakeRnic rnic;
  Consumer consumer(rnic.cmb, Fault::None);
  consumer.ssd.compare_supported = false;
  const ConsumerProof proof = examine_consumer(consumer, rnic, 4096, 7);
  CHECK(proof.host_reads);
  CHECK_FALSE(proof.host_writes);
  CHECK(proof.reasons == std::vector<std::string>{"the SSD has no Compare command"});
}

}  // namespace
}  // namespace nvmf::p2p::test
