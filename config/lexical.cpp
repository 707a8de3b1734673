#include "config/lexical.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#include "config/characters.h"

namespace nvmf::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The character at `offset`, NUL after the end.
char peek(std::string_view text, size_t offset) { return offset < text.size() ? text[offset] : '\0'; }

// The offset after the comment that begins at `offset`; `offset` itself when no comment begins there or it does not
// end.
size_t skip_comment(std::string_view text, size_t offset) {
  const std::string_view opening = text.substr(offset, 2);
  if (opening == "//") return std::min(text.find_first_of("\n\r", offset), text.size());
  if (opening != "/*") return offset;
  const size_t end = text.find("*/", offset + 2);
  return end == std::string_view::npos ? offset : end + 2;
}

size_t skip_digits(std::string_view text, size_t offset) {
  while (is_digit(peek(text, offset))) ++offset;
  return offset;
}

// By the grammar of JSON, so that «007» is three numbers, as it is for the parser.
size_t skip_number(std::string_view text, size_t offset) {
  if (peek(text, offset) == '-') ++offset;
  offset = peek(text, offset) == '0' ? offset + 1 : skip_digits(text, offset);
  if (peek(text, offset) == '.') offset = skip_digits(text, offset + 1);
  if (peek(text, offset) != 'e' && peek(text, offset) != 'E') return offset;
  ++offset;
  if (peek(text, offset) == '+' || peek(text, offset) == '-') ++offset;
  return skip_digits(text, offset);
}

size_t skip_string(std::string_view text, size_t offset) {
  for (++offset; offset < text.size() && text[offset] != '"'; ++offset) {
    if (text[offset] == '\\') ++offset;
  }
  return std::min(offset + 1, text.size());
}

uint32_t code_point(std::string_view character) {
  constexpr std::array<unsigned, 5> lead_mask = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t code = static_cast<unsigned char>(character[0]) & lead_mask[character.size()];
  for (const char c : character.substr(1)) code = code << 6U | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

size_t length_by_lead_byte(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

size_t skip_blanks(std::string_view text, size_t offset) {
  while (offset < text.size()) {
    const size_t next = is_blank(text[offset]) ? offset + 1 : skip_comment(text, offset);
    if (next == offset) break;
    offset = next;
  }
  return offset;
}

size_t skip_separators(std::string_view text, size_t offset) {
  offset = skip_blanks(text, offset);
  while (peek(text, offset) == ',' || peek(text, offset) == ':') offset = skip_blanks(text, offset + 1);
  return offset;
}

size_t skip_token(std::string_view text, size_t offset) {
  switch (peek(text, offset)) {
    case '"':
      return skip_string(text, offset);
    case 't':  // true
    case 'n':  // null
      return std::min(offset + 4, text.size());
    case 'f':  // false
      return std::min(offset + 5, text.size());
    case '{':
    case '}':
    case '[':
    case ']':
      return offset + 1;
    default:
      return skip_number(text, offset);
  }
}

size_t utf8_length(std::string_view text, size_t offset) {
  constexpr std::array<uint32_t, 5> least_code = {0, 0, 0x80, 0x800, 0x10000};
  const size_t length = length_by_lead_byte(static_cast<unsigned char>(text[offset]));
  const std::string_view character = text.substr(offset, length);
  if (length == 0 || character.size() < length) return 0;
  if (!std::ranges::all_of(character.substr(1), is_continuation)) return 0;
  const uint32_t code = code_point(character);
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < least_code[length] || code > 0x10FFFF || is_surrogate ? 0 : length;
}

bool has_byte_order_mark(std::string_view text) { return text.starts_with(kByteOrderMark); }

Locator::Locator(std::string_view text, uint32_t file)
    : text_(text),
      offset_(has_byte_order_mark(text) ? kByteOrderMark.size() : 0),
      position_{.line = 1, .column = 1, .file = file} {}

Position Locator::at(size_t offset) {
  assert(offset >= offset_);
  for (; offset_ < offset && offset_ < text_.size(); ++offset_) {
    if (text_[offset_] == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if (!is_continuation(text_[offset_])) {
      ++position_.column;
    }
  }
  return position_;
}

}  // namespace nvmf::config
