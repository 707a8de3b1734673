// Kinds of ASCII characters, whatever the locale, and where characters of UTF-8 begin.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace nvmf::config {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
constexpr bool is_letter_or_digit(char c) { return is_letter(c) || is_digit(c); }
constexpr bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// A byte of UTF-8 that begins no character.
constexpr bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// At most `most_bytes` of UTF-8, cut between two characters.
constexpr std::string_view beginning_of(std::string_view text, size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  size_t end = most_bytes;
  while (end > 0 && is_continuation(text[end])) --end;
  return text.substr(0, end);
}

// With every letter in lower case.
inline std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

}  // namespace nvmf::config
