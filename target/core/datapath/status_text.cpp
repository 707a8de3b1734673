#include "target/core/datapath/status_text.h"

#include <array>
#include <cstdio>

namespace nvmf::core {

std::string to_string(Status status) {
  constexpr unsigned kTypeAndCode = 0x7ff;
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "%03xh", status.value() & kTypeAndCode);
  return std::string("NVMe status ") + number.data();
}

}  // namespace nvmf::core
