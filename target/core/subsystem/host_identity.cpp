#include "target/core/subsystem/host_identity.h"

namespace nvmf::core {

std::string shown(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string word;
  word.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool separates = byte <= 0x20 || byte == 0x7f || c == '(' || c == ')' || c == ',';
    if (!separates) {
      word += c;
      continue;
    }
    word += "\\x";
    word += kDigits[byte >> 4];
    word += kDigits[byte & 15];
  }
  return word;
}

}  // namespace nvmf::core
