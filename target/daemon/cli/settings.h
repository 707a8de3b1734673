// Arguments of commands that become JSON: KEY=VALUE, and names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "target/daemon/cli/views.h"

namespace nvmf::cli {

// The JSON object that `KEY=VALUE` arguments describe. A value that is valid JSON is used as such, any other value as a
// string; the dots of a key separate nested objects. Throws std::invalid_argument.
Json object_from(const std::vector<std::string>& settings);

// «"3" is not of the form KEY=VALUE»
std::string not_a_setting(const std::string& text);

// JSON has no text that is not UTF-8: throws std::invalid_argument, which calls `text` by its `name`.
void require_utf8(const std::string& name, std::string_view text);

}  // namespace nvmf::cli
