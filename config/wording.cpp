#include "config/wording.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/characters.h"

namespace nvmf::config {
namespace {

constexpr size_t kLongestQuoteBytes = 60;
constexpr size_t kLongestList = 20;
constexpr size_t kLongestGuessedWordBytes = 40;
constexpr size_t kLongestNqnBytes = 223;
constexpr size_t kMostGuessedNames = 64;  // comparing costs the product of both lengths
constexpr size_t kMostSlips = 2;

bool is_plain(char c) { return is_letter_or_digit(c) || c == '_' || c == '$'; }

// At most `kLongestQuoteBytes` of `text`, but an NQN whole.
std::string_view shortened(std::string_view text) {
  const bool is_nqn = text.starts_with("nqn.") && text.size() <= kLongestNqnBytes;
  return is_nqn ? text : beginning_of(text, kLongestQuoteBytes);
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') out += '\\';
  if (byte >= 0x20 && byte != 0x7F) {
    out += c;
    return;
  }
  out += "\\u00";
  out += digits[byte >> 4U];
  out += digits[byte & 0xFU];
}

// Edits (insert, delete, replace, swap two neighbours) that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  using Row = std::array<size_t, kLongestNqnBytes + 1>;
  Row before{};
  Row above{};
  Row row{};
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replace, above[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

template <class Words, class Spell>
std::string joined(const Words& words, Spell spell) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += spell(words[i]);
  }
  return out;
}

using Json = nlohmann::ordered_json;

constexpr size_t kMostMembersNamed = 3;

std::string value_text(const Json& value) {
  if (value.is_null()) return "its default";
  return value.is_string() ? quote(value.get_ref<const std::string&>()) : value.dump();
}

bool is_list_of_scalars(const Json& value) {
  return value.is_array() && std::ranges::none_of(value, [](const Json& one) { return one.is_structured(); });
}

// « with "a", "b"»: the members of `list` that `other` does not have. Nothing when there are none.
std::string members_missing(const Json& list, const Json& other, const std::string& word) {
  std::vector<std::string> names;
  for (const Json& one : list)
    if (std::ranges::find(other, one) == other.end()) names.push_back(value_text(one));
  if (names.empty()) return {};
  const size_t more = names.size() > kMostMembersNamed ? names.size() - kMostMembersNamed : 0;
  names.resize(names.size() - more);
  std::string text = word;
  for (size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return more == 0 ? text : text + " and " + std::to_string(more) + " more";
}

}  // namespace

std::string quote(std::string_view text) {
  const std::string_view head = shortened(text);
  std::string out = "\"";
  for (const char c : head) append_escaped(out, c);
  if (head.size() < text.size()) out += "...";
  out += '"';
  return out;
}

std::string list_of(std::span<const std::string_view> words) { return joined(words, quote); }

std::string list_of(const std::set<uint16_t>& numbers) {
  std::vector<std::string> words;
  words.reserve(numbers.size());
  for (const uint16_t number : numbers) words.push_back(std::to_string(number));
  if (words.size() > kLongestList) {
    words.resize(kLongestList);
    words.emplace_back("another");
  }
  return joined(words, [](const std::string& word) { return word; });
}

std::string changes_between(const Json& before, const Json& after) {
  std::string changes;
  Json keys = after;
  keys.update(before);
  for (const auto& item : keys.items()) {
    const std::string& key = item.key();
    const Json old = before.value(key, Json());
    const Json value = after.value(key, Json());
    if (old == value) continue;
    changes += (changes.empty() ? "" : ", ") + key;
    if (is_list_of_scalars(old) && is_list_of_scalars(value))
      changes += members_missing(value, old, " with ") + members_missing(old, value, " without ");
    else if (!old.is_structured() && !value.is_structured())
      changes += " from " + value_text(old) + " to " + value_text(value);
  }
  return changes;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > kLongestGuessedWordBytes) return std::nullopt;
  const std::string asked = lower(word);
  size_t least = 1 + word.size() / 3;
  std::optional<std::string_view> best;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kLongestGuessedWordBytes) continue;
    const size_t distance = edit_distance(asked, lower(candidate));
    if (distance > least || (best && distance == least)) continue;
    least = distance;
    best = candidate;
  }
  return best;
}

std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string> candidates) {
  if (name.size() > kLongestNqnBytes) return std::nullopt;
  for (const std::string& candidate : candidates.first(std::min(candidates.size(), kMostGuessedNames))) {
    if (candidate.size() <= kLongestNqnBytes && edit_distance(name, candidate) <= kMostSlips) return candidate;
  }
  return std::nullopt;
}

std::string count_of(size_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

std::string and_drop_ins(size_t count) { return count == 0 ? "" : " and " + count_of(count, "drop-in"); }

void append_key(std::string& path, std::string_view key) {
  if (!key.empty() && key.size() <= kLongestQuoteBytes && std::ranges::all_of(key, is_plain)) {
    path += '.';
    path += key;
  } else {
    path += '[' + quote(key) + ']';
  }
}

void append_index(std::string& path, size_t index) { path += '[' + std::to_string(index) + ']'; }

}  // namespace nvmf::config
