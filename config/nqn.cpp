#include "config/nqn.h"

#include <algorithm>

#include "config/characters.h"

namespace nvmf::config {
namespace {

constexpr std::string_view kUuidPrefix = "nqn.2014-08.org.nvmexpress:uuid:";
constexpr std::string_view kDateForm = "YYYY-MM";
constexpr std::string_view kForm = "an NQN looks like nqn.2026-01.io.example:disk1";

bool is_date(std::string_view text) {
  if (text.size() != kDateForm.size() || text[4] != '-') return false;
  if (!std::ranges::all_of(text.substr(0, 4), is_digit) || !std::ranges::all_of(text.substr(5), is_digit)) return false;
  const int month = (text[5] - '0') * 10 + (text[6] - '0');
  return month >= 1 && month <= 12;
}

// One label of a domain name (RFC 1035 and 1123): letters, digits and inner hyphens.
bool is_label(std::string_view label) {
  const auto legal = [](char c) { return is_letter_or_digit(c) || c == '-'; };
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, legal);
}

// A domain name of at least one label. (A registered one has two, but no host or target insists.)
bool is_domain(std::string_view domain) {
  while (true) {
    const size_t dot = domain.find('.');
    if (!is_label(domain.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

// The first one. U+0080 to U+009F, in UTF-8 C2h 80h to C2h 9Fh, are control characters, too.
std::optional<unsigned char> control_character_in(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    if (byte < 0x20 || byte == 0x7F) return byte;
    if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) return next;
  }
  return std::nullopt;
}

// «U+001B»
std::string code_point_text(unsigned char code) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("U+00") + kDigits[code >> 4U] + kDigits[code & 0xFU];
}

NqnFault fault(std::string_view problem, std::string_view remedy = kForm) {
  return {std::string(problem), std::string(remedy)};
}

// The part after «nqn.»: date, reverse domain, colon and a name.
std::optional<NqnFault> check_parts(std::string_view rest) {
  if (!is_date(rest.substr(0, kDateForm.size()))) {
    return fault("no year and month (YYYY-MM) after \"nqn.\"");
  }
  rest.remove_prefix(kDateForm.size());
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return fault("no colon and name after the domain");
  if (rest.front() != '.' || !is_domain(rest.substr(1, colon - 1))) {
    return fault("no reversed domain name between the date and the colon");
  }
  if (colon + 1 == rest.size()) return fault("no name after the colon");
  return std::nullopt;
}

}  // namespace

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex_digit(text[i])) return false;
  }
  return true;
}

bool can_be_served_as(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNqnBytes && name != kDiscoveryNqn && !control_character_in(name);
}

std::optional<NqnFault> check_nqn(std::string_view nqn) {
  if (nqn.size() > kMaxNqnBytes) {
    return fault("an NQN of " + std::to_string(nqn.size()) + " bytes", "write at most " + std::to_string(kMaxNqnBytes));
  }
  if (nqn == kDiscoveryNqn) {
    return fault("the discovery subsystem's NQN", "every port offers it automatically; use another NQN");
  }
  if (const auto control = control_character_in(nqn))
    return fault("the control character " + code_point_text(*control) + " in the name", "write the name without it");
  if (!nqn.starts_with("nqn.")) return fault("this does not begin with \"nqn.\"");
  if (nqn.starts_with(kUuidPrefix) && !is_uuid(nqn.substr(kUuidPrefix.size()))) {
    return fault("no UUID after \"uuid:\"", "write one as 8-4-4-4-12 hexadecimal digits; uuidgen makes them");
  }
  return check_parts(nqn.substr(4));
}

}  // namespace nvmf::config
