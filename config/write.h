// From a Config to the text of a config file, or of a drop-in.
#pragma once

#include <string>

#include "config/config.h"

namespace nvmf::config {

// The text that parse() reads as `config` again, positions apart, laid out for people. Keys with their default value
// are left out. `config` must keep the ranges of config.h.
std::string write(const Config& config);
// The same of a drop-in with one subsystem.
std::string write_drop_in(const Subsystem& subsystem);

}  // namespace nvmf::config
