// The kinds of value that a key of the file can have. Each kind has three sides:
//   bool read(const Value&, M& out, Reader&) const   sets `out`, or reports what is wrong and returns false;
//   Json literal(const M&) const                     writes a value down so that read() reads the same again;
//   Json schema() const                              tells an editor what read() accepts, in JSON Schema.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/names.h"
#include "config/paths.h"
#include "config/reader.h"

namespace nvmf::config {

using Json = nlohmann::ordered_json;

// true or false.
struct Boolean {
  bool read(const Value& value, bool& out, Reader& reader) const;
  Json schema() const { return {{"type", "boolean"}}; }
  Json literal(bool value) const { return value; }
};

// An integer in a range, perhaps in steps.
struct Integer {
  uint64_t least;
  uint64_t most;
  uint64_t step = 1;

  template <class M>
  bool read(const Value& value, M& out, Reader& reader) const {
    const auto number = checked(value, reader);
    if (number) out = static_cast<M>(*number);
    return number.has_value();
  }
  Json schema() const;
  Json literal(uint64_t value) const { return value; }

 private:
  std::optional<uint64_t> checked(const Value& value, Reader& reader) const;
};

// One of a few integers.
struct IntegerOf {
  std::vector<uint64_t> choices;  // ascending
  std::string wanted;             // for the remedy

  template <class M>
  bool read(const Value& value, M& out, Reader& reader) const {
    const auto number = checked(value, reader);
    if (number) out = static_cast<M>(*number);
    return number.has_value();
  }
  Json schema() const { return {{"type", "integer"}, {"enum", choices}}; }
  Json literal(uint64_t value) const { return value; }

 private:
  std::optional<uint64_t> checked(const Value& value, Reader& reader) const;
};

// Every power of two from `least` to `most`.
IntegerOf power_of_two(uint64_t least, uint64_t most);

// Bytes, as an integer or as a text with a unit: "64MiB".
struct Size {
  uint64_t least;
  uint64_t most;

  bool read(const Value& value, uint64_t& out, Reader& reader) const;
  Json literal(uint64_t bytes) const;
  Json schema() const;
};

// One of the words of an enumeration.
template <class Enum, size_t N>
struct Word {
  const Names<Enum, N>& names;

  bool read(const Value& value, Enum& out, Reader& reader) const;
  Json schema() const;
  Json literal(Enum value) const { return name_of(names, value); }

 private:
  std::vector<std::string_view> words() const;
};

template <class Enum, size_t N>
Word(const Names<Enum, N>&) -> Word<Enum, N>;

// The index of `value` among `words`.
std::optional<size_t> read_word(const Value& value, std::span<const std::string_view> words, Reader& reader);

// Printable ASCII.
struct Ascii {
  size_t longest;

  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json schema() const;
  Json literal(const std::string& value) const { return value; }
};

// The NQN of a subsystem or a host.
struct Nqn {
  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& nqn) const { return nqn; }
  Json schema() const;
};

// An NQN, or with a warning another name that Linux takes in its place (can_be_served_as()).
struct NqnOrName {
  std::string_view warning;  // how far such a name goes

  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& name) const { return name; }
  Json schema() const;
};
inline constexpr NqnOrName kSubsystemName{"Linux hosts can connect to it all the same, others may refuse it"};
inline constexpr NqnOrName kHostName{"Linux hosts can have it all the same, others cannot"};

inline constexpr std::string_view kOurAddress =
    "write the address of an RDMA interface of this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all";
inline constexpr std::string_view kTheirAddress = "write the address of the other machine, such as 10.0.0.1 or fd00::1";

inline constexpr std::string_view kOurTcpAddress =
    "write an address of this machine, such as 127.0.0.1 or ::1, or 0.0.0.0 or :: for all";

// An IPv4 or IPv6 literal that can be listened on; read in the spelling of inet_ntop(3).
struct Address {
  std::string_view wanted = kOurAddress;  // for the remedy
  bool may_be_all = false;                // 0.0.0.0 and :: are allowed

  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& address) const { return address; }
  Json schema() const { return {{"type", "string"}, {"minLength", 1}}; }
};

// An absolute path, read in its normal form.
struct Path {
  PathRole role;

  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& path) const { return path; }
  Json schema() const { return {{"type", "string"}, {"pattern", "^/"}}; }
};

// A file with a key: an absolute path, read in its normal form, or the name of a credential of the service manager.
struct KeyFile {
  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& path) const { return path; }
  Json schema() const { return {{"type", "string"}, {"pattern", "^(/.*[^/]|[^/]+)$"}}; }
};

// Permission bits of a file in octal digits: "0660".
struct FileMode {
  bool read(const Value& value, uint16_t& out, Reader& reader) const;
  Json schema() const { return {{"type", "string"}, {"pattern", "^0?[0-7]{3}$"}}; }
  Json literal(uint16_t mode) const;
};

// A PCI address, read as sysfs spells it.
struct PciAddress {
  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& address) const { return address; }
  Json schema() const;
};

// How an identifier of a namespace is written.
struct IdentifierForm {
  std::string_view noun;
  std::string_view wanted;   // For the remedy.
  std::string_view pattern;  // As JSON Schema takes it.
  bool has_dashes;           // As in a UUID.
};

std::string spell_identifier(std::span<const uint8_t> identifier, const IdentifierForm& form);

// An identifier of a namespace in hexadecimal digits.
template <size_t Bytes>
struct Identifier {
  const IdentifierForm& form;

  bool read(const Value& value, std::array<uint8_t, Bytes>& out, Reader& reader) const;
  Json literal(const std::array<uint8_t, Bytes>& identifier) const { return spell_identifier(identifier, form); }
  Json schema() const { return {{"type", "string"}, {"pattern", form.pattern}}; }
};

inline constexpr IdentifierForm kUuidForm = {
    "UUID", "write 8-4-4-4-12 hexadecimal digits; uuidgen makes one",
    "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$", true};
inline constexpr IdentifierForm kNguidForm = {"NGUID", "write 32 hexadecimal digits", "^[0-9A-Fa-f]{32}$", false};
inline constexpr IdentifierForm kEui64Form = {"EUI-64", "write 16 hexadecimal digits", "^[0-9A-Fa-f]{16}$", false};

bool read_identifier(const Value& value, const IdentifierForm& form, std::span<uint8_t> out, Reader& reader);

// Any text: for keys that only other programs read.
struct Text {
  bool read(const Value& value, std::string& out, Reader& reader) const;
  Json literal(const std::string& text) const { return text; }
  Json schema() const { return {{"type", "string"}}; }
};

template <class Enum, size_t N>
bool Word<Enum, N>::read(const Value& value, Enum& out, Reader& reader) const {
  const auto index = read_word(value, words(), reader);
  if (index) out = names[*index].second;
  return index.has_value();
}

template <class Enum, size_t N>
Json Word<Enum, N>::schema() const {
  return {{"enum", words()}};
}

template <class Enum, size_t N>
std::vector<std::string_view> Word<Enum, N>::words() const {
  std::vector<std::string_view> words;
  for (const auto& entry : names) words.push_back(entry.first);
  return words;
}

template <size_t Bytes>
bool Identifier<Bytes>::read(const Value& value, std::array<uint8_t, Bytes>& out, Reader& reader) const {
  return read_identifier(value, form, out, reader);
}

}  // namespace nvmf::config
