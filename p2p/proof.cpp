#include "p2p/proof.h"

#include <algorithm>
#include <stdexcept>

#include "p2p/page_copy.h"
#include "p2p/pattern.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kRoundTripPages = 64;
constexpr uint32_t kSmallestMtu = 256;

// DRAM in two halves: `known` mirrors what the CMB should hold, `moved` is the other end of the transfer under test.
class LoopProof {
 public:
  LoopProof(CopyEngine& engine, const ProofOptions& options)
      : engine_(engine), options_(options), half_bytes_(proof_dram_bytes(options.max_transfer_bytes) / 2) {
    if (engine.dram().size() < 2 * half_bytes_ || engine.cmb_bytes() < neighbourhood_bytes(options.max_transfer_bytes))
      throw std::invalid_argument("the copy engine has too little memory for the self-test");
  }

  // Moves the first `piece_bytes` of pages all over the range into the CMB and back.
  std::string round_trip(uint32_t path_mtu, uint32_t piece_bytes);
  Trust direction(Direction direction, uint32_t path_mtu, PageCopy& pages);

 private:
  using Cases = std::vector<TransferCase>;

  std::string all_right(const Cases& cases, Direction direction, uint32_t path_mtu, PageCopy& pages);
  std::string host_reads(const Transfer& transfer, uint64_t neighbourhood, uint32_t length, PageCopy& pages);
  std::string host_writes(const Transfer& transfer, uint64_t neighbourhood, uint32_t length, PageCopy& pages);

  uint64_t place(uint32_t length);
  std::vector<uint64_t> scattered_pages() const;
  std::span<std::byte> known() { return engine_.dram().first(half_bytes_); }
  std::span<std::byte> moved() { return engine_.dram().subspan(half_bytes_, half_bytes_); }
  void fill(std::span<std::byte> bytes) { fill_pattern(bytes, options_.seed + ++fills_); }

  CopyEngine& engine_;
  ProofOptions options_;
  uint64_t half_bytes_;
  uint64_t fills_ = 0;
  bool at_end_ = false;
};

// `start`: where the transfer under test is in the compared bytes.
std::string verdict(std::span<const std::byte> found, std::span<const std::byte> expected, uint64_t start,
                    uint64_t length) {
  const Mismatch mismatch = compare(found, expected);
  return mismatch ? to_string(mismatch, start, length) : std::string();
}

// Neighbourhoods alternate between both ends of the range.
uint64_t LoopProof::place(uint32_t length) {
  at_end_ = !at_end_;
  return at_end_ ? engine_.cmb_bytes() - length : 0;
}

// The first pages in a row, then pages spread to the end of the range.
std::vector<uint64_t> LoopProof::scattered_pages() const {
  const uint64_t all = engine_.cmb_bytes() / kPageBytes;
  std::vector<uint64_t> pages;
  for (uint64_t i = 0; i < kRoundTripPages / 2; ++i) pages.push_back(i);
  for (uint64_t i = 1; i <= kRoundTripPages / 2; ++i) pages.push_back((all - 1) * i / (kRoundTripPages / 2));
  std::erase_if(pages, [&](uint64_t page) { return page >= all; });
  std::ranges::sort(pages);
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  return pages;
}

std::string LoopProof::round_trip(uint32_t path_mtu, uint32_t piece_bytes) {
  const std::vector<uint64_t> places = scattered_pages();
  const auto used = known().first(places.size() * piece_bytes);
  fill(used);
  for (size_t i = 0; i < places.size(); ++i) {
    const std::string error =
        engine_.copy({Direction::HostWrites, path_mtu, places[i] * kPageBytes, i * piece_bytes, piece_bytes});
    if (!error.empty()) return "into the CMB: " + error;
  }
  fill(moved());
  for (size_t i = places.size(); i-- > 0;) {
    const std::string error = engine_.copy(
        {Direction::HostReads, path_mtu, places[i] * kPageBytes, half_bytes_ + i * piece_bytes, piece_bytes});
    if (!error.empty()) return "from the CMB: " + error;
  }
  return verdict(moved().first(used.size()), used, 0, used.size());
}

Trust LoopProof::direction(Direction direction, uint32_t path_mtu, PageCopy& pages) {
  Trust trust;
  trust.failure = all_right(page_start_cases(options_.max_transfer_bytes), direction, path_mtu, pages);
  trust.page_start = trust.failure.empty();
  if (!trust.page_start) return trust;
  trust.failure = all_right(any_offset_cases(options_.max_transfer_bytes), direction, path_mtu, pages);
  trust.any_offset = trust.failure.empty();
  return trust;
}

std::string LoopProof::all_right(const Cases& cases, Direction direction, uint32_t path_mtu, PageCopy& pages) {
  for (const TransferCase& one : cases) {
    const uint32_t length = neighbourhood_bytes(one);
    const uint64_t neighbourhood = place(length);
    const Transfer transfer{direction, path_mtu, neighbourhood + kGuardBytes + one.offset_in_page,
                            half_bytes_ + kGuardBytes + one.dram_skew, one.length};
    const std::string wrong = direction == Direction::HostReads ? host_reads(transfer, neighbourhood, length, pages)
                                                                : host_writes(transfer, neighbourhood, length, pages);
    if (!wrong.empty()) return describe(direction, path_mtu, one) + ": " + wrong;
  }
  return {};
}

// Page copies put a pattern into the CMB; the transfer must read exactly that pattern, and write no other DRAM.
std::string LoopProof::host_reads(const Transfer& transfer, uint64_t neighbourhood, uint32_t length, PageCopy& pages) {
  fill(known().first(length));
  std::string error = pages.put(neighbourhood, 0, length);
  if (!error.empty()) return "cannot write the pattern into the CMB: " + error;
  fill(moved());
  std::vector<std::byte> expected(moved().begin(), moved().end());
  std::copy_n(known().begin() + static_cast<ptrdiff_t>(transfer.cmb_offset - neighbourhood), transfer.length,
              expected.begin() + static_cast<ptrdiff_t>(transfer.dram_offset - half_bytes_));
  error = engine_.copy(transfer);
  if (!error.empty()) return error;
  return verdict(moved(), expected, transfer.dram_offset - half_bytes_, transfer.length);
}

// The transfer writes a pattern; page copies then must read the old bytes around the new ones.
std::string LoopProof::host_writes(const Transfer& transfer, uint64_t neighbourhood, uint32_t length, PageCopy& pages) {
  fill(known().first(length));
  std::string error = pages.put(neighbourhood, 0, length);
  if (!error.empty()) return "cannot write the surrounding bytes into the CMB: " + error;
  fill(moved());
  std::copy_n(moved().begin() + static_cast<ptrdiff_t>(transfer.dram_offset - half_bytes_), transfer.length,
              known().begin() + static_cast<ptrdiff_t>(transfer.cmb_offset - neighbourhood));
  error = engine_.copy(transfer);
  if (!error.empty()) return error;
  fill(moved());
  error = pages.get(neighbourhood, half_bytes_, length);
  if (!error.empty()) return "cannot read the written bytes back: " + error;
  return verdict(moved().first(length), known().first(length), transfer.cmb_offset - neighbourhood, transfer.length);
}

uint32_t find_page_copy(LoopProof& proof, std::span<const uint32_t> path_mtus, std::string& why_none) {
  for (const uint32_t path_mtu : path_mtus) {
    const std::string wrong = proof.round_trip(path_mtu, kPageBytes);
    if (wrong.empty()) return path_mtu;
    if (why_none.empty())
      why_none = "pages copied into the CMB and back at path MTU " + std::to_string(path_mtu) + ": " + wrong;
  }
  return 0;
}

}  // namespace

uint64_t proof_dram_bytes(uint32_t max_transfer_bytes) {
  return 2 * std::max<uint64_t>(neighbourhood_bytes(max_transfer_bytes), uint64_t{kRoundTripPages} * kPageBytes);
}

uint32_t testable_transfer_bytes(uint64_t cmb_bytes, uint32_t wanted_bytes) {
  constexpr uint32_t kAround = 2 * kGuardBytes + kPageBytes;
  if (cmb_bytes <= kAround) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(wanted_bytes, (cmb_bytes - kAround) / kPageBytes * kPageBytes));
}

Evidence prove_by_loop(CopyEngine& engine, std::span<const uint32_t> path_mtus, const ProofOptions& options) {
  Evidence evidence;
  LoopProof proof(engine, options);
  evidence.page_copy_mtu = find_page_copy(proof, path_mtus, evidence.no_page_copy);
  if (evidence.page_copy_mtu == 0) {
    evidence.short_packets_right = !path_mtus.empty() && proof.round_trip(path_mtus.front(), kSmallestMtu).empty();
    return evidence;
  }
  evidence.no_page_copy.clear();
  PageCopy pages(engine, evidence.page_copy_mtu);
  for (const uint32_t path_mtu : path_mtus)
    evidence.by_mtu.push_back({path_mtu, proof.direction(Direction::HostReads, path_mtu, pages),
                               proof.direction(Direction::HostWrites, path_mtu, pages)});
  return evidence;
}

std::string prove_page_copies(CopyEngine& engine, uint32_t path_mtu, uint64_t seed) {
  return LoopProof(engine, {.seed = seed, .max_transfer_bytes = kPageBytes}).round_trip(path_mtu, kPageBytes);
}

core::ProvenTransfers proven_transfers(const Evidence& evidence, Direction direction) {
  core::ProvenTransfers proven;
  bool page_start = true;
  bool any_offset = true;
  for (const MtuEvidence& at : evidence.by_mtu) {
    const Trust& trust = direction == Direction::HostReads ? at.host_reads : at.host_writes;
    page_start = page_start && trust.page_start;
    any_offset = any_offset && page_start && trust.any_offset;
    if (page_start) proven.page_start_from_mtu = at.path_mtu;
    if (any_offset) proven.any_offset_from_mtu = at.path_mtu;
  }
  return proven;
}

}  // namespace nvmf::p2p
