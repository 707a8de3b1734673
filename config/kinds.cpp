#include "config/kinds.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "config/characters.h"
#include "config/nqn.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

// The text of `value`, or a diagnostic.
const std::string* text_of(const Value& value, std::string_view expected, std::string remedy, Reader& reader) {
  const auto* text = value.as<std::string>();
  if (text == nullptr) reader.wrong_type(value, expected, std::move(remedy));
  return text;
}

// The integer of `value`, however large or small, as text for a message; nothing if it is not an integer.
std::optional<std::string> integer_text(const Value& value) {
  if (const auto* number = value.as<uint64_t>()) return std::to_string(*number);
  if (const auto* number = value.as<int64_t>()) return std::to_string(*number);
  const auto* number = value.as<double>();
  if (number != nullptr && (*number >= 0x1p64 || *number < -0x1p63)) return "this number";
  return std::nullopt;
}

// The non-negative integer of `value` between `least` and `most`, or a diagnostic with `remedy`.
std::optional<uint64_t> integer_in(const Value& value, uint64_t least, uint64_t most, const std::string& remedy,
                                   Reader& reader) {
  const auto* number = value.as<uint64_t>();
  if (number != nullptr && *number >= least && *number <= most) return *number;
  if (const auto text = integer_text(value)) {
    reader.error(value.position, *text + " is out of range", remedy);
  } else {
    reader.wrong_type(value, "an integer", remedy);
  }
  return std::nullopt;
}

std::string range(uint64_t least, uint64_t most) {
  return "from " + std::to_string(least) + " to " + std::to_string(most);
}

struct Unit {
  std::string_view name;
  unsigned shift;

  uint64_t bytes() const { return uint64_t{1} << shift; }
};

constexpr std::array<Unit, 4> kUnits = {{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}};

// Bytes of "64MiB" or "64 MiB", at most UINT64_MAX; nothing if it is not a size.
std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault == std::errc::invalid_argument) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  const auto* unit = std::ranges::find(kUnits, text, &Unit::name);
  if (unit == kUnits.end()) return std::nullopt;
  const bool too_large = fault != std::errc{} || number > (UINT64_MAX >> unit->shift);
  return too_large ? UINT64_MAX : number << unit->shift;
}

std::string spell_size(uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    const uint64_t number = bytes >> unit.shift;
    if (number != 0 && number << unit.shift == bytes) return std::to_string(number) + ' ' + std::string(unit.name);
  }
  return std::to_string(bytes) + " bytes";
}

// «0000:3b:00.0», made from this form or from «3b:00.0»; empty if the text has neither form.
std::string parse_pci_address(std::string_view text) {
  const std::string address = text.size() == 7 ? "0000:" + lower(text) : lower(text);
  if (address.size() < 12 || address.size() > 16) return {};  // a domain has 4 to 8 digits
  const std::string_view tail = std::string_view(address).substr(address.size() - 8);
  const std::string_view domain = std::string_view(address).substr(0, address.size() - 8);
  const bool shaped = tail[0] == ':' && tail[3] == ':' && tail[6] == '.';
  const bool in_range = (tail[4] == '0' || tail[4] == '1') && tail[7] >= '0' && tail[7] <= '7';
  const bool digits = std::ranges::all_of(domain, is_hex_digit) && is_hex_digit(tail[1]) && is_hex_digit(tail[2]) &&
                      is_hex_digit(tail[5]);
  return shaped && in_range && digits ? address : std::string{};
}

constexpr std::string_view kNotParticular = " means all addresses, not one";

// What follows the address in a message: why it cannot be listened on; empty if it can.
std::string_view fault_of(const in_addr& address) {
  const uint32_t host = ntohl(address.s_addr);
  if (host == INADDR_ANY) return kNotParticular;
  return host == INADDR_BROADCAST || IN_MULTICAST(host) ? " is a broadcast or multicast address" : "";
}

std::string_view fault_of(const in6_addr& address) {
  if (IN6_IS_ADDR_UNSPECIFIED(&address)) return kNotParticular;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return " is an IPv4 address in the form of IPv6";
  if (IN6_IS_ADDR_LINKLOCAL(&address)) return " is a link-local address, which does not say on which link";
  return IN6_IS_ADDR_MULTICAST(&address) ? " is a multicast address" : "";
}

// Sets `normal` to the spelling of inet_ntop(3), or returns what is wrong.
std::string_view check_address(const std::string& text, std::string& normal) {
  std::array<char, INET6_ADDRSTRLEN> spelled{};
  std::string_view fault = " is not an IPv4 or IPv6 address";
  if (text.find('\0') != std::string::npos) return fault;
  if (in_addr ipv4{}; inet_pton(AF_INET, text.c_str(), &ipv4) == 1) {
    fault = fault_of(ipv4);
    inet_ntop(AF_INET, &ipv4, spelled.data(), spelled.size());
  } else if (in6_addr ipv6{}; inet_pton(AF_INET6, text.c_str(), &ipv6) == 1) {
    fault = fault_of(ipv6);
    inet_ntop(AF_INET6, &ipv6, spelled.data(), spelled.size());
  }
  normal = spelled.data();
  return fault;
}

}  // namespace

bool Boolean::read(const Value& value, bool& out, Reader& reader) const {
  const auto* boolean = value.as<bool>();
  if (boolean == nullptr) {
    reader.wrong_type(value, "a boolean", "write true or false without quotes");
    return false;
  }
  out = *boolean;
  return true;
}

std::optional<uint64_t> Integer::checked(const Value& value, Reader& reader) const {
  std::string remedy = "write an integer " + range(least, most);
  if (step > 1) remedy += ", a multiple of " + std::to_string(step);
  const auto number = integer_in(value, least, most, remedy, reader);
  if (!number || *number % step == 0) return number;
  reader.error(value.position, std::to_string(*number) + " is not a multiple of " + std::to_string(step), remedy);
  return std::nullopt;
}

Json Integer::schema() const {
  Json schema = {{"type", "integer"}, {"minimum", least}, {"maximum", most}};
  if (step > 1) schema["multipleOf"] = step;
  return schema;
}

std::optional<uint64_t> IntegerOf::checked(const Value& value, Reader& reader) const {
  const std::string remedy = "write " + wanted;
  const auto number = integer_in(value, choices.front(), choices.back(), remedy, reader);
  if (!number || std::ranges::find(choices, *number) != choices.end()) return number;
  reader.error(value.position, std::to_string(*number) + " is not allowed", remedy);
  return std::nullopt;
}

IntegerOf power_of_two(uint64_t least, uint64_t most) {
  IntegerOf kind{{}, "a power of two " + range(least, most)};
  for (uint64_t choice = least; choice <= most; choice *= 2) kind.choices.push_back(choice);
  return kind;
}

bool Size::read(const Value& value, uint64_t& out, Reader& reader) const {
  const std::string remedy = "write bytes, or a string with KiB, MiB, GiB or TiB, such as \"64MiB\"";
  const std::string wanted = "write " + spell_size(least) + " to " + spell_size(most);
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    const auto bytes = integer_in(value, least, most, integer_text(value) ? wanted : remedy, reader);
    out = bytes.value_or(out);
    return bytes.has_value();
  }
  const auto bytes = parse_size(*text);
  const bool fits = bytes && *bytes >= least && *bytes <= most;
  if (!bytes) reader.error(value.position, quote(*text) + " is not a size", remedy);
  if (bytes && !fits) reader.error(value.position, quote(*text) + " is out of range", wanted);
  if (fits) out = *bytes;
  return fits;
}

Json Size::literal(uint64_t bytes) const {
  if (bytes % kUnits.back().bytes() != 0 || bytes == 0) return bytes;
  return spell_size(bytes);
}

Json Size::schema() const {
  const Json bytes = {{"type", "integer"}, {"minimum", least}, {"maximum", most}};
  const Json text = {{"type", "string"}, {"pattern", "^[0-9]+ ?[KMGT]iB$"}};
  return {{"anyOf", {bytes, text}}};
}

std::optional<size_t> read_word(const Value& value, std::span<const std::string_view> words, Reader& reader) {
  const std::string remedy = "write " + list_of(words);
  const auto* text = text_of(value, "a string", remedy, reader);
  if (text == nullptr) return std::nullopt;
  const auto found = std::ranges::find(words, *text);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  const auto meant = nearest(*text, words);
  reader.error(value.position, quote(*text) + " is not one of the choices",
               meant ? "did you mean " + quote(*meant) + "? " + remedy : remedy);
  return std::nullopt;
}

bool Ascii::read(const Value& value, std::string& out, Reader& reader) const {
  const std::string remedy = "write 1 to " + std::to_string(longest) + " printable ASCII characters";
  const auto* text = text_of(value, "a string", remedy, reader);
  if (text == nullptr) return false;
  const bool printable = std::ranges::all_of(*text, [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  if (!printable) {
    reader.error(value.position, "a character that is not printable ASCII", remedy);
  } else if (text->empty() || text->size() > longest) {
    reader.error(value.position, std::to_string(text->size()) + " characters", remedy);
  } else {
    out = *text;
    return true;
  }
  return false;
}

Json Ascii::schema() const {
  return {{"type", "string"}, {"minLength", 1}, {"maxLength", longest}, {"pattern", "^[ -~]*$"}};
}

bool Nqn::read(const Value& value, std::string& out, Reader& reader) const {
  const auto* text = text_of(value, "an NQN", "write a string like \"nqn.2026-01.io.example:disk1\"", reader);
  if (text == nullptr) return false;
  if (auto fault = check_nqn(*text)) {
    reader.error(value.position, std::move(fault->problem), std::move(fault->remedy));
    return false;
  }
  out = *text;
  return true;
}

Json Nqn::schema() const {
  return {{"type", "string"}, {"maxLength", kMaxNqnBytes}, {"pattern", "^nqn\\.[0-9]{4}-[0-9]{2}\\.[^:]+:."}};
}

bool NqnOrName::read(const Value& value, std::string& out, Reader& reader) const {
  const auto* text = value.as<std::string>();
  if (text == nullptr || !can_be_served_as(*text)) return Nqn{}.read(value, out, reader);
  if (const auto fault = check_nqn(*text)) {
    reader.warning(value.position, "the name is no NQN: " + fault->problem,
                   std::string(warning) + "; " + fault->remedy);
  }
  out = *text;
  return true;
}

Json NqnOrName::schema() const { return {{"type", "string"}, {"minLength", 1}, {"maxLength", kMaxNqnBytes}}; }

bool Address::read(const Value& value, std::string& out, Reader& reader) const {
  const auto* text = text_of(value, "an IP address", "write a string like \"10.0.0.1\"", reader);
  if (text == nullptr) return false;
  const std::string_view fault = check_address(*text, out);
  if (fault.empty() || (may_be_all && fault == kNotParticular)) return true;
  reader.error(value.position, quote(*text) + std::string(fault), std::string(wanted));
  out.clear();
  return false;
}

bool Path::read(const Value& value, std::string& out, Reader& reader) const {
  const auto* text = text_of(value, "a path", "write an absolute path as a string", reader);
  if (text == nullptr) return false;
  if (auto fault = check_path(role, *text)) {
    reader.error(value.position, std::move(fault->problem), std::move(fault->remedy));
    return false;
  }
  out = normal_path(*text);
  return true;
}

bool KeyFile::read(const Value& value, std::string& out, Reader& reader) const {
  const std::string remedy = "write an absolute path, or the name of a credential (LoadCredential=)";
  const auto* text = text_of(value, "a path", remedy, reader);
  if (text == nullptr) return false;
  if (text->starts_with("DHHC-1:")) {
    reader.error(value.position, "a key, which must not be in the config: replace it, because others may have read it",
                 "write the new key to a file with mode 0600, and its path here");
    return false;
  }
  const bool is_credential = !text->empty() && text->find('/') == std::string::npos && *text != "." && *text != "..";
  if (is_credential && std::ranges::all_of(*text, [](unsigned char c) { return c > 0x20 && c < 0x7F; })) {
    out = *text;
    return true;
  }
  if (auto fault = check_path(PathRole::key, *text)) {
    reader.error(value.position, std::move(fault->problem), remedy);
    return false;
  }
  out = normal_path(*text);
  return true;
}

bool FileMode::read(const Value& value, uint16_t& out, Reader& reader) const {
  constexpr const char* kWanted = "write three octal digits, such as \"0660\"";
  const std::string* text = text_of(value, "a string of permission bits", kWanted, reader);
  if (text == nullptr) return false;
  const std::string_view digits = std::string_view(*text).substr(text->size() == 4 && text->front() == '0' ? 1 : 0);
  uint16_t mode = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), mode, 8);
  if (digits.size() != 3 || fault != std::errc{} || end != digits.data() + digits.size()) {
    reader.error(value.position, quote(*text) + " is not a file mode", kWanted);
    return false;
  }
  out = mode;
  return true;
}

Json FileMode::literal(uint16_t mode) const {
  std::string digits = "0000";
  for (size_t i = digits.size(); i-- > 0; mode >>= 3U) digits[i] = static_cast<char>('0' + (mode & 7U));
  return digits;
}

bool PciAddress::read(const Value& value, std::string& out, Reader& reader) const {
  const std::string remedy = "write it as lspci -D prints it, such as \"0000:3b:00.0\"";
  const auto* text = text_of(value, "a PCI address", remedy, reader);
  if (text == nullptr) return false;
  out = parse_pci_address(*text);
  if (out.empty()) reader.error(value.position, quote(*text) + " is not a PCI address", remedy);
  return !out.empty();
}

Json PciAddress::schema() const {
  return {{"type", "string"}, {"pattern", "^([0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\\.[0-7]$"}};
}

bool read_identifier(const Value& value, const IdentifierForm& form, std::span<uint8_t> out, Reader& reader) {
  const auto* text = text_of(value, "a string", std::string(form.wanted), reader);
  if (text == nullptr) return false;
  std::string digits = *text;
  if (form.has_dashes && is_uuid(digits)) std::erase(digits, '-');
  if (digits.size() != out.size() * 2 || (form.has_dashes && !is_uuid(*text)) ||
      !std::ranges::all_of(digits, is_hex_digit)) {
    reader.error(value.position, quote(*text) + " is not a valid " + std::string(form.noun), std::string(form.wanted));
    return false;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    std::from_chars(digits.data() + i * 2, digits.data() + i * 2 + 2, out[i], 16);
  }
  if (std::ranges::any_of(out, [](uint8_t byte) { return byte != 0; })) return true;
  reader.error(value.position, "all zeros mean that the namespace has no " + std::string(form.noun), "remove the key");
  return false;
}

std::string spell_identifier(std::span<const uint8_t> identifier, const IdentifierForm& form) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < identifier.size(); ++i) {
    const bool begins_group = i == 4 || i == 6 || i == 8 || i == 10;
    if (form.has_dashes && begins_group) text += '-';
    text += digits[identifier[i] >> 4U];
    text += digits[identifier[i] & 0xFU];
  }
  return text;
}

bool Text::read(const Value& value, std::string& out, Reader& reader) const {
  const auto* text = text_of(value, "a string", "put it in double quotes", reader);
  if (text != nullptr) out = *text;
  return text != nullptr;
}

}  // namespace nvmf::config
