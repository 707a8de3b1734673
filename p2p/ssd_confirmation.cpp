// confirm_with_ssd(): whether the SSD agrees about a pair whose loop is right.
#include <algorithm>

#include "p2p/media_sample.h"
#include "p2p/page_copy.h"
#include "p2p/pattern.h"
#include "p2p/ssd_proof.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kSampleBytes = 4 * kPageBytes;
constexpr uint32_t kAreaBytes = kGuardBytes + kSampleBytes + kGuardBytes;
constexpr int kAttempts = 3;  // when others write to the namespace

struct Answer {
  SsdVerdict verdict = SsdVerdict::Silent;
  std::string note;
};

class Confirmation {
 public:
  Confirmation(SsdProbe& ssd, CopyEngine& engine, uint32_t page_copy_mtu, uint64_t seed)
      : ssd_(ssd), engine_(engine), pages_(engine, page_copy_mtu), seed_(seed) {}

  // The same area is used at both ends of the range.
  Answer host_reads(const MediaSample& sample);
  Answer host_writes(const MediaSample& sample);

 private:
  Answer host_reads_at(uint64_t area, const MediaSample& sample);
  Answer host_writes_at(uint64_t area, const MediaSample& sample);
  SsdProbe::Comparison write_and_compare(uint64_t area, const MediaSample& sample, size_t altered, std::string& error);

  std::span<std::byte> known() { return engine_.dram().first(kAreaBytes); }
  std::span<std::byte> moved() { return engine_.dram().subspan(kAreaBytes, kAreaBytes); }
  uint64_t last_area() const { return engine_.cmb_bytes() - kAreaBytes; }

  static constexpr size_t kUnaltered = SIZE_MAX;

  SsdProbe& ssd_;
  CopyEngine& engine_;
  PageCopy pages_;
  uint64_t seed_;
};

Answer Confirmation::host_reads(const MediaSample& sample) {
  Answer answer = host_reads_at(0, sample);
  return answer.verdict == SsdVerdict::Agrees ? host_reads_at(last_area(), sample) : answer;
}

Answer Confirmation::host_writes(const MediaSample& sample) {
  if (!ssd_.has_compare()) return {SsdVerdict::Silent, "the SSD has no Compare command"};
  Answer answer = host_writes_at(0, sample);
  return answer.verdict == SsdVerdict::Agrees ? host_writes_at(last_area(), sample) : answer;
}

Answer Confirmation::host_reads_at(uint64_t area, const MediaSample& sample) {
  fill_pattern(known(), ++seed_);
  std::string error = pages_.put(area, 0, kAreaBytes);
  if (!error.empty()) return {SsdVerdict::Contradicts, "the RNIC failed during the test with the SSD: " + error};
  error = ssd_.read_into_cmb(sample.slba, area + kGuardBytes, kSampleBytes);
  if (!error.empty()) return {SsdVerdict::Contradicts, "the SSD cannot read into the CMB: " + error};
  fill_pattern(moved(), ++seed_);
  error = pages_.get(area, kAreaBytes, kAreaBytes);
  if (!error.empty()) return {SsdVerdict::Contradicts, "the RNIC failed during the test with the SSD: " + error};
  std::ranges::copy(sample.bytes, known().begin() + kGuardBytes);
  const Mismatch mismatch = compare(moved(), known());
  if (!mismatch) return {SsdVerdict::Agrees, {}};
  return {SsdVerdict::Contradicts, "the RNIC did not read from the CMB what the SSD had written there: " +
                                       to_string(mismatch, kGuardBytes, kSampleBytes)};
}

// The RNIC writes the sample, with one byte altered unless `altered` is kUnaltered; the SSD compares.
SsdProbe::Comparison Confirmation::write_and_compare(uint64_t area, const MediaSample& sample, size_t altered,
                                                     std::string& error) {
  fill_pattern(known(), ++seed_);
  std::ranges::copy(sample.bytes, known().begin() + kGuardBytes);
  if (altered != kUnaltered) known()[kGuardBytes + altered] ^= std::byte{0x10};
  error = pages_.put(area, 0, kAreaBytes);
  if (!error.empty()) return SsdProbe::Comparison::Failed;
  return ssd_.compare_from_cmb(sample.slba, area + kGuardBytes, kSampleBytes, error);
}

Answer Confirmation::host_writes_at(uint64_t area, const MediaSample& sample) {
  using Comparison = SsdProbe::Comparison;
  std::string error;
  const Comparison equal = write_and_compare(area, sample, kUnaltered, error);
  if (equal == Comparison::Failed) return {SsdVerdict::Silent, "the SSD cannot compare from the CMB: " + error};
  if (equal == Comparison::Different)
    return {SsdVerdict::Contradicts, "the SSD did not find in the CMB what the RNIC had written there"};
  const size_t altered = (seed_ * 0x9e3779b97f4a7c15u >> 33) % kSampleBytes;
  const Comparison different = write_and_compare(area, sample, altered, error);
  if (different == Comparison::Different) return {SsdVerdict::Agrees, {}};
  if (!error.empty()) return {SsdVerdict::Contradicts, "the SSD cannot compare from the CMB: " + error};
  return {SsdVerdict::Contradicts, "the SSD's Compare found no difference, although the RNIC had changed byte " +
                                       std::to_string(altered) + " of the data in the CMB"};
}

// Repeats the test while others change the media during it.
template <class Ask>
Answer ask_on_still_media(SsdProbe& ssd, MediaSample& sample, Ask&& ask) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Answer answer = ask();
    if (answer.verdict != SsdVerdict::Contradicts || unchanged(ssd, sample)) return answer;
    const std::string error = ssd.read(sample.slba, sample.bytes);
    if (!error.empty()) return {SsdVerdict::Silent, "the SSD could not be read: " + error};
  }
  return {SsdVerdict::Silent,
          "other programs or hosts write to the namespace, so the SSD could not take part in the self-test"};
}

}  // namespace

SsdEvidence confirm_with_ssd(SsdProbe& ssd, CopyEngine& engine, uint32_t page_copy_mtu, uint64_t seed) {
  SsdEvidence evidence;
  std::string error;
  std::optional<MediaSample> sample = find_sample(ssd, kSampleBytes, error);
  if (!sample || engine.cmb_bytes() < kAreaBytes) {
    evidence.on_host_reads = "the SSD could not take part in the self-test" + (error.empty() ? "" : ": " + error);
    return evidence;
  }
  Confirmation confirmation(ssd, engine, page_copy_mtu, seed);
  const Answer reads = ask_on_still_media(ssd, *sample, [&] { return confirmation.host_reads(*sample); });
  const Answer writes = ask_on_still_media(ssd, *sample, [&] { return confirmation.host_writes(*sample); });
  evidence.host_reads = reads.verdict;
  evidence.host_writes = writes.verdict;
  // Without Compare, only right reads show that SSD and RNIC access the same pages.
  if (reads.verdict == SsdVerdict::Contradicts && writes.verdict == SsdVerdict::Silent)
    evidence.host_writes = SsdVerdict::Contradicts;
  evidence.on_host_reads = reads.note;
  evidence.on_host_writes = writes.note;
  return evidence;
}

}  // namespace nvmf::p2p
