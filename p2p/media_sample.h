// A range of a namespace whose content is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "p2p/ssd_probe.h"

namespace nvmf::p2p {

struct MediaSample {
  uint64_t slba = 0;
  std::vector<std::byte> bytes;
  // Almost all aligned pieces of 64 bytes differ, so that bytes in the wrong place are noticed.
  bool telling = false;
};

bool is_telling(std::span<const std::byte> bytes);

// Reads some places of the namespace and takes the first whose pieces differ, or else the first place. `length_bytes`:
// whole pages. None when the namespace is too small or cannot be read; `error` says why.
std::optional<MediaSample> find_sample(SsdProbe& ssd, uint32_t length_bytes, std::string& error);

// Whether the media still hold the sample.
bool unchanged(SsdProbe& ssd, const MediaSample& sample);

}  // namespace nvmf::p2p
