// Every key of the file.
#pragma once

#include "config/config.h"
#include "config/table.h"

namespace nvmf::config {

const Table<Config>& config_table();

}  // namespace nvmf::config
