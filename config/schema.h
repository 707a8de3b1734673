// The JSON Schemas of the config file and of a drop-in, made from the parser's tables. config/schema.json and
// config/drop-in-schema.json are their copies for editors; a test compares them.
#pragma once

#include <string>

namespace nvmf::config {

// JSON Schema, draft 7, indented, with a line end.
std::string schema_text();
std::string drop_in_schema_text();

}  // namespace nvmf::config
