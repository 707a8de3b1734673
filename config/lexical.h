// Positions of the tokens of a JSON text.
//
// nlohmann's parser reports values without positions. These functions find the positions: between two tokens there are
// only blanks, comments, commas and colons, and the text of an accepted token gives its length.
#pragma once

#include <cstddef>
#include <string_view>

#include "config/config.h"

namespace nvmf::config {

// The first offset at or after `offset` that is neither white space nor part of a comment. Stops at the «/» of a
// comment that is malformed or never ends.
size_t skip_blanks(std::string_view text, size_t offset);

// skip_blanks() that treats commas and colons as blanks, too.
size_t skip_separators(std::string_view text, size_t offset);

// The offset after the well-formed token that begins at `offset`.
size_t skip_token(std::string_view text, size_t offset);

// Bytes of the UTF-8 character at `offset`; 0 if they are not UTF-8.
size_t utf8_length(std::string_view text, size_t offset);

// Whether the text begins with a UTF-8 byte order mark (3 bytes), which no position counts.
bool has_byte_order_mark(std::string_view text);

// Turns ascending offsets of a text into lines and columns, in one pass over it.
class Locator {
 public:
  // `file`: see Position.
  explicit Locator(std::string_view text, uint32_t file = 0);

  // The position of `offset`, which must not be less than in the call before.
  Position at(size_t offset);

 private:
  std::string_view text_;
  size_t offset_;
  Position position_;
};

}  // namespace nvmf::config
