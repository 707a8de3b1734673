// Every key of the file.
#pragma once

#include "config/config.h"
#include "config/table.h"

namespace nvmf::config {

const Table<Config>& config_table();

// Every key with its value, defaults included, to compare two objects by: of a subsystem without its namespaces, of a
// config without ports and subsystems.
Json values_of(const Namespace& space);
Json values_of(const Subsystem& subsystem);
Json values_of(const Config& config);

}  // namespace nvmf::config
