#include "config/table.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/wording.h"

namespace nvmf::config {
namespace {

std::vector<std::string_view> words_of(const std::vector<KeyName>& keys) {
  std::vector<std::string_view> words;
  words.reserve(keys.size());
  for (const KeyName& key : keys) words.push_back(key.name);
  return words;
}

void unknown_key(const Member& member, const std::string& noun, const std::vector<std::string_view>& words,
                 std::optional<std::string_view> meant, Reader& reader) {
  const auto step = reader.into(member.key);
  reader.error(member.position, "not a key of " + noun,
               meant ? "did you mean " + quote(*meant) + "?" : "write one of " + list_of(words));
}

}  // namespace

void report_repeated_key(const Member& member, Position first, Reader& reader) {
  const auto step = reader.into(member.key);
  reader.error(member.position, "this key is given twice, first" + reader.in_line(first), "keep one");
}

void check_keys(const Value& object, const std::string& noun, const std::vector<KeyName>& keys, Reader& reader) {
  const std::vector<std::string_view> words = words_of(keys);
  std::map<std::string_view, Position> given;
  std::set<std::string_view> meant_keys;  // misspelled keys, which do not count as missing
  for (const Member& member : *object.as<Object>()) {
    const bool known = std::ranges::find(words, member.key) != words.end();
    const auto meant = known ? std::nullopt : nearest(member.key, words);
    const auto [first, is_new] = given.try_emplace(member.key, member.position);
    if (!is_new) {
      report_repeated_key(member, first->second, reader);
    } else if (!known) {
      unknown_key(member, noun, words, meant, reader);
    }
    if (meant) meant_keys.insert(*meant);
  }
  for (const KeyName& key : keys) {
    if (key.presence == Presence::optional || given.contains(key.name) || meant_keys.contains(key.name)) continue;
    reader.error(object.position, noun + " without " + quote(key.name), "add it");
  }
}

const Array* read_array(const Value& value, const Length& length, Reader& reader) {
  const auto* array = value.as<Array>();
  if (array == nullptr) {
    reader.wrong_type(value, "an array", "put it in [ ]");
  } else if (array->size() < length.least) {
    reader.error(value.position, "an empty array", "fill it, or remove the key");
    return nullptr;
  } else if (array->size() > length.most) {
    reader.error(value.position, std::to_string(array->size()) + " elements",
                 "at most " + std::to_string(length.most) + " are possible");
    return nullptr;
  }
  return array;
}

}  // namespace nvmf::config
