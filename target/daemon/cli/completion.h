// What the running daemon knows of the word that is being typed: NQNs of subsystems, namespace identifiers, ports, and
// hosts. The completions of shells (documents.h), which know commands and options themselves, ask for it by
// `nvmf-p2p complete WORD...`, a command that the help does not list.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace nvmf::cli {

// `words`: what has been typed behind the program's name; the last one, which may be empty, is to be completed. The
// candidates begin with it. None when the daemon cannot be reached, or does not answer within a second.
//
// Hosts choose their NQNs: a candidate has no character that means something to a shell.
std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace nvmf::cli
