// A stretch of a namespace whose content is known.
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
  // Nearly no two aligned pieces of 64 bytes are alike, so that bytes in the wrong place show.
  bool telling = false;
};

bool is_telling(std::span<const std::byte> bytes);

// Looks at some places of the namespace and takes the first that is telling, or else the first. `length_bytes`: whole
// pages. None when the namespace is too small or cannot be read; `error` says why.
std::optional<MediaSample> find_sample(SsdProbe& ssd, uint32_t length_bytes, std::string& error);

// Whether the media still hold the sample.
bool unchanged(SsdProbe& ssd, const MediaSample& sample);

}  // namespace nvmf::p2p
