#include "config/json_text.h"

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nvmf::config {
namespace {

using Json = nlohmann::ordered_json;
using Event = Json::parse_event_t;

// Of «[json.exception.parse_error.101] parse error at line 2, column 1: syntax error while parsing value - unexpected
// end of input; expected ...» it is «line 2, column 1: unexpected end of input»; of another exception it is the text
// behind the bracket.
std::string text_of(const Json::exception& error) {
  constexpr std::string_view kPlace = "parse error at ";
  constexpr std::string_view kFault = " - ";
  std::string text = error.what();
  if (const size_t code_end = text.find("] "); code_end != std::string::npos) text.erase(0, code_end + 2);
  const size_t place_end = text.find(": syntax error");
  const size_t fault = text.find(kFault);
  if (!text.starts_with(kPlace) || place_end == std::string::npos || fault == std::string::npos) return text;
  const std::string place = text.substr(kPlace.size(), place_end - kPlace.size());
  const size_t begin = fault + kFault.size();
  return place + ": " + text.substr(begin, text.find("; ", begin) - begin);
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
