// Bytes in test vectors, as hexadecimal digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nvmf::auth {

inline std::vector<uint8_t> bytes_of(const std::string& digits) {
  std::vector<uint8_t> bytes;
  for (size_t at = 0; at < digits.size(); at += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(at, 2), nullptr, 16)));
  return bytes;
}

}  // namespace nvmf::auth
