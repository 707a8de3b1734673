// How text of strangers (a host's NQN, a device's name, a string of another target's config) is shown to people. A
// terminal or a pager obeys control characters, and a line break in a name forges a line of the log. So each place
// where text becomes output shows them instead of sending them.
#pragma once

#include <string>
#include <string_view>

namespace nvmf::config {

// The first character of a text.
struct Character {
  std::string_view bytes;  // not empty
  char32_t code = 0;       // kNotUtf8: one byte that is not UTF-8
};
inline constexpr char32_t kNotUtf8 = 0xFFFFFFFF;
Character first_character(std::string_view text);

// `text` on one line, with control characters (C0, DEL, C1), characters that change the order or the place of what
// follows (U+200E, U+202E, U+2028, ...), and bytes that are not UTF-8 as «\x1b» or «\u202e». Other text stays as it is.
std::string printable(std::string_view text);

// The same, but line breaks stay: for text of several lines that is ours apart from names in it.
std::string printable_lines(std::string_view text);

// `text` with «DHHC-1:...» for each DH-HMAC-CHAP key in it: where somebody has written a key does not matter.
std::string without_keys(std::string_view text);

}  // namespace nvmf::config
