// From a Config to the text of a config file.
#pragma once

#include <string>

#include "config/config.h"

namespace nvmf::config {

// The text that parse() reads as `config` again, positions apart, laid out for people. Keys with their default value
// are left out. `config` must keep the ranges of config.h.
std::string write(const Config& config);

}  // namespace nvmf::config
