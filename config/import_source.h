// The common part of all imports. Another target's config is read into a tree, and its values as kinds of this config;
// an error that a Reader gets meanwhile means that a part is left out.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/document.h"
#include "config/import.h"
#include "config/kinds.h"
#include "config/parse.h"
#include "config/reader.h"

namespace nvmf::config {

// A text as a tree, or the message of a refused import.
struct ImportSource {
  std::optional<Value> root;
  Result refusal;
};
ImportSource read_import_source(std::string_view text, const std::string& file);

ImportResult refuse_import(const std::string& file, Position position, std::string problem, std::string remedy);

// `config` with the diagnostics of `reader`. An error when parse() does not accept `config`: then the import has a bug.
ImportResult finish_import(const Config& config, Reader reader, const std::string& file);

// From the tree of a target in the kernel (import_nvmetcli.cpp).
ImportResult import_nvmet_tree(const Value& root, const std::string& file, const std::string& key_directory);

// A key of the source that this config has no key for.
struct ForeignKey {
  std::string_view name;
  std::string_view harmless;  // The values that lose nothing, separated by blanks; kAnyValue: all.
  std::string_view why;       // For other values: what this target lacks.
  std::string_view remedy;
};
inline constexpr std::string_view kAnyValue = "*";

// Reports the members of `object` that are neither `carried` nor harmless.
void report_foreign_keys(const Value& object, std::span<const std::string_view> carried,
                         std::span<const ForeignKey> foreign, Reader& reader);

// A scalar as text: "1" for 1, "1" and true; empty for other values and for null.
std::string scalar_text(const Value* value);
bool is_on(const Value* value);
// Anything but null and an empty text.
bool is_given(const Value* value);

// The number in a text of digits; any other value as it is.
Value as_number(const Value& value);

// The member with that key; an empty object when it is missing.
const Value& member_or_empty(const Value& object, std::string_view key);

// Reads the value of `object`'s member `key`, if there is a text, number or boolean in it.
template <class Kind, class M>
bool read_member(const Value& object, std::string_view key, const Kind& kind, M& out, Reader& reader) {
  const Value* value = object.find(key);
  if (scalar_text(value).empty()) return false;
  const auto step = reader.into(key);
  return kind.read(*value, out, reader);
}

// read_member() of a number, or of a number that is written as a text.
template <class M>
bool read_number(const Value& object, std::string_view key, const Integer& kind, M& out, Reader& reader) {
  const Value* value = object.find(key);
  if (scalar_text(value).empty()) return false;
  const auto step = reader.into(key);
  return kind.read(as_number(*value), out, reader);
}

// Calls `act` with each element of the array `key` of `object`, while the reader's path is the element's.
template <class Act>
void for_each(Reader& reader, const Value& object, std::string_view key, Act act) {
  const auto in_list = reader.into(key);
  const Array& array = elements(object, key);
  for (size_t i = 0; i < array.size(); ++i) {
    const auto in_element = reader.into(i);
    act(array[i]);
  }
}

// Reports a subsystem of which no namespace was carried over, although the source had some: it would be served empty.
void report_empty(const Subsystem& subsystem, size_t namespaces_in_source, std::string path, Position position,
                  Reader& reader);

// Whether a list may grow; reports it if not.
bool has_room(size_t size, size_t most, const Value& element, Reader& reader);

// Sets the backend for a device or file by its path. False, and a report, where the path is not possible, or its device
// serves another namespace `among` those that may not share it («subsystem NQN»).
bool read_backend(const Value& path, const std::string& among, Namespace& ns, Reader& reader);

}  // namespace nvmf::config
