// Why a text stops being JSON, in plain words.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace nvmf::config {

// What may follow the last token that was right.
enum class Expected {
  root,                    // The value of the whole file.
  key_or_end,              // Behind «{».
  value_or_end,            // Behind «[».
  colon,                   // Behind a key.
  comma_or_end_of_object,  // Behind a member.
  comma_or_end_of_array,   // Behind an element.
  end_of_file,             // Behind the value of the whole file.
};

// What the parser knew when it stopped.
struct SyntaxContext {
  Expected expected = Expected::root;
  Position opened;        // Where the innermost open object or array begins.
  bool in_array = false;  // Whether that is an array.
  std::string_view key;   // The last key of the innermost open object.
};

// One byte to write over another, after which the text means what it was plainly meant to.
struct Mend {
  size_t offset = 0;
  char byte = ' ';
};

// What a fault is about.
enum class Subject {
  next_value,  // The one that could not be read.
  last_value,
  container,  // The object or array that they are in.
};

struct SyntaxFault {
  size_t offset = 0;
  std::string problem;
  std::string remedy;
  Subject subject = Subject::next_value;
  std::optional<Mend> mend = {};
};

// Explains the first error behind `offset`, the end of the last good token.
SyntaxFault explain_syntax(std::string_view text, size_t offset, const SyntaxContext& context);

}  // namespace nvmf::config
