// The one way by which JSON from outside (requests, files of state) becomes a tree: bounded in size and depth, because
// what is built here is copied, merged and printed by functions that recurse. Config files and imports are read by
// read_document() (document.h), with the same bounds.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "config/parse.h"

namespace nvmf::config {

// Why a text was refused: a sentence without its subject («is nested deeper than 32 objects and arrays»).
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The tree of `text`, with the keys in their order. Throws JsonError when the text is not JSON (comments are not), has
// a key twice in one object, is longer than `most_bytes` or nested deeper than kMaxDepth.
nlohmann::ordered_json json_from(std::string_view text, size_t most_bytes = kMaxFileBytes);

}  // namespace nvmf::config
