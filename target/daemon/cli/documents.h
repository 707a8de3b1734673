// The manual page and the completions for shells, made from the parser, so that they match what it accepts.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace nvmf::cli {

// The parts of the page besides the commands.
struct Manual {
  std::string name;
  std::string version;
  std::string description;  // a paragraph, plain text
};

// A page in the man(7) macros.
std::string manual_page(const CLI::App& app, const Manual& manual);

std::string bash_completion(const CLI::App& app, const std::string& name);
std::string zsh_completion(const CLI::App& app, const std::string& name);
std::string fish_completion(const CLI::App& app, const std::string& name);

}  // namespace nvmf::cli
