// prove_with_ssd(): each direction alone, with the SSD at the CMB's end of it.
#include "p2p/ssd_proof.h"

#include <algorithm>

#include "p2p/media_sample.h"
#include "p2p/pattern.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kMostTransferBytes = 68 << 10;  // longer ones are more of the same packets; content may not suffice
constexpr uint32_t kSpotBytes = 64;
constexpr uint32_t kSpots = 8;

class SsdProof {
 public:
  SsdProof(SsdProbe& ssd, CopyEngine& engine, const MediaSample& sample, uint64_t seed)
      : ssd_(ssd), engine_(engine), sample_(sample), seed_(seed), work_(sample.bytes.size()) {}

  Trust direction(Direction direction, uint32_t path_mtu, uint32_t max_transfer_bytes);

 private:
  std::string all_right(const std::vector<TransferCase>& cases, Direction direction, uint32_t path_mtu);
  std::string host_reads(const Transfer& transfer);
  std::string host_writes(const Transfer& transfer);
  // Makes the transfer with `source` and has the SSD compare all of the neighbourhood.
  std::string expect(SsdProbe::Comparison expected, const Transfer& transfer, std::span<const std::byte> source);

  // What the CMB holds where the transfer takes place, after the SSD has filled it.
  std::span<const std::byte> content(const Transfer& transfer) const {
    return std::span(sample_.bytes).subspan(transfer.cmb_offset, transfer.length);
  }

  SsdProbe& ssd_;
  CopyEngine& engine_;
  const MediaSample& sample_;
  uint64_t seed_;
  std::vector<std::byte> work_;
  uint32_t neighbourhood_ = 0;  // bytes, from the start of the range and of the sample
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
    const Transfer transfer{direction, path_mtu, kGuardBytes + one.offset_in_page, kGuardBytes + one.dram_skew,
                            one.length};
    std::string wrong = ssd_.read_into_cmb(sample_.slba, 0, neighbourhood_);
    if (!wrong.empty()) return "the SSD cannot read into its CMB: " + wrong;
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
  std::copy(right.begin(), right.end(), expected.begin() + static_cast<ptrdiff_t>(transfer.dram_offset));
  const std::string error = engine_.copy(transfer);
  if (!error.empty()) return error;
  const Mismatch mismatch = compare(dram, expected);
  return mismatch ? to_string(mismatch, dram.size()) : std::string();
}

std::string SsdProof::expect(SsdProbe::Comparison expected, const Transfer& transfer,
                             std::span<const std::byte> source) {
  std::copy(source.begin(), source.end(), engine_.dram().begin() + static_cast<ptrdiff_t>(transfer.dram_offset));
  std::string error = engine_.copy(transfer);
  if (!error.empty()) return error;
  const SsdProbe::Comparison found = ssd_.compare_from_cmb(sample_.slba, 0, neighbourhood_, error);
  if (found == expected) return {};
  if (found == SsdProbe::Comparison::Failed) return "the SSD cannot compare from its CMB: " + error;
  return found == SsdProbe::Comparison::Equal ? "the SSD does not see what the RNIC wrote"
                                              : "the SSD finds other bytes than the RNIC wrote";
}

std::string SsdProof::host_writes(const Transfer& transfer) {
  const auto right = content(transfer);
  const auto other = std::span(work_).first(right.size());
  fill_pattern(other, ++seed_);
  // Every byte of it differs from the right one.
  std::transform(right.begin(), right.end(), other.begin(), other.begin(),
                 [](std::byte a, std::byte b) { return a ^ (b | std::byte{1}); });
  std::string wrong = expect(SsdProbe::Comparison::Different, transfer, other);
  for (uint32_t spot = 0; spot <= kSpots && wrong.empty(); ++spot) {
    wrong = expect(SsdProbe::Comparison::Equal, transfer, right);
    if (spot == kSpots || !wrong.empty()) break;
    std::copy(right.begin(), right.end(), other.begin());
    const size_t start = (++seed_ * 0x9e3779b97f4a7c15u >> 33) % right.size();
    for (std::byte& byte : other.subspan(start, std::min<size_t>(kSpotBytes, right.size() - start)))
      byte ^= std::byte{0xff};
    wrong = expect(SsdProbe::Comparison::Different, transfer, other);
  }
  return wrong;
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
    evidence.no_witness = sample ? "the SSD holds nothing that differs from place to place, so it cannot tell which "
                                   "direction fails"
                                 : "the SSD could not be asked: " + error;
    return evidence;
  }
  SsdProof proof(ssd, engine, *sample, options.seed);
  for (const uint32_t path_mtu : path_mtus)
    evidence.by_mtu.push_back(
        {path_mtu, proof.direction(Direction::HostReads, path_mtu, max_transfer_bytes),
         ssd.has_compare() ? proof.direction(Direction::HostWrites, path_mtu, max_transfer_bytes)
                           : unproven("the SSD has no Compare command with which to check what the RNIC wrote")});
  if (unchanged(ssd, *sample)) return evidence;
  evidence.by_mtu.clear();
  evidence.no_witness = "others wrote to the namespace while the SSD was asked";
  return evidence;
}

}  // namespace nvmf::p2p
