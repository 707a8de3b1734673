// The JSON Schema of the file, made from the parser's tables. config/schema.json is its copy for editors; a test
// compares the two.
#pragma once

#include <string>

namespace nvmf::config {

// JSON Schema, draft 7, indented, with a line end.
std::string schema_text();

}  // namespace nvmf::config
