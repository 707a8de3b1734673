// What arguments of commands may be.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include "config/characters.h"

namespace nvmf::cli {

// CLI11 reads 010 as 8, and 0x1 as 1, and says of a number that is too large that it is none.
inline std::string fault_of_number(const std::string& text, uint64_t most) {
  if (text.size() > 1 && text.starts_with('0'))
    return "\"" + text + "\" is not a decimal number without zeros before it";
  const bool is_number = !text.empty() && std::ranges::all_of(text, config::is_digit);
  if (!is_number) return "";  // CLI11 says so
  uint64_t number = 0;
  const std::errc fault = std::from_chars(text.data(), text.data() + text.size(), number).ec;
  const bool is_in_range = fault == std::errc{} && number >= 1 && number <= most;
  return is_in_range ? "" : "\"" + text + "\" is not from 1 to " + std::to_string(most);
}

// The option takes a number from 1 to `most`.
inline CLI::Option* decimal(CLI::Option* option, uint64_t most) {
  const auto fault = [most](const std::string& text) { return fault_of_number(text, most); };
  return option->check(CLI::Validator(fault, ""));
}

// The option takes the name of a file or directory.
inline CLI::Option* file_name(CLI::Option* option) {
  const auto fault = [](const std::string& text) -> std::string {
    return text.empty() ? "the name of the file is empty" : "";
  };
  return option->check(CLI::Validator(fault, ""));
}

}  // namespace nvmf::cli
