#include "config/json_text.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nvmf::config {
namespace {

using Json = nlohmann::ordered_json;
using Event = Json::parse_event_t;

// Without nlohmann's «[json.exception.parse_error.101] ».
std::string text_of(const Json::exception& error) {
  const std::string text = error.what();
  const size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

// Told of each object, array and key while the text is parsed.
class Bounds {
 public:
  void see(size_t depth, Event event, const Json& parsed) {
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= kMaxDepth)
        throw JsonError("is nested deeper than " + std::to_string(kMaxDepth) + " objects and arrays");
      keys_.resize(depth + 1);
      keys_[depth].clear();
    } else if (event == Event::key && !keys_.at(depth - 1).insert(parsed.get<std::string>()).second) {
      throw JsonError("has the key \"" + parsed.get<std::string>() + "\" twice in one object");
    }
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects that are open, by depth
};

}  // namespace

Json json_from(std::string_view text, size_t most_bytes) {
  if (text.size() > most_bytes) throw JsonError("is longer than " + std::to_string(most_bytes >> 20U) + " MiB");
  Bounds bounds;
  const auto watch = [&](int depth, Event event, const Json& parsed) {
    bounds.see(static_cast<size_t>(depth), event, parsed);
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& error) {
    throw JsonError("is not JSON: " + text_of(error));
  }
}

}  // namespace nvmf::config
