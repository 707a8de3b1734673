// An object of the file as a table: one row per key, which says how the key is read, written, and described to editors.
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
  std::function<Json(const T&)> write;  // null: the object has no value for this key
  Json absent;                          // What the key's absence means, so that it need not be written; null: nothing.
};

template <class T>
struct Table {
  std::string noun;  // «a port», for messages.
  std::string doc;
  std::vector<Key<T>> keys;  // In the order in which they are read.
  // Checks relations between keys; called when all have been read. May be null.
  void (*rules)(const Value& object, T& out, Reader& reader);
  // The part of `rules` that JSON Schema can express: members to add to the object's schema.
  Json conditions = Json::object();
};

// What read_object() checks before it reads any value: unknown keys, keys given twice, missing keys.
struct KeyName {
  std::string_view name;
  Presence presence;
};
void check_keys(const Value& object, const std::string& noun, const std::vector<KeyName>& keys, Reader& reader);
// `first`: where the same object, which is the value of the present path, has the key before.
void report_repeated_key(const Member& member, Position first, Reader& reader);

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

// An object that read_object() reads as `in` again; keys with their default value are left out.
template <class T>
Json write_object(const Table<T>& table, const T& in) {
  Json object = Json::object();
  for (const Key<T>& key : table.keys) {
    Json value = key.write(in);
    if (!value.is_null() && value != key.absent) object[key.name] = std::move(value);
  }
  return object;
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
  Json literal(const T& in) const { return write_object(table, in); }
  Json schema() const { return schema_of(table); }
};

template <class T>
ObjectOf(const Table<T>&) -> ObjectOf<T>;

// The allowed number of elements of an array.
struct Length {
  size_t least;
  size_t most;
};

// The elements of `value`; nullptr, and a diagnostic, if it is no array or not of that length.
const Array* read_array(const Value& value, const Length& length, Reader& reader);

// An array. `out` gets one element for each element of the array, valid or not, so that the indices stay the same.
template <class Kind>
struct ListOf {
  Kind kind;
  Length length;
  std::string_view distinct = {};  // The noun for an element, where no two may be the same; they are scalars then.

  template <class M>
  bool read(const Value& value, std::vector<M>& out, Reader& reader) const {
    const Array* array = read_array(value, length, reader);
    if (array == nullptr) return false;
    const std::string list = reader.identity();
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
  template <class M>
  Json literal(const std::vector<M>& elements) const {
    Json array = Json::array();
    for (const M& element : elements) array.push_back(kind.literal(element));
    return array;
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

// A row whose value goes through `set(T&, M, Position)` and comes back from `get(const T&)`, an optional<M>.
template <class T, class M, class Kind, class Set, class Get>
Key<T> key_through(std::string name, Kind kind, std::string_view doc, Set set, Get get) {
  auto read = [kind, set](const Value& value, T& out, Reader& reader) {
    M read_value{};
    if (kind.read(value, read_value, reader)) set(out, std::move(read_value), value.position);
  };
  auto write = [kind, get](const T& in) {
    const std::optional<M> value = get(in);
    return value ? kind.literal(*value) : Json();
  };
  return {std::move(name), Presence::optional, described(kind, doc), read, write, {}};
}

// A row whose value goes into a member, whose initial value is the default.
template <class T, class M, class Kind>
Key<T> key(std::string name, M T::*member, Kind kind, std::string_view doc) {
  if constexpr (is_optional<M>::value) {
    using Inner = typename M::value_type;
    auto set = [member](T& out, Inner value, Position) { out.*member = std::move(value); };
    return key_through<T, Inner>(std::move(name), kind, doc, set, [member](const T& in) { return in.*member; });
  } else {
    Json schema = described(kind, doc);
    const Json initial = kind.literal(T{}.*member);
    if (initial.is_primitive()) schema["default"] = initial;
    auto read = [kind, member](const Value& value, T& out, Reader& reader) { kind.read(value, out.*member, reader); };
    auto write = [kind, member](const T& in) -> Json { return kind.literal(in.*member); };
    return {std::move(name), Presence::optional, std::move(schema), read, write, initial};
  }
}

// A row whose default depends on other keys; the member's initial value marks it as not yet resolved.
template <class T>
Key<T> without_default(Key<T> row) {
  row.schema.erase("default");
  return row;
}

// A row whose default differs from the member's initial value.
template <class T>
Key<T> always_written(Key<T> row) {
  row.absent = nullptr;
  return row;
}

// A row whose key is required.
template <class T>
Key<T> required(Key<T> row) {
  row.presence = Presence::required;
  return always_written(without_default(std::move(row)));
}

}  // namespace nvmf::config
