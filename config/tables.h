// Every key of the file.
#pragma once

#include "config/config.h"
#include "config/table.h"

namespace nvmf::config {

// Of the config file. Its rules, check_config(), are called when the drop-ins have been read, too.
const Table<Config>& config_table();
// Of a drop-in, whose subsystems are added to those that the config has.
const Table<Config>& drop_in_table();

// Every key with its value, defaults included, to compare two objects by: of a subsystem without its namespaces, of a
// config without ports and subsystems.
Json values_of(const Namespace& space);
Json values_of(const Subsystem& subsystem);
Json values_of(const Config& config);

}  // namespace nvmf::config
