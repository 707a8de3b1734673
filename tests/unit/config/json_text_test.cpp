// JSON from strangers: what is too much is refused before anything recurses over it.
#include "config/json_text.h"

#include <doctest/doctest.h>

#include <string>

namespace nvmf::config {
namespace {

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string nested(size_t depth) { return repeated("[", depth) + repeated("]", depth); }

std::string refusal_of(const std::string& text) {
  try {
    json_from(text);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("JSON as it should be: the keys keep their order") {
  CHECK(json_from(R"({"b": [1, {"a": null}], "a": {"a": "x"}})").dump() == R"({"b":[1,{"a":null}],"a":{"a":"x"}})");
  CHECK(json_from(nested(kMaxDepth)).is_array());
}

TEST_CASE("JSON nested too deep, too long, not JSON, or with a key twice: refused with the reason") {
  const std::string too_deep = "is nested deeper than 32 objects and arrays";
  CHECK(refusal_of(nested(kMaxDepth + 1)) == too_deep);
  CHECK(refusal_of(nested(1'000'000)) == too_deep);
  CHECK(refusal_of(repeated("{\"a\":", 100'000)) == too_deep);
  CHECK(refusal_of('"' + std::string(kMaxFileBytes, 'a') + '"') == "is longer than 4 MiB");
  CHECK(refusal_of(R"({"a": 1, "b": {"a": 2}, "a": 3})") == "has the key \"a\" twice in one object");
  CHECK(refusal_of(R"([{"a": 1}, {"a": 1}])").empty());
  CHECK(refusal_of("{\"a\": 1,}") == "is not JSON: line 1, column 9: unexpected '}'");
  CHECK(refusal_of("") == "is not JSON: line 1, column 1: unexpected end of input");
  CHECK(refusal_of("{\"a\":\n") == "is not JSON: line 2, column 1: unexpected end of input");
  CHECK(refusal_of("{\"a\": tru}") == "is not JSON: line 1, column 10: invalid literal");
  CHECK(refusal_of("{\"\xff\": 1}").starts_with("is not JSON: "));
}

}  // namespace
}  // namespace nvmf::config
