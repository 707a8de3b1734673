// The manual page of the config file, nvmf-p2p.json(5), made from the schema, so that it has the keys that are read.
#pragma once

#include <string>

namespace nvmf::cli {

// `schema`: config::schema_text(). `source`: the program and its version.
std::string config_manual(const std::string& schema, const std::string& source);

}  // namespace nvmf::cli
