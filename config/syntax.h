// Explains in plain words where a text is not JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace nvmf::config {

// What may follow the last correct token.
enum class Expected {
  root,                    // The value of the whole file.
  key_or_end,              // After «{».
  value_or_end,            // After «[».
  colon,                   // After a key.
  comma_or_end_of_object,  // After a member.
  comma_or_end_of_array,   // After an element.
  end_of_file,             // After the value of the whole file.
};

// What the parser knew when it stopped.
struct SyntaxContext {
  Expected expected = Expected::root;
  Position opened;        // Where the innermost open object or array begins.
  bool in_array = false;  // Whether that is an array.
  std::string_view key;   // The last key of the innermost open object.
};

// One byte to replace, after which the text has its intended meaning.
struct Correction {
  size_t offset = 0;
  char byte = ' ';
};

// The value or container that a fault is about.
enum class Subject {
  next_value,  // The value that could not be read.
  last_value,
  container,  // The object or array that they are in.
};

struct SyntaxFault {
  size_t offset = 0;
  std::string problem;
  std::string remedy;
  Subject subject = Subject::next_value;
  std::optional<Correction> correction = {};
};

// Explains the first error after `offset`, the end of the last good token.
SyntaxFault explain_syntax(std::string_view text, size_t offset, const SyntaxContext& context);

}  // namespace nvmf::config
