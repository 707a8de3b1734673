#include "target/daemon/cli/settings.h"

#include <cstddef>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "config/lexical.h"

namespace nvmf::cli {
namespace {

// The place in `object` that the dots of `key` lead to.
Json& place_of(Json& object, const std::string& key) {
  Json* place = &object;
  std::istringstream steps(key);
  for (std::string step; std::getline(steps, step, '.');) {
    if (!place->is_null() && !place->is_object())
      throw std::invalid_argument("the key \"" + key +
                                  "\" is below a key that another argument sets to a value: give one of the two");
    place = &(*place)[step];
  }
  return *place;
}

bool is_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = config::utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace

std::string not_a_setting(const std::string& text) { return '"' + text + "\" is not of the form KEY=VALUE"; }

void require_utf8(const std::string& name, std::string_view text) {
  if (!is_utf8(text)) throw std::invalid_argument(name + " is not valid UTF-8");
}

Json object_from(const std::vector<std::string>& settings) {
  Json object = Json::object();
  std::set<std::string> keys;
  for (const std::string& setting : settings) {
    require_utf8(setting.substr(0, setting.find('=')), setting);
    const size_t equals = setting.find('=');
    if (equals == 0 || equals == std::string::npos) throw std::invalid_argument(not_a_setting(setting));
    if (!keys.insert(setting.substr(0, equals)).second)
      throw std::invalid_argument("the key \"" + setting.substr(0, equals) + "\" is given twice");
    const std::string text = setting.substr(equals + 1);
    Json value = Json::parse(text, nullptr, false);
    place_of(object, setting.substr(0, equals)) = value.is_discarded() ? Json(text) : std::move(value);
  }
  return object;
}

}  // namespace nvmf::cli
