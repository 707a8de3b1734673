#include "config/schema.h"

#include "config/tables.h"

namespace nvmf::config {
namespace {

std::string text_of(const std::string& title, const Table<Config>& table) {
  Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                 {"title", title},
                 {"allowComments", true},  // an extension that Visual Studio Code knows
                 {"allowTrailingCommas", false}};
  schema.update(schema_of(table));
  return schema.dump(2) + '\n';
}

}  // namespace

std::string schema_text() { return text_of("nvmf-p2p", config_table()); }

std::string drop_in_schema_text() { return text_of("a drop-in of nvmf-p2p", drop_in_table()); }

}  // namespace nvmf::config
