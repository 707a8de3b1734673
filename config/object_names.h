// Messages about a config whose text nobody has seen: the running config, which a request changes. Its ports,
// subsystems, hosts and namespaces are called by the names that an operator knows, instead of by their places in lists.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "config/diagnostics.h"

namespace nvmf::config {

// In place of «the file:3:5: error: $.subsystems[0].namespaces[2].max_iops: ...» the messages are «error: namespace 3
// of NQN: max_iops: ...». `document`: that the paths lead into; an object without a name in it is called by its place.
void name_objects(std::vector<Diagnostic>& diagnostics, const nlohmann::ordered_json& document);

}  // namespace nvmf::config
