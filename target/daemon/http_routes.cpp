#include "target/daemon/http_routes.h"

#include <charconv>
#include <utility>

namespace nvmf::daemon {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// RFC 3986 section 2.1. Text that is not percent-encoding stays as it is.
std::string decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

bool is_parameter(const std::string& segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::optional<std::map<std::string, std::string>> match(const std::vector<std::string>& pattern,
                                                        const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::map<std::string, std::string> parameters;
  for (size_t i = 0; i < path.size(); ++i) {
    if (is_parameter(pattern[i])) {
      if (path[i].empty()) return std::nullopt;
      parameters[pattern[i].substr(1, pattern[i].size() - 2)] = decode(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

}  // namespace

void HttpRoutes::add(const std::string& method, const std::string& pattern, Answer answer) {
  add_waiting(method, pattern,
              [answer = std::move(answer)](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
                co_return answer(request);
              });
}

void HttpRoutes::add_waiting(const std::string& method, const std::string& pattern, Handler handler) {
  routes_.push_back({method, pattern, split(pattern, '/'), std::move(handler)});
}

HttpRoutes::Found HttpRoutes::find(std::string_view method, std::string_view path) const {
  const std::vector<std::string> segments = split(path, '/');
  Found found;
  for (const Route& route : routes_) {
    auto parameters = match(route.segments, segments);
    if (!parameters) continue;
    found.allowed += (found.allowed.empty() ? "" : ", ") + route.method;
    if (route.method != method || found.route != nullptr) continue;
    found.route = &route;
    found.parameters = std::move(*parameters);
  }
  return found;
}

std::map<std::string, std::string> parse_query(std::string_view query) {
  std::map<std::string, std::string> parsed;
  if (query.empty()) return parsed;
  for (const std::string& part : split(query, '&')) {
    const size_t equals = std::min(part.find('='), part.size());
    parsed[decode(part.substr(0, equals))] = equals < part.size() ? decode(part.substr(equals + 1)) : "";
  }
  return parsed;
}

}  // namespace nvmf::daemon
