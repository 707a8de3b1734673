// Text in the language of manual pages, the man(7) macros.
#pragma once

#include <string>

namespace nvmf::cli {

// Plain text, so that none of it is a command of roff.
std::string roff(const std::string& text);

inline std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }

// The first line of a page, without the date of the day when it was printed.
std::string title_line(std::string name, int section, const std::string& source);

}  // namespace nvmf::cli
