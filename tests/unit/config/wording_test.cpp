#include "config/wording.h"

#include <doctest/doctest.h>

#include <array>

#include "config/diagnostics.h"

namespace nvmf::config {
namespace {

std::string guess(std::string_view word) {
  constexpr std::array<std::string_view, 5> keys = {"address", "allowed_hosts", "allow_any_host", "id", "poll_us"};
  return std::string(nearest(word, keys).value_or("-"));
}

TEST_CASE("a misspelled word finds the nearest") {
  CHECK(guess("adress") == "address");
  CHECK(guess("ADDRESS") == "address");
  CHECK(guess("addresss") == "address");
  CHECK(guess("adderss") == "address");
  CHECK(guess("allowed_host") == "allowed_hosts");
  CHECK(guess("allowed-hosts") == "allowed_hosts");
  CHECK(guess("allowAnyHost") == "allow_any_host");
  CHECK(guess("di") == "id");
  CHECK(guess("poll_ms") == "poll_us");
}

TEST_CASE("a word like none finds none") {
  CHECK(guess("") == "-");
  CHECK(guess("zz") == "-");
  CHECK(guess("service") == "-");
  CHECK(guess(std::string(5000, 'a')) == "-");
}

TEST_CASE("quotes are safe to print and short") {
  CHECK(quote("a \"b\" \\") == R"("a \"b\" \\")");
  CHECK(quote(std::string("\n\x1b[31m\0", 7)) == R"("\u000a\u001b[31m\u0000")");
  CHECK(quote(std::string(100, 'x')) == '"' + std::string(60, 'x') + "...\"");
  // «ä» has two bytes, and is not cut in two.
  CHECK(quote(std::string(59, 'x') + "ääää") == '"' + std::string(59, 'x') + "...\"");
}

TEST_CASE("lists read like a sentence") {
  constexpr std::array<std::string_view, 3> words = {"a", "b", "c"};
  CHECK(list_of(words) == R"("a", "b" or "c")");
  CHECK(list_of({7}) == "7");
  CHECK(list_of({3, 1, 2}) == "1, 2 or 3");
}

TEST_CASE("NQNs are quoted whole, for they differ at their end") {
  const std::string host = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001";
  const std::string longest = "nqn." + std::string(219, 'x');
  CHECK(quote(host) == '"' + host + '"');
  CHECK(quote(longest) == '"' + longest + '"');
  CHECK(quote(longest + "x").ends_with("...\""));
  CHECK(changes_between({{"allowed_hosts", {host}}}, {{"allowed_hosts", nlohmann::ordered_json::array()}}) ==
        "allowed_hosts without \"" + host + '"');
}

TEST_CASE("paths quote keys that are no plain words") {
  std::string path = "$";
  append_key(path, "ports");
  append_index(path, 3);
  append_key(path, "a b");
  append_key(path, "");
  CHECK(path == R"($.ports[3]["a b"][""])");
}

TEST_CASE("a diagnostic is one line that editors can jump to") {
  const Diagnostic diagnostic{Severity::error, "a.json", {14, 19}, "$.ports[0].id", "0 is out of range", "write 1"};
  CHECK(to_string(diagnostic) == "a.json:14:19: error: $.ports[0].id: 0 is out of range; write 1");
  CHECK(to_string({Severity::warning, "a.json", {}, "", "empty", ""}) == "a.json: warning: empty");
  CHECK(location("a.json", {2, 1}) == "a.json:2:1");
  CHECK(location("a.json", {}) == "a.json");
}

TEST_CASE("a name is guessed by a slip or two, and no further") {
  const std::vector<std::string> names = {"nqn.2026-01.io.example:web-server-1", "nqn.2026-01.io.example:database"};
  CHECK(nearest_name("nqn.2026-01.io.example:web-sevrer-1", names) == names[0]);
  CHECK(nearest_name("nqn.2026-01.io.exmple:databse", names) == names[1]);
  CHECK_FALSE(nearest_name("nqn.2026-01.io.example:mail", names));
  CHECK_FALSE(nearest_name(std::string(224, 'a'), names));
  CHECK_FALSE(nearest_name("nqn.2026-01.io.example:database", {}));
}

}  // namespace
}  // namespace nvmf::config
