// From a Config to the text of a config file.
#pragma once

#include <string>

#include "config/config.h"

namespace nvmf::config {

// The text that parse() reads as `config` again, positions apart, laid out for people. What has its default is left
// out. `config` must keep to what config.h says.
std::string write(const Config& config);

}  // namespace nvmf::config
