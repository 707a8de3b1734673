#include "p2p/media_sample.h"

#include <algorithm>
#include <string_view>

namespace nvmf::p2p {
namespace {

constexpr size_t kPieceBytes = 64;
constexpr uint64_t kPlaces = 32;

}  // namespace

bool is_telling(std::span<const std::byte> bytes) {
  std::vector<std::string_view> pieces;
  for (size_t start = 0; start + kPieceBytes <= bytes.size(); start += kPieceBytes)
    pieces.emplace_back(reinterpret_cast<const char*>(bytes.data()) + start, kPieceBytes);
  if (pieces.empty()) return false;
  std::ranges::sort(pieces);
  const auto distinct = static_cast<size_t>(std::unique(pieces.begin(), pieces.end()) - pieces.begin());
  return distinct * 10 >= pieces.size() * 9;
}

std::optional<MediaSample> find_sample(SsdProbe& ssd, uint32_t length_bytes, std::string& error) {
  const uint64_t blocks = length_bytes / ssd.block_bytes();
  if (ssd.block_count() < blocks) {
    error = "the namespace is smaller than " + std::to_string(length_bytes) + " bytes";
    return std::nullopt;
  }
  std::optional<MediaSample> first;
  for (uint64_t place = 0; place < kPlaces; ++place) {
    MediaSample sample{(ssd.block_count() - blocks) / kPlaces * place, std::vector<std::byte>(length_bytes), false};
    error = ssd.read(sample.slba, sample.bytes);
    if (!error.empty()) return std::nullopt;
    sample.telling = is_telling(sample.bytes);
    if (sample.telling) return sample;
    if (!first) first = std::move(sample);
  }
  return first;
}

bool unchanged(SsdProbe& ssd, const MediaSample& sample) {
  std::vector<std::byte> now(sample.bytes.size());
  return ssd.read(sample.slba, now).empty() && now == sample.bytes;
}

}  // namespace nvmf::p2p
