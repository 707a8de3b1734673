#include "config/syntax.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <system_error>
#include <utility>

#include "config/characters.h"
#include "config/lexical.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

// Stands for the character after the end of the text.
constexpr char kEndOfText = '\0';

bool is_word(char c) { return is_letter_or_digit(c) || c == '_' || c == '-' || c == '+' || c == '.'; }

bool is_letter_or_underscore(char c) { return is_letter(c) || c == '_'; }

std::string place(Position position) { return std::to_string(position.line) + ':' + std::to_string(position.column); }

// Walks over the text from the last good token to the error.
class Explanation {
 public:
  Explanation(std::string_view text, size_t offset, const SyntaxContext& context)
      : text_(text), from_(offset), context_(context) {}

  SyntaxFault fault() const {
    const size_t at = skip_blanks(text_, from_);
    switch (context_.expected) {
      case Expected::root:
        return peek(at) == kEndOfText ? empty_file() : value(at);
      case Expected::key_or_end:
        return peek(at) == ',' ? comma_too_many(at) : key(at);
      case Expected::value_or_end:
        return peek(at) == ',' ? comma_too_many(at) : value(at);
      case Expected::colon:
        return peek(at) == ':' ? value(skip_blanks(text_, at + 1)) : colon_missing(at);
      case Expected::comma_or_end_of_object:
      case Expected::comma_or_end_of_array:
        return behind_value(at);
      case Expected::end_of_file:
        break;
    }
    return behind_root(at);
  }

 private:
  char peek(size_t offset) const { return offset < text_.size() ? text_[offset] : kEndOfText; }

  std::string_view word(size_t begin) const {
    size_t end = begin;
    while (is_word(peek(end))) ++end;
    return text_.substr(begin, end - begin);
  }

  std::string container() const { return context_.in_array ? "array" : "object"; }
  char closer() const { return context_.in_array ? ']' : '}'; }

  SyntaxFault empty_file() const { return {from_, "the file is empty", "write an object: { ... }"}; }

  // Faults at `at` that do not depend on what is expected there: the end of the text, half a comment, bytes that are
  // not text.
  std::optional<SyntaxFault> no_token(size_t at) const {
    const char c = peek(at);
    if (c == kEndOfText) {
      return SyntaxFault{at, "the file ends inside the " + container() + " that begins at " + place(context_.opened),
                         std::string("close it with ") + closer(), Subject::container};
    }
    if (text_.substr(at, 2) == "/*") return SyntaxFault{at, "this comment does not end", "end it with */"};
    if (c == '/') return SyntaxFault{at, "a single /", "a comment begins with // or /*"};
    if (c == '#') return SyntaxFault{at, "# does not begin a comment", "write // instead"};
    if (utf8_length(text_, at) == 0) return SyntaxFault{at, "this is not UTF-8 text", "save the file as UTF-8"};
    return std::nullopt;
  }

  SyntaxFault unexpected(size_t at, const std::string& wanted) const {
    const size_t length = utf8_length(text_, at);
    return {at, "unexpected " + quote(text_.substr(at, length)), wanted + " is expected here"};
  }

  SyntaxFault comma_too_many(size_t at) const {
    return {at, "a comma without a value before it", "remove it", Subject::container, Correction{at, ' '}};
  }

  SyntaxFault colon_missing(size_t at) const {
    if (const auto fault = no_token(at)) return *fault;
    SyntaxFault fault{at, "no colon after the key " + quote(context_.key), "write a key as \"key\": value"};
    if (peek(at) == '=') fault.correction = Correction{at, ':'};
    return fault;
  }

  SyntaxFault behind_value(size_t at) const {
    if (at == from_ && is_word(peek(at))) return glued_word(at);
    if (peek(at) == ',') return behind_comma(at);
    if (const auto fault = no_token(at)) return *fault;
    const char c = peek(at);
    if (c == '}' || c == ']') return wrong_closer(at);
    if (c != '"' && c != '{' && c != '[' && !is_word(c)) {
      return unexpected(at, std::string("a comma or ") + closer());
    }
    SyntaxFault fault{at, "no comma before this", "write a comma between this and the value before it",
                      Subject::container};
    if (at > from_ && std::isspace(static_cast<unsigned char>(text_[from_])) != 0)
      fault.correction = Correction{from_, ','};
    return fault;
  }

  SyntaxFault behind_comma(size_t comma) const {
    const size_t at = skip_blanks(text_, comma + 1);
    if (peek(at) == closer()) {
      const std::string last = context_.in_array ? "element" : "member";
      return {comma, "a comma after the last " + last + " of the " + container(), "remove it", Subject::container,
              Correction{comma, ' '}};
    }
    if (peek(at) == ',') return comma_too_many(at);
    return context_.in_array ? value(at) : key(at);
  }

  SyntaxFault wrong_closer(size_t at) const {
    return {at,
            std::string(1, peek(at)) + " cannot close the " + container() + " that begins at " + place(context_.opened),
            std::string("close it with ") + closer(), Subject::container};
  }

  SyntaxFault behind_root(size_t at) const {
    if (at == from_ && is_word(peek(at))) return glued_word(at);
    return {at, "the file continues after its closing bracket", "put everything into one pair of { }"};
  }

  SyntaxFault key(size_t at) const {
    if (const auto fault = no_token(at)) return *fault;
    const char c = peek(at);
    if (c == '"') return broken_string(at);
    if (c == '\'') return single_quotes(at);
    if (c == ']') return wrong_closer(at);
    if (!is_letter_or_underscore(c)) return unexpected(at, "a key in double quotes");
    return {at, "the key " + short_word(at) + " has no quotes", "write " + quote(word(at))};
  }

  SyntaxFault value(size_t at) const {
    if (const auto fault = no_token(at)) return *fault;
    const char c = peek(at);
    if (c == '"') return broken_string(at);
    if (c == '\'') return single_quotes(at);
    if (is_word(c)) return broken_word(at);
    if (c == '}' && context_.in_array) return wrong_closer(at);
    if (c == ',' || c == '}' || c == ']') return value_missing(at);
    return unexpected(at, "a value");
  }

  SyntaxFault value_missing(size_t at) const {
    if (context_.expected != Expected::colon) return unexpected(at, "a value");
    return {at, "the key " + quote(context_.key) + " has no value", "write one, or remove the key"};
  }

  static SyntaxFault single_quotes(size_t at) { return {at, "single quotes", "JSON uses double quotes only"}; }

  size_t word_start(size_t at) const {
    while (at > 0 && is_word(text_[at - 1])) --at;
    return at;
  }

  // The parser took half of this word as a value: the 0 of 007, the 64 of 64MiB.
  SyntaxFault glued_word(size_t at) const {
    SyntaxFault fault = broken_word(word_start(at));
    fault.subject = Subject::last_value;
    return fault;
  }

  std::string short_word(size_t at) const {
    const std::string_view found = word(at);
    return found.size() > 40 ? std::string(found.substr(0, 40)) + "..." : std::string(found);
  }

  SyntaxFault broken_word(size_t at) const {
    const std::string_view found = word(at);
    if (is_numeric(found)) return {at, short_word(at) + number_fault(found), number_remedy(found)};
    if (const std::string_view meant = literal_meant(found); !meant.empty()) {
      return {at, short_word(at) + " is not a word of JSON", "write " + std::string(meant)};
    }
    return {at, "the string " + short_word(at) + " has no quotes", "write " + quote(found)};
  }

  static bool is_numeric(std::string_view found) {
    const bool is_signed = found[0] == '-' || found[0] == '+' || found[0] == '.';
    return is_digit(found[0]) || (is_signed && (found.size() == 1 || !is_letter_or_underscore(found[1])));
  }

  static bool is_too_large(std::string_view number) {
    double value = 0;
    return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc::result_out_of_range;
  }

  static std::string number_fault(std::string_view number) {
    return is_too_large(number) ? " is too large" : " is not a valid JSON number";
  }

  static std::string number_remedy(std::string_view number) {
    if (is_too_large(number)) return "write a smaller number";
    if (number.starts_with("0x") || number.starts_with("0X")) return "write it in decimal";
    if (number.starts_with('+')) return "remove the plus sign";
    if (number.starts_with("0") && number.size() > 1 && is_digit(number[1])) return "remove the leading zeros";
    const bool has_unit =
        std::ranges::any_of(number, [](char c) { return is_letter_or_underscore(c) && c != 'e' && c != 'E'; });
    if (has_unit || std::ranges::count(number, '.') > 1) return "put it in double quotes";
    return "write it like 42";
  }

  static std::string_view literal_meant(std::string_view found) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 9> meanings = {{{"true", "true"},
                                                                                        {"yes", "true"},
                                                                                        {"on", "true"},
                                                                                        {"false", "false"},
                                                                                        {"no", "false"},
                                                                                        {"off", "false"},
                                                                                        {"null", "null"},
                                                                                        {"none", "null"},
                                                                                        {"nil", "null"}}};
    const std::string asked = lower(found);
    for (const auto& [spelled, meant] : meanings) {
      if (asked == spelled) return meant;
    }
    return {};
  }

  SyntaxFault broken_string(size_t begin) const {
    for (size_t at = begin + 1;;) {
      const char c = peek(at);
      if (c == kEndOfText || c == '\n' || c == '\r') return {begin, "this string is not closed", "end it with \""};
      if (c == '"') return {begin, "half of a surrogate pair in this string", "write both halves, or the character"};
      if (static_cast<unsigned char>(c) < 0x20)
        return {at, "a control character in a string", "write \\t, \\n or \\u00.."};
      if (c == '\\' && !is_escape(at))
        return {at, "a backslash that does not begin an escape of JSON", "write \\\\ for a backslash"};
      if (utf8_length(text_, at) == 0) return {at, "this is not UTF-8 text", "save the file as UTF-8"};
      at += c == '\\' ? 2 : utf8_length(text_, at);
    }
  }

  bool is_escape(size_t backslash) const {
    const char c = peek(backslash + 1);
    if (c != 'u') return c != kEndOfText && std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    const std::string_view digits = text_.substr(std::min(backslash + 2, text_.size()), 4);
    return digits.size() == 4 && std::ranges::all_of(digits, is_hex_digit);
  }

  std::string_view text_;
  size_t from_;
  const SyntaxContext& context_;
};

}  // namespace

SyntaxFault explain_syntax(std::string_view text, size_t offset, const SyntaxContext& context) {
  return Explanation(text, offset, context).fault();
}

}  // namespace nvmf::config
