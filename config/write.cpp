#include "config/write.h"

#include "config/tables.h"

namespace nvmf::config {
namespace {

constexpr size_t kLineColumns = 100;

std::string spelled(const Json& scalar) { return scalar.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string on_one_line(const Json& value) {
  if (!value.is_structured() || value.empty()) return spelled(value);
  std::string text;
  for (const auto& [key, member] : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += spelled(key) + ": ";
    text += on_one_line(member);
  }
  return value.is_object() ? "{ " + text + " }" : "[" + text + "]";
}

// Appends `value`, which begins `column` columns into a line that is indented by `indent`: on the rest of the line if
// it fits there, otherwise with a line for each of its members.
void append(const Json& value, size_t indent, size_t column, std::string& out) {
  const std::string line = on_one_line(value);
  const bool whole_file = indent == 0;
  const bool fits = !whole_file && column + line.size() < kLineColumns;
  if (fits || !value.is_structured() || value.empty()) {
    out += line;
    return;
  }
  const std::string inner(indent + 2, ' ');
  std::string_view separator = value.is_object() ? "{\n" : "[\n";
  for (const auto& [key, member] : value.items()) {
    const std::string label = value.is_object() ? spelled(key) + ": " : "";
    out.append(separator).append(inner).append(label);
    append(member, inner.size(), inner.size() + label.size(), out);
    separator = ",\n";
  }
  out += '\n' + std::string(indent, ' ') + (value.is_object() ? '}' : ']');
}

std::string laid_out(const Json& file) {
  std::string text;
  append(file, 0, 0, text);
  return text + '\n';
}

}  // namespace

std::string write(const Config& config) { return laid_out(write_object(config_table(), config)); }

std::string write_drop_in(const Subsystem& subsystem) {
  Config config;
  config.subsystems.push_back(subsystem);
  return laid_out(write_object(drop_in_table(), config));
}

}  // namespace nvmf::config
