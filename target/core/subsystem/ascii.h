// ASCII string fields, padded with spaces: NVMe Base 2.0, section 1.5.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace nvmf::core {

// A longer text is cut off.
template <size_t size>
void set_ascii(char (&field)[size], std::string_view text) {
  std::memset(field, ' ', size);
  std::memcpy(field, text.data(), std::min(text.size(), size));
}

}  // namespace nvmf::core
