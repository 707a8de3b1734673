// Texts that are not JSON: where they stop being it, and why, in words.
#include <doctest/doctest.h>

#include <vector>

#include "config/document.h"
#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

const std::vector<Broken> kBrokenSyntax = {
    // The text as a whole.
    {"^", "$: the file is empty; write an object: { ... }"},
    {"^ \n // nothing\n", "$: the file is empty; write an object: { ... }"},
    {"{\n  \"ports\": [^", "$.ports: the file ends inside the array that begins at 2:12; close it with ]"},
    {"{\n  \"ports\": []\n^", "$: the file ends inside the object that begins at 1:1; close it with }"},
    {"{\"rdma\": ^", "$: the file ends inside the object that begins at 1:1; close it with }"},
    {"{}\n^{}", "$: the file continues after its closing bracket; put everything into one pair of { }"},
    {"{}^, 1", "$: the file continues after its closing bracket; put everything into one pair of { }"},
    {"^\xFF\xFE{", "$: this is not UTF-8 text; save the file as UTF-8"},
    {"{ ^\x80", "$: this is not UTF-8 text; save the file as UTF-8"},
    {"^hello", "$: the string hello has no quotes; write \"hello\""},
    // Keys.
    {"{ ^ports: [] }", "$: the key ports has no quotes; write \"ports\""},
    {"{ ^'ports': [] }", "$: single quotes; JSON uses double quotes only"},
    {"{ \"ports\" ^[] }", "$.ports: no colon after the key \"ports\"; write a key as \"key\": value"},
    {"{ \"ports\"^", "$: the file ends inside the object that begins at 1:1; close it with }"},
    {"{ ^1: 2 }", "$: unexpected \"1\"; a key in double quotes is expected here"},
    {"{ ^[1] }", "$: unexpected \"[\"; a key in double quotes is expected here"},
    {"{ ^] }", "$: ] cannot close the object that begins at 1:1; close it with }"},
    {"{ \"rdma\": {\"mdts_bytes\": ^} }",
     "$.rdma.mdts_bytes: the key \"mdts_bytes\" has no value; write one, or remove the key"},
    {"{ \"rdma\": ^, \"ports\": [] }", "$.rdma: the key \"rdma\" has no value; write one, or remove the key"},
    // Values.
    {"{ \"a\": ^True }", "$.a: True is not a word of JSON; write true"},
    {"{ \"a\": ^yes }", "$.a: yes is not a word of JSON; write true"},
    {"{ \"a\": ^None }", "$.a: None is not a word of JSON; write null"},
    {"{ \"a\": ^NaN }", "$.a: the string NaN has no quotes; write \"NaN\""},
    {"{ \"a\": ^truefalse }", "$.a: the string truefalse has no quotes; write \"truefalse\""},
    {"{ \"a\": ^info, \"b\": 1 }", "$.a: the string info has no quotes; write \"info\""},
    {"{ \"a\": ^'info' }", "$.a: single quotes; JSON uses double quotes only"},
    {"{ \"a\": ^64MiB }", "$.a: 64MiB is not a valid JSON number; put it in double quotes"},
    {"{ \"a\": ^007 }", "$.a: 007 is not a valid JSON number; remove the leading zeros"},
    {"{ \"a\": ^0x10 }", "$.a: 0x10 is not a valid JSON number; write it in decimal"},
    {"{ \"a\": ^+5 }", "$.a: +5 is not a valid JSON number; remove the plus sign"},
    {"{ \"a\": ^.5 }", "$.a: .5 is not a valid JSON number; write it like 42"},
    {"{ \"a\": ^5. }", "$.a: 5. is not a valid JSON number; write it like 42"},
    {"{ \"a\": ^- }", "$.a: - is not a valid JSON number; write it like 42"},
    {"{ \"a\": ^1e999 }", "$.a: 1e999 is too large; write a smaller number"},
    {"{ \"a\": ^10.0.0.1 }", "$.a: 10.0.0.1 is not a valid JSON number; put it in double quotes"},
    {"[ [1], [ ^} ]", "$[1]: } cannot close the array that begins at 1:8; close it with ]"},
    {"{ \"a\": [1, 2^} }", "$.a: } cannot close the array that begins at 1:8; close it with ]"},
    {"{ \"a\": [1 ^; 2] }", "$.a[1]: unexpected \";\"; a comma or ] is expected here"},
    {"{ \"a\": [1 ^: 2] }", "$.a[1]: unexpected \":\"; a comma or ] is expected here"},
    {"{ \"a\": ^@ }", "$.a: unexpected \"@\"; a value is expected here"},
    {"{ \"a\": ^ä }", "$.a: unexpected \"ä\"; a value is expected here"},
    // Strings.
    {"{ \"a\": ^\"open }", "$.a: this string is not closed; end it with \""},
    {"{ \"a\": ^\"open\n  \"b\": 1 }", "$.a: this string is not closed; end it with \""},
    {"{ \"a\": \"C:^\\disk\" }", "$.a: a backslash that does not begin an escape of JSON; write \\\\ for a backslash"},
    {"{ \"a\": \"^\\u12g4\" }", "$.a: a backslash that does not begin an escape of JSON; write \\\\ for a backslash"},
    {"{ \"a\": ^\"\\ud800\" }", "$.a: half of a surrogate pair in this string; write both halves, or the character"},
    {"{ \"a\": \"tab^\there\" }", "$.a: a control character in a string; write \\t, \\n or \\u00.."},
    {"{ \"äöü\": \"ß^\xC3(\" }", "$[\"äöü\"]: this is not UTF-8 text; save the file as UTF-8"},
    {"{ ^\"a }", "$: this string is not closed; end it with \""},
    // Comments.
    {"{ ^/* never closed }", "$: this comment does not end; end it with */"},
    {"{ ^/ }", "$: a single /; a comment begins with // or /*"},
    {"{ ^# a comment\n }", "$: # does not begin a comment; write // instead"},
};

TEST_CASE("each error of syntax is explained where it is") {
  for (const Broken& broken : kBrokenSyntax) check_only(broken, Severity::error);
}

// The parser corrects these so that it can read the text after them.
TEST_CASE("a comma too many or too few does not hide the mistakes behind it") {
  const Document document = read_document("{ , \"a\": [1, 2,], \"b\": [, 3,, 4 5]\n  \"c\" = {\"d\": 1,},\n}");
  REQUIRE(document.root.has_value());
  std::vector<std::string> errors;
  for (const SyntaxError& error : document.errors) {
    errors.push_back(std::to_string(error.position.line) + ':' + std::to_string(error.position.column) + ' ' +
                     error.path + ": " + error.problem);
  }
  CHECK(errors == std::vector<std::string>{
                      "1:3 $: a comma without a value before it",
                      "1:15 $.a: a comma after the last element of the array",
                      "1:25 $.b: a comma without a value before it", "1:29 $.b: a comma without a value before it",
                      "1:33 $.b: no comma before this", "2:3 $: no comma before this",
                      "2:7 $.c: no colon after the key \"c\"", "2:16 $.c: a comma after the last member of the object",
                      "2:18 $: a comma after the last member of the object"});
  REQUIRE(document.root->find("b") != nullptr);
  CHECK(document.root->find("b")->as<Array>()->size() == 3);
  CHECK(document.root->find("c")->find("d") != nullptr);
}

TEST_CASE("a text of nothing but mistakes is given up at some point") {
  CHECK(read_document("[" + std::string(1000, ',') + "]").errors.size() == 33);
}

TEST_CASE("every value and key knows its place") {
  const Document document = read_document(
      "\xEF\xBB\xBF// ä\n{ /* ö\n*/ \"ü\" /**/ : [ -1, 2.5e3,\r\n\t{\"x\\\"\\\\\": null} ] , \"y\": \"ßß\", "
      "\"z\":true}");
  REQUIRE(document.errors.empty());
  const Value& root = *document.root;
  CHECK((root.position == Position{2, 1}));
  const Object& members = *root.as<Object>();
  REQUIRE(members.size() == 3);
  CHECK((members[0].position == Position{3, 4}));
  const Array& list = *members[0].value.as<Array>();
  CHECK((members[0].value.position == Position{3, 15}));
  REQUIRE(list.size() == 3);
  CHECK((list[0].position == Position{3, 17}));
  CHECK(*list[0].as<int64_t>() == -1);
  CHECK((list[1].position == Position{3, 21}));
  CHECK(*list[1].as<double>() == 2500);
  CHECK((list[2].position == Position{4, 2}));
  CHECK((list[2].as<Object>()->front().position == Position{4, 3}));
  CHECK((list[2].as<Object>()->front().value.position == Position{4, 12}));
  CHECK((members[1].position == Position{4, 22}));
  CHECK((members[1].value.position == Position{4, 27}));
  CHECK((members[2].value.position == Position{4, 37}));
}

TEST_CASE("nesting is bounded") {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(read_document(nested(kMaxDepth)).errors.empty());
  const Document deep = read_document(nested(kMaxDepth + 1));
  REQUIRE(deep.errors.size() == 1);
  CHECK((deep.errors[0].position == Position{1, kMaxDepth + 1}));
  CHECK(deep.errors[0].problem == "nested deeper than 32 objects and arrays");
  CHECK(read_document(std::string(1'000'000, '[')).errors.size() == 1);
  CHECK(read_document(std::string(1'000'000, '{')).errors.size() == 1);
}

TEST_CASE("a binary file is told as such") {
  const std::string text("{\n\0}", 4);
  const Document document = read_document(text);
  REQUIRE(document.errors.size() == 1);
  CHECK((document.errors[0].position == Position{2, 1}));
  CHECK(document.errors[0].problem == "a NUL byte: this is not a text file");
  // nlohmann takes a NUL for the end of the file, or of a comment.
  CHECK(!read_document(std::string("{}\0{", 4)).root);
  CHECK(!read_document(std::string("{} // \0 {", 9)).root);
}

}  // namespace
}  // namespace nvmf::config::test
