// confirm_with_ssd(): the SSD's word on a pair whose loop is right.
#include <algorithm>

#include "p2p/media_sample.h"
#include "p2p/pattern.h"
#include "p2p/ssd_proof.h"
#include "p2p/transfer_cases.h"
#include "p2p/witness.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kSampleBytes = 4 * kPageBytes;
constexpr uint32_t kAreaBytes = kGuardBytes + kSampleBytes + kGuardBytes;
constexpr int kAttempts = 3;  // while others write to the namespace

struct Answer {
  SsdWord word = SsdWord::Silent;
  std::string note;
};

class Confirmation {
 public:
  Confirmation(SsdProbe& ssd, CopyEngine& engine, uint32_t witness_mtu, uint64_t seed)
      : ssd_(ssd), engine_(engine), witness_(engine, witness_mtu), seed_(seed) {}

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
  Witness witness_;
  uint64_t seed_;
};

Answer Confirmation::host_reads(const MediaSample& sample) {
  Answer answer = host_reads_at(0, sample);
  return answer.word == SsdWord::Agrees ? host_reads_at(last_area(), sample) : answer;
}

Answer Confirmation::host_writes(const MediaSample& sample) {
  if (!ssd_.has_compare())
    return {SsdWord::Silent, "the SSD has no Compare command, so the RNIC's loop alone vouches for host writes"};
  Answer answer = host_writes_at(0, sample);
  return answer.word == SsdWord::Agrees ? host_writes_at(last_area(), sample) : answer;
}

Answer Confirmation::host_reads_at(uint64_t area, const MediaSample& sample) {
  fill_pattern(known(), ++seed_);
  std::string error = witness_.put(area, 0, kAreaBytes);
  if (!error.empty()) return {SsdWord::Contradicts, "the RNIC failed while the SSD was asked: " + error};
  error = ssd_.read_into_cmb(sample.slba, area + kGuardBytes, kSampleBytes);
  if (!error.empty()) return {SsdWord::Contradicts, "the SSD cannot read into its CMB: " + error};
  fill_pattern(moved(), ++seed_);
  error = witness_.get(area, kAreaBytes, kAreaBytes);
  if (!error.empty()) return {SsdWord::Contradicts, "the RNIC failed while the SSD was asked: " + error};
  std::copy(sample.bytes.begin(), sample.bytes.end(), known().begin() + kGuardBytes);
  const Mismatch mismatch = compare(moved(), known());
  if (!mismatch) return {SsdWord::Agrees, {}};
  return {SsdWord::Contradicts, "what the SSD read into its CMB is not what the RNIC fetched there: " +
                                    to_string(mismatch, kGuardBytes, kSampleBytes)};
}

// The RNIC writes the sample, with one byte altered unless `altered` is kUnaltered; the SSD compares.
SsdProbe::Comparison Confirmation::write_and_compare(uint64_t area, const MediaSample& sample, size_t altered,
                                                     std::string& error) {
  fill_pattern(known(), ++seed_);
  std::copy(sample.bytes.begin(), sample.bytes.end(), known().begin() + kGuardBytes);
  if (altered != kUnaltered) known()[kGuardBytes + altered] ^= std::byte{0x10};
  error = witness_.put(area, 0, kAreaBytes);
  if (!error.empty()) return SsdProbe::Comparison::Failed;
  return ssd_.compare_from_cmb(sample.slba, area + kGuardBytes, kSampleBytes, error);
}

Answer Confirmation::host_writes_at(uint64_t area, const MediaSample& sample) {
  using Comparison = SsdProbe::Comparison;
  std::string error;
  const Comparison equal = write_and_compare(area, sample, kUnaltered, error);
  if (equal == Comparison::Failed)
    return {SsdWord::Silent,
            "the SSD cannot compare from its CMB (" + error + "), so the RNIC's loop alone vouches for host writes"};
  if (equal == Comparison::Different)
    return {SsdWord::Contradicts, "what the RNIC wrote into the CMB is not what the SSD finds there"};
  const size_t altered = (seed_ * 0x9e3779b97f4a7c15u >> 33) % kSampleBytes;
  const Comparison different = write_and_compare(area, sample, altered, error);
  if (different == Comparison::Different) return {SsdWord::Agrees, {}};
  return {SsdWord::Contradicts, "the SSD did not notice that the RNIC altered byte " + std::to_string(altered) +
                                    " of what it compared" + (error.empty() ? "" : ": " + error)};
}

// Asks until the media stood still during an answer that matters.
template <class Ask>
Answer ask_on_still_media(SsdProbe& ssd, MediaSample& sample, Ask&& ask) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Answer answer = ask();
    if (answer.word != SsdWord::Contradicts || unchanged(ssd, sample)) return answer;
    const std::string error = ssd.read(sample.slba, sample.bytes);
    if (!error.empty()) return {SsdWord::Silent, "the SSD could not be read: " + error};
  }
  return {SsdWord::Silent, "others write to the namespace, so the SSD could not be asked"};
}

}  // namespace

SsdEvidence confirm_with_ssd(SsdProbe& ssd, CopyEngine& engine, uint32_t witness_mtu, uint64_t seed) {
  SsdEvidence evidence;
  std::string error;
  std::optional<MediaSample> sample = find_sample(ssd, kSampleBytes, error);
  if (!sample || engine.cmb_bytes() < kAreaBytes) {
    evidence.notes.push_back("the SSD could not be asked" + (error.empty() ? "" : ": " + error));
    return evidence;
  }
  Confirmation confirmation(ssd, engine, witness_mtu, seed);
  const Answer reads = ask_on_still_media(ssd, *sample, [&] { return confirmation.host_reads(*sample); });
  const Answer writes = ask_on_still_media(ssd, *sample, [&] { return confirmation.host_writes(*sample); });
  evidence.host_reads = reads.word;
  evidence.host_writes = writes.word;
  // Without Compare, only right reads show that SSD and RNIC mean the same pages.
  if (reads.word == SsdWord::Contradicts && writes.word == SsdWord::Silent) evidence.host_writes = SsdWord::Contradicts;
  for (const Answer& answer : {reads, writes})
    if (!answer.note.empty()) evidence.notes.push_back(answer.note);
  return evidence;
}

}  // namespace nvmf::p2p
