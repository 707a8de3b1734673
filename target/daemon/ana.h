// The operator's side of Asymmetric Namespace Access (ANA): the config's words, and changes at run time. Control
// thread.
#pragma once

#include <nlohmann/json.hpp>

#include "config/edit.h"
#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

core::AnaState ana_state_of(config::AnaState state);

// [{"group", "port", "state"}]: every group that has namespaces, on every port of the subsystem.
nlohmann::json ana_states(const core::Subsystem& subsystem);

// {"subsystem": NQN, "group": 1 to 128, "port": id, "state": a word of the config}: hosts on the port are notified.
// Throws std::exception with a message for the client.
void set_ana_state(core::Target& target, const config::Json& request);

}  // namespace nvmf::daemon
