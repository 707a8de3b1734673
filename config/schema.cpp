#include "config/schema.h"

#include "config/tables.h"

namespace nvmf::config {

std::string schema_text() {
  Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                 {"title", "nvmf-p2p"},
                 {"allowComments", true},  // an extension that Visual Studio Code knows
                 {"allowTrailingCommas", false}};
  schema.update(schema_of(config_table()));
  return schema.dump(2) + '\n';
}

}  // namespace nvmf::config
