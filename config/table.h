// An object of the file as a table: one row per key, which says how the key is read and how an editor is told of it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/kinds.h"

namespace nvmf::config {

enum class Presence : bool { optional, required };

// One key of the objects that are read into a T.
template <class T>
struct Key {
  std::string name;
  Presence presence;
  Json schema;  // Type, range, default and description.
  std::function<void(const Value&, T&, Reader&)> read;
};

template <class T>
struct Table {
  std::string noun;  // «a port», for messages.
  std::string doc;
  std::vector<Key<T>> keys;  // In the order in which they are read.
  // What relates several keys; called when all have been read. May be null.
  void (*rules)(const Value& object, T& out, Reader& reader);
  // What of `rules` JSON Schema can say: members to add to the object's schema.
  Json conditions = Json::object();
};

// What read_object() checks before it looks at any value: a key that the table has not, one given twice, one missing.
struct KeyName {
  std::string_view name;
  Presence presence;
};
void check_keys(const Value& object, const std::string& noun, const std::vector<KeyName>& keys, Reader& reader);

template <class T>
bool read_object(const Table<T>& table, const Value& value, T& out, Reader& reader) {
  if (value.as<Object>() == nullptr) {
    reader.wrong_type(value, "an object", "write " + table.noun + " as { \"key\": value, ... }");
    return false;
  }
  std::vector<KeyName> names;
  for (const Key<T>& key : table.keys) names.push_back({key.name, key.presence});
  check_keys(value, table.noun, names, reader);
  if constexpr (requires { out.position; }) out.position = value.position;
  for (const Key<T>& key : table.keys) {
    const Value* member = value.find(key.name);
    if (member == nullptr) continue;
    const auto step = reader.into(key.name);
    key.read(*member, out, reader);
  }
  if (table.rules != nullptr) table.rules(value, out, reader);
  return true;
}

template <class T>
Json schema_of(const Table<T>& table) {
  Json schema = {{"type", "object"}, {"description", table.doc}, {"additionalProperties", false}};
  for (const Key<T>& key : table.keys) {
    if (key.presence == Presence::required) schema["required"].push_back(key.name);
    schema["properties"][key.name] = key.schema;
  }
  schema.update(table.conditions);
  return schema;
}

// The kind of a value that is itself an object.
template <class T>
struct ObjectOf {
  const Table<T>& table;

  bool read(const Value& value, T& out, Reader& reader) const { return read_object(table, value, out, reader); }
  Json schema() const { return schema_of(table); }
};

template <class T>
ObjectOf(const Table<T>&) -> ObjectOf<T>;

// How many elements an array may have.
struct Length {
  size_t least;
  size_t most;
};

// The elements of `value`; nullptr, and a diagnostic, if it is no array or not of that length.
const Array* read_array(const Value& value, const Length& length, Reader& reader);

// An array. `out` gets an element for each of the array's, fit or not, so that their indices stay the same.
template <class Kind>
struct ListOf {
  Kind kind;
  Length length;
  std::string_view distinct = {};  // The noun for an element, where no two may be the same; they are scalars then.

  template <class M>
  bool read(const Value& value, std::vector<M>& out, Reader& reader) const {
    const Array* array = read_array(value, length, reader);
    if (array == nullptr) return false;
    const std::string list = reader.path();
    for (size_t i = 0; i < array->size(); ++i) {
      const auto step = reader.into(i);
      const bool good = kind.read((*array)[i], out.emplace_back(), reader);
      if constexpr (requires { Json(out.back()); }) {
        if (good && !distinct.empty()) {
          reader.unique(distinct, list + Json(out.back()).dump(), (*array)[i].position, Severity::error, "keep one");
        }
      }
    }
    return true;
  }
  Json schema() const {
    Json schema = {{"type", "array"}, {"maxItems", length.most}, {"items", kind.schema()}};
    if (length.least > 0) schema["minItems"] = length.least;
    if (!distinct.empty()) schema["uniqueItems"] = true;
    return schema;
  }
};

template <class M>
struct is_optional : std::false_type {};
template <class M>
struct is_optional<std::optional<M>> : std::true_type {};

// The schema of a key of `kind`, with its description.
template <class Kind>
Json described(const Kind& kind, std::string_view doc) {
  Json schema = kind.schema();
  schema["description"] = doc;
  return schema;
}

// A row whose value goes through `set(T&, M, Position)`.
template <class T, class M, class Kind, class Set>
Key<T> key_through(std::string name, Kind kind, std::string_view doc, Set set) {
  auto read = [kind, set](const Value& value, T& out, Reader& reader) {
    M read_value{};
    if (kind.read(value, read_value, reader)) set(out, std::move(read_value), value.position);
  };
  return {std::move(name), Presence::optional, described(kind, doc), read};
}

// A row whose value goes into a member, whose initial value is its default if it is a kind that can be written down.
template <class T, class M, class Kind>
Key<T> key(std::string name, M T::*member, Kind kind, std::string_view doc) {
  Json schema = described(kind, doc);
  if constexpr (is_optional<M>::value) {
    auto set = [member](T& out, typename M::value_type value, Position) { out.*member = std::move(value); };
    return key_through<T, typename M::value_type>(std::move(name), kind, doc, set);
  } else {
    if constexpr (requires { kind.literal(T{}.*member); }) schema["default"] = kind.literal(T{}.*member);
    auto read = [kind, member](const Value& value, T& out, Reader& reader) { kind.read(value, out.*member, reader); };
    return {std::move(name), Presence::optional, std::move(schema), read};
  }
}

// A row without a default.
template <class T>
Key<T> without_default(Key<T> row) {
  row.schema.erase("default");
  return row;
}

// A row that must be there.
template <class T>
Key<T> required(Key<T> row) {
  row.presence = Presence::required;
  return without_default(std::move(row));
}

}  // namespace nvmf::config
