// The daemon's answers as text for people. `width`: the number of columns; 0: any.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace nvmf::cli {

using Json = nlohmann::ordered_json;
using View = std::string (*)(const Json& answer, size_t width);

std::string status_view(const Json& answer, size_t width);
std::string subsystems_view(const Json& answer, size_t width);
std::string namespaces_view(const Json& answer, size_t width);
std::string connections_view(const Json& answer, size_t width);
std::string p2p_view(const Json& answer, size_t width);
std::string stats_view(const Json& answer, size_t width);
std::string reservations_view(const Json& answer, size_t width);
std::string write_protection_view(const Json& answer, size_t width);
std::string ana_view(const Json& answer, size_t width);
// One event of the stream: a line, or several on a narrow terminal.
std::string event_view(const Json& event, size_t width);
// The answer to a change: a line for each change, then warnings or reasons.
std::string change_view(const Json& answer, size_t width);
// The answer to `save`: a line for each file.
std::string saved_view(const Json& answer, size_t width);

// Sums of a namespace's counters over both directions.
struct PathSum {
  uint64_t commands = 0;
  uint64_t bytes = 0;
};
PathSum sum_of_path(const Json& space, const std::string& path);

}  // namespace nvmf::cli
