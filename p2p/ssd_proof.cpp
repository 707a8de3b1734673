// prove_with_ssd(): each direction alone, with the SSD at the CMB's end of it.
#include "p2p/ssd_proof.h"

#include <algorithm>

#include "p2p/media_sample.h"
#include "p2p/pattern.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kMostTransferBytes =
    68 << 10;  // longer ones repeat the same packets, and the media may not have enough distinct content
// The smallest unit that PCI Express devices split requests at.
constexpr uint32_t kPieceBytes = 64;

class SsdProof {
 public:
  SsdProof(SsdProbe& ssd, CopyEngine& engine, const MediaSample& sample, uint64_t seed)
      : ssd_(ssd), engine_(engine), sample_(sample), seed_(seed), work_(sample.bytes.size()) {}

  Trust direction(Direction direction, uint32_t path_mtu, uint32_t max_transfer_bytes);

 private:
  std::string all_right(const std::vector<TransferCase>& cases, Direction direction, uint32_t path_mtu);
  std::string host_reads(const Transfer& transfer);
  std::string host_writes(const Transfer& transfer);
  std::string write(const Transfer& transfer, std::span<const std::byte> source);
  // Lets the SSD compare a part of the neighbourhood.
  std::string expect(SsdProbe::Comparison expected, uint64_t offset, uint32_t length);
  // Makes the transfer with every piece altered whose number in its block is `piece`; exactly those blocks must differ.
  std::string write_altered(const Transfer& transfer, uint32_t piece);
  // Writes the right bytes; then the whole neighbourhood must be right.
  std::string restore(const Transfer& transfer);

  // The content of the CMB at the place of the transfer, after the SSD has filled it.
  std::span<const std::byte> content(const Transfer& transfer) const {
    return std::span(sample_.bytes).subspan(transfer.cmb_offset - place_, transfer.length);
  }

  SsdProbe& ssd_;
  CopyEngine& engine_;
  const MediaSample& sample_;
  uint64_t seed_;
  std::vector<std::byte> work_;
  uint32_t neighbourhood_ = 0;  // bytes, from `place_` in the range and from the start of the sample
  uint64_t place_ = 0;          // neighbourhoods alternate between both ends of the range
};

Trust SsdProof::direction(Direction direction, uint32_t path_mtu, uint32_t max_transfer_bytes) {
  Trust trust;
  trust.failure = all_right(page_start_cases(max_transfer_bytes), direction, path_mtu);
  trust.page_start = trust.failure.empty();
  if (!trust.page_start) return trust;
  trust.failure = all_right(any_offset_cases(max_transfer_bytes), direction, path_mtu);
  trust.any_offset = trust.failure.empty();
  return trust;
}

std::string SsdProof::all_right(const std::vector<TransferCase>& cases, Direction direction, uint32_t path_mtu) {
  for (const TransferCase& one : cases) {
    neighbourhood_ = neighbourhood_bytes(one);
    place_ = place_ == 0 ? engine_.cmb_bytes() - neighbourhood_ : 0;
    const Transfer transfer{direction, path_mtu, place_ + kGuardBytes + one.offset_in_page, kGuardBytes + one.dram_skew,
                            one.length};
    std::string wrong = ssd_.read_into_cmb(sample_.slba, place_, neighbourhood_);
    if (!wrong.empty()) return "the SSD cannot read into the CMB: " + wrong;
    wrong = direction == Direction::HostReads ? host_reads(transfer) : host_writes(transfer);
    if (!wrong.empty()) return describe(direction, path_mtu, one) + ": " + wrong;
  }
  return {};
}

std::string SsdProof::host_reads(const Transfer& transfer) {
  const auto dram = engine_.dram();
  fill_pattern(dram, ++seed_);
  std::vector<std::byte> expected(dram.begin(), dram.end());
  const auto right = content(transfer);
  std::ranges::copy(right, expected.begin() + static_cast<ptrdiff_t>(transfer.dram_offset));
  std::string error = engine_.copy(transfer);
  if (!error.empty()) return error;
  const Mismatch mismatch = compare(dram, expected);
  return mismatch ? to_string(mismatch, transfer.dram_offset, transfer.length) : std::string();
}

std::string SsdProof::write(const Transfer& transfer, std::span<const std::byte> source) {
  std::ranges::copy(source, engine_.dram().begin() + static_cast<ptrdiff_t>(transfer.dram_offset));
  return engine_.copy(transfer);
}

std::string SsdProof::expect(SsdProbe::Comparison expected, uint64_t offset, uint32_t length) {
  std::string error;
  const auto found = ssd_.compare_from_cmb(sample_.slba + offset / ssd_.block_bytes(), place_ + offset, length, error);
  if (found == expected) return {};
  if (found == SsdProbe::Comparison::Failed) return "the SSD cannot compare from the CMB: " + error;
  return found == SsdProbe::Comparison::Equal
             ? "the SSD's Compare found no difference, although the RNIC had changed the data in the CMB"
             : "the SSD did not find in the CMB what the RNIC had written there";
}

std::string SsdProof::write_altered(const Transfer& transfer, uint32_t piece) {
  using Comparison = SsdProbe::Comparison;
  const auto right = content(transfer);
  const auto altered = std::span(work_).first(right.size());
  std::vector<Comparison> expected(neighbourhood_ / ssd_.block_bytes(), Comparison::Equal);
  for (size_t i = 0; i < right.size(); ++i) {
    const uint64_t place = transfer.cmb_offset - place_ + i;
    const bool alter = place % ssd_.block_bytes() / kPieceBytes == piece;
    altered[i] = alter ? ~right[i] : right[i];
    if (alter) expected[place / ssd_.block_bytes()] = Comparison::Different;
  }
  std::string wrong = write(transfer, altered);
  for (size_t block = 0; block < expected.size() && wrong.empty(); ++block)
    wrong = expect(expected[block], block * ssd_.block_bytes(), ssd_.block_bytes());
  return wrong;
}

std::string SsdProof::host_writes(const Transfer& transfer) {
  std::string wrong;
  for (uint32_t piece = 0; piece < ssd_.block_bytes() / kPieceBytes && wrong.empty(); ++piece)
    wrong = write_altered(transfer, piece);
  return wrong.empty() ? restore(transfer) : wrong;
}

std::string SsdProof::restore(const Transfer& transfer) {
  std::string error = write(transfer, content(transfer));
  return error.empty() ? expect(SsdProbe::Comparison::Equal, 0, neighbourhood_) : error;
}

Trust unproven(const std::string& why) { return {false, false, why}; }

}  // namespace

Evidence prove_with_ssd(SsdProbe& ssd, CopyEngine& engine, std::span<const uint32_t> path_mtus,
                        const ProofOptions& options) {
  Evidence evidence;
  const uint32_t max_transfer_bytes = std::min(options.max_transfer_bytes, kMostTransferBytes);
  std::string error;
  const auto sample = find_sample(ssd, neighbourhood_bytes(max_transfer_bytes), error);
  if (!sample || !sample->telling) {
    evidence.no_page_copy = sample ? "all blocks of the SSD look alike, so it cannot show which direction fails"
                                   : "the SSD could not take part in the self-test: " + error;
    return evidence;
  }
  SsdProof proof(ssd, engine, *sample, options.seed);
  for (const uint32_t path_mtu : path_mtus)
    evidence.by_mtu.push_back(
        {path_mtu, proof.direction(Direction::HostReads, path_mtu, max_transfer_bytes),
         ssd.has_compare() ? proof.direction(Direction::HostWrites, path_mtu, max_transfer_bytes)
                           : unproven("the SSD has no Compare command, which the check of the RNIC's writes needs")});
  if (unchanged(ssd, *sample)) return evidence;
  evidence.by_mtu.clear();
  evidence.no_page_copy = "other programs or hosts wrote to the namespace during the test with the SSD";
  return evidence;
}

}  // namespace nvmf::p2p
