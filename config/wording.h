// How messages quote, list and guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace nvmf::config {

// `text` in double quotes, control characters escaped, cut after some 60 bytes; an NQN is not cut: NQNs differ at their
// end.
std::string quote(std::string_view text);

// «"a", "b" or "c"»; the words are quoted.
std::string list_of(std::span<const std::string_view> words);

// «1, 2 or 3», cut after some 20.
std::string list_of(const std::set<uint16_t>& numbers);

// How two objects of the config differ: «max_iops from 0 to 10, visible_to without "nqn.a"»; a key that only one of
// them has is at its default in the other. A long list is cut, a structured value that changed is named only.
std::string changes_between(const nlohmann::ordered_json& before, const nlohmann::ordered_json& after);

// The candidate of which `word` is a likely misspelling.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

// The candidate that differs from `name` by at most two edits: for long, similar names such as NQNs.
std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string> candidates);

// «1 change», «2 changes».
std::string count_of(size_t count, std::string_view noun);

// « and 2 drop-ins», what follows the name of a config file; empty for none.
std::string and_drop_ins(size_t count);

// Appends `.key` to a JSON path, or `["key"]` when the key is not a plain word; cut as quote() does.
void append_key(std::string& path, std::string_view key);

// Appends `[index]` to a JSON path.
void append_index(std::string& path, size_t index);

}  // namespace nvmf::config
