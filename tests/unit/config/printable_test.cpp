// Names that strangers chose, as they reach a terminal.
#include "config/printable.h"

#include <doctest/doctest.h>

#include "config/diagnostics.h"

namespace nvmf::config {
namespace {

TEST_CASE("text of people stays as it is") {
  for (const char* text : {"", "nqn.2026-01.io.example:größe", "«a» … 語 🙂", "a \\x b \"c\""})
    CHECK(printable(text) == text);
}

TEST_CASE("what a terminal would obey is shown instead") {
  CHECK(printable("a\x1b[31mb\x1b]0;title\x07") == R"(a\x1b[31mb\x1b]0;title\x07)");
  CHECK(printable("\xc2\x9b"
                  "31m") == R"(\u009b31m)");
  CHECK(printable("a\nb\r\t\x7f") == R"(a\x0ab\x0d\x09\x7f)");
  CHECK(printable("\xe2\x80\xae"
                  "gpj") == R"(\u202egpj)");
  CHECK(printable("\xe2\x80\xa8") == R"(\u2028)");
  CHECK(printable(std::string("\0", 1)) == R"(\x00)");
}

TEST_CASE("bytes that are not UTF-8 are shown, one by one") {
  CHECK(printable("a\xff\xc3") == R"(a\xff\xc3)");
  CHECK(printable("\x9b"
                  "31m") == R"(\x9b31m)");
  CHECK(printable("\xc0\x9b") == R"(\xc0\x9b)");  // an overlong encoding
}

TEST_CASE("lines stay lines where they are ours") { CHECK(printable_lines("a\n\x1b[2Jb\n") == "a\n\\x1b[2Jb\n"); }

TEST_CASE("keys are not shown, however somebody has written them") {
  CHECK(without_keys("no key in it: DHHC-2") == "no key in it: DHHC-2");
  CHECK(without_keys("{\"key_file\":\"DHHC-1:00:qW+e/r==:\",\"nsid\":1}") ==
        "{\"key_file\":\"DHHC-1:...\",\"nsid\":1}");
  CHECK(without_keys("a DHHC-1:01:abc: b DHHC-1:02:def: c") == "a DHHC-1:... b DHHC-1:... c");
  CHECK(without_keys("/v1/hosts/DHHC-1%3A00%3Aabc%3D?x") == "/v1/hosts/DHHC-1:...?x");
  CHECK(without_keys("DHHC-1:00:ab\\/cd:") == "DHHC-1:...");
  CHECK(without_keys(std::string("DHHC-1:00:abc:\0rest", 19)) == std::string("DHHC-1:...\0rest", 15));
}

TEST_CASE("a diagnostic is one line, whatever is in the config") {
  Diagnostic diagnostic;
  diagnostic.file =
      "a\x1b"
      "b.json";
  diagnostic.problem =
      "no \xc2\x9b"
      "device\n/dev/x";
  CHECK(to_string(diagnostic) == R"(a\x1bb.json: error: no \u009bdevice\x0a/dev/x)");
}

}  // namespace
}  // namespace nvmf::config
