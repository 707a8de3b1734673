// What a program serves, by name: the one that takes its place in an upgrade shows by it that it serves as much.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace nvmf::daemon {

std::string name_of_namespace(const std::string& nqn, uint32_t nsid);
// `address`: on which the port listens.
std::string name_of_listener(uint16_t port_id, const std::string& address);

// Of the names in `former`, those that `config` still asks for and that are not in `now`.
std::vector<std::string> lost_names(const std::vector<std::string>& former, const std::vector<std::string>& now,
                                    const config::Config& config);

}  // namespace nvmf::daemon
