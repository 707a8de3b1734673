// A JSON text as a tree in which every value and key has its position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace nvmf::config {

struct Value;
struct Member;

using Array = std::vector<Value>;
using Object = std::vector<Member>;  // In the order of the file, duplicates included.

struct Value {
  Position position;
  // null, true/false, a negative integer, any other integer, a number with fraction or exponent, and so on.
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> data;

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }

  // The first member with that key; nullptr if there is none, or this is not an object.
  const Value* find(std::string_view key) const;

  // "a string", "an object" and so on.
  std::string_view type_name() const;
};

struct Member {
  std::string key;
  Position position;
  Value value;
};

// The elements of the array that is the member `key` of `object`; none if it is not an array.
const Array& elements(const Value& object, std::string_view key);

// A place where the text is not JSON.
struct SyntaxError {
  Position position;
  std::string path;
  std::string problem;
  std::string remedy;
};

struct Document {
  // The tree, if the text is JSON or its only errors were surplus or missing commas.
  std::optional<Value> root;
  // In the order of the text.
  std::vector<SyntaxError> errors;
};

// Reads JSON with comments, nested at most kMaxDepth (parse.h) deep. `file`: of the positions.
Document read_document(std::string_view text, uint32_t file = 0);

}  // namespace nvmf::config
