// As much of JSON Schema (draft 7) as config/schema.json uses.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

namespace nvmf::config::test {

using Json = nlohmann::ordered_json;

bool satisfies(const Json& value, const Json& schema);

inline bool has_type(const Json& value, const std::string& type) {
  return type == "object"    ? value.is_object()
         : type == "array"   ? value.is_array()
         : type == "string"  ? value.is_string()
         : type == "boolean" ? value.is_boolean()
                             : type == "integer" && value.is_number_integer();
}

inline bool fits_object(const Json& object, const Json& schema) {
  for (const Json& key : schema.value("required", Json::array())) {
    if (!object.contains(key.get<std::string>())) return false;
  }
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [key, member] : object.items()) {
    if (properties.contains(key) ? !satisfies(member, properties[key]) : !schema.value("additionalProperties", true))
      return false;
  }
  return true;
}

inline bool fits_array(const Json& array, const Json& schema) {
  if (array.size() < schema.value("minItems", size_t{0}) || array.size() > schema.value("maxItems", SIZE_MAX))
    return false;
  if (schema.value("uniqueItems", false) && std::set<Json>(array.begin(), array.end()).size() != array.size())
    return false;
  return std::ranges::all_of(array, [&](const Json& one) { return satisfies(one, schema.value("items", Json(true))); });
}

inline bool fits_scalar(const Json& value, const Json& schema) {
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    return text.size() >= schema.value("minLength", size_t{0}) && text.size() <= schema.value("maxLength", SIZE_MAX) &&
           std::regex_search(text, std::regex(schema.value("pattern", "")));
  }
  if (!value.is_number_integer()) return true;
  const auto number = value.get<int64_t>();
  return number >= schema.value("minimum", INT64_MIN) && number <= schema.value("maximum", INT64_MAX) &&
         number % schema.value("multipleOf", int64_t{1}) == 0;
}

inline bool fits_combination(const Json& value, const Json& schema) {
  const auto fitting = [&](const char* key) {
    return std::ranges::count_if(schema[key], [&](const Json& one) { return satisfies(value, one); });
  };
  if (schema.contains("anyOf") && fitting("anyOf") == 0) return false;
  if (schema.contains("oneOf") && fitting("oneOf") != 1) return false;
  if (schema.contains("allOf") && fitting("allOf") != static_cast<std::ptrdiff_t>(schema["allOf"].size())) return false;
  if (schema.contains("not") && satisfies(value, schema["not"])) return false;
  if (!schema.contains("if")) return true;
  return satisfies(value, schema.value(satisfies(value, schema["if"]) ? "then" : "else", Json(true)));
}

inline bool satisfies(const Json& value, const Json& schema) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (schema.contains("type") && !has_type(value, schema["type"])) return false;
  if (schema.contains("const") && value != schema["const"]) return false;
  if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end()) return false;
  if (value.is_object() && !fits_object(value, schema)) return false;
  if (value.is_array() && !fits_array(value, schema)) return false;
  return fits_scalar(value, schema) && fits_combination(value, schema);
}

}  // namespace nvmf::config::test
