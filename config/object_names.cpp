#include "config/object_names.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace nvmf::config {
namespace {

using Json = nlohmann::ordered_json;

// A list of objects that are known by one of their keys.
struct List {
  const char* name;
  const char* key;
  const char* noun;
};
constexpr std::array<List, 2> kLists = {{{"ports", "id", "port "}, {"subsystems", "nqn", "subsystem "}}};
constexpr std::array<List, 2> kListsOfSubsystem = {{{"namespaces", "nsid", "namespace "}, {"hosts", "nqn", "host "}}};

// Null: there is no such element.
const Json* element_of(const Json& object, const char* list, size_t index) {
  if (!object.is_object() || !object.contains(list)) return nullptr;
  const Json& elements = object.at(list);
  return elements.is_array() && index < elements.size() ? &elements.at(index) : nullptr;
}

// Empty: it has none.
std::string name_of(const Json& element, const char* key) {
  if (!element.contains(key)) return {};
  const Json& name = element.at(key);
  if (name.is_number()) return name.dump();
  return name.is_string() ? name.get<std::string>() : std::string();
}

// A path («.subsystems[0].nqn») from an object of the document.
struct Place {
  const Json* object;
  std::string_view path;
};

// The name of the element with which the path begins, and which `place` begins with then. Empty: it begins with none.
std::string take_element(std::span<const List> lists, Place& place) {
  for (const List& one : lists) {
    const std::string start = '.' + std::string(one.name) + '[';
    if (!place.path.starts_with(start)) continue;
    size_t index = 0;
    const char* const digits = place.path.data() + start.size();
    const char* const end = std::from_chars(digits, place.path.data() + place.path.size(), index).ptr;
    const Json* const element = element_of(*place.object, one.name, index);
    const std::string name = element != nullptr ? name_of(*element, one.key) : std::string();
    if (name.empty()) return {};
    place = {element, place.path.substr(static_cast<size_t>(end + 1 - place.path.data()))};  // behind the ]
    return one.noun + name;
  }
  return {};
}

// `path` begins with $.
std::string in_words(std::string_view path, const Json& document) {
  Place place{&document, path.substr(1)};
  std::string object = take_element(kLists, place);
  if (!object.empty() && place.object->contains("nqn")) {
    const std::string inner = take_element(kListsOfSubsystem, place);
    if (!inner.empty()) object = inner + " of " + object.substr(object.find(' ') + 1);
  }
  if (place.path.starts_with('.')) place.path.remove_prefix(1);
  if (object.empty()) return place.path.empty() ? "the config" : std::string(place.path);
  return place.path.empty() ? object : object + ": " + std::string(place.path);
}

// «the same NQN as $.subsystems[0].nqn»
void name_other_object(std::string& problem, const Json& document) {
  constexpr std::string_view kSame = "the same ";
  constexpr std::string_view kAs = " as $";
  const size_t as = problem.find(kAs);
  if (!problem.starts_with(kSame) || as == std::string::npos) return;
  const size_t begin = as + kAs.size() - 1;
  problem.replace(begin, std::string::npos, in_words(std::string_view(problem).substr(begin), document));
}

}  // namespace

void name_objects(std::vector<Diagnostic>& diagnostics, const Json& document) {
  for (Diagnostic& one : diagnostics) {
    one.file.clear();
    one.position = {};
    if (one.path.starts_with('$')) one.path = in_words(one.path, document);
    name_other_object(one.problem, document);
  }
}

}  // namespace nvmf::config
