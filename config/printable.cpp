#include "config/printable.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "config/characters.h"
#include "config/lexical.h"

namespace nvmf::config {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Unicode's categories Cc, Zl and Zp, the characters of bidirectional formatting, tags, and what nobody can see.
constexpr std::array<Range, 12> kHarmful = {{{0x00, 0x1F},
                                             {0x7F, 0x9F},
                                             {0xAD, 0xAD},
                                             {0x61C, 0x61C},
                                             {0x180E, 0x180E},
                                             {0x200B, 0x200F},
                                             {0x2028, 0x202E},
                                             {0x2060, 0x206F},
                                             {0xFEFF, 0xFEFF},
                                             {0xFFF9, 0xFFFB},
                                             {0xE0000, 0xE007F},
                                             {kNotUtf8, kNotUtf8}}};

bool is_harmful(char32_t code) {
  return std::ranges::any_of(kHarmful, [&](const Range& range) { return range.first <= code && code <= range.last; });
}

void append_escape(std::string& out, const Character& character) {
  const bool is_byte = character.code == kNotUtf8;
  const unsigned code = is_byte ? static_cast<unsigned char>(character.bytes.front()) : character.code;
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), code <= 0x7F || is_byte ? "\\x%02x" : "\\u%04x", code);
  out += text.data();
}

std::string shown(std::string_view text, bool keeps_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_character(text);
    text.remove_prefix(character.bytes.size());
    if (is_harmful(character.code) && !(keeps_lines && character.code == U'\n'))
      append_escape(out, character);
    else
      out += character.bytes;
  }
  return out;
}

}  // namespace

Character first_character(std::string_view text) {
  const size_t length = utf8_length(text, 0);
  if (length == 0) return {text.substr(0, 1), kNotUtf8};
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (length == 1) return {text.substr(0, 1), byte(0)};
  char32_t code = byte(0) & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6U | (byte(i) & 0x3FU);
  return {text.substr(0, length), code};
}

std::string printable(std::string_view text) { return shown(text, false); }

std::string printable_lines(std::string_view text) { return shown(text, true); }

std::string without_keys(std::string_view text) {
  constexpr std::string_view kBegin = "DHHC-1";
  std::string out;
  for (size_t place = text.find(kBegin); place != std::string_view::npos; place = text.find(kBegin)) {
    out.append(text.substr(0, place)).append("DHHC-1:...");
    // What a key is made of, and how a URL or JSON may write that.
    constexpr std::string_view kMarks = R"(:+/=-%\)";
    const auto is_of_key = [&](char c) { return is_letter_or_digit(c) || kMarks.find(c) != std::string_view::npos; };
    text.remove_prefix(place + kBegin.size());
    const auto end = std::ranges::find_if_not(text, is_of_key);
    text.remove_prefix(static_cast<size_t>(end - text.begin()));
  }
  return out.append(text);
}

}  // namespace nvmf::config
