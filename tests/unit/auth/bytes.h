// Bytes to compare: of test vectors, as hexadecimal digits, and of secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "target/auth/secret.h"

namespace nvmf::auth {

inline std::vector<uint8_t> bytes_of(const std::string& digits) {
  std::vector<uint8_t> bytes;
  for (size_t at = 0; at < digits.size(); at += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(at, 2), nullptr, 16)));
  return bytes;
}

inline std::vector<uint8_t> bytes_of(const Secret& secret) { return {secret.bytes().begin(), secret.bytes().end()}; }

}  // namespace nvmf::auth
