#include "target/daemon/http_routes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/json_text.h"

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

std::string name_of(const HttpRoutes::Route& route) { return route.method + " " + route.pattern; }

std::string quoted(const std::string& text) { return '"' + text + '"'; }

// "a", "b" and "c"; or what there is instead of names.
std::string list_of(const std::vector<std::string>& names, const std::string& none) {
  if (names.empty()) return none;
  std::string list = quoted(names.front());
  for (size_t i = 1; i < names.size(); ++i) list += (i + 1 < names.size() ? ", " : " and ") + quoted(names[i]);
  return list;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

void check_keys(const HttpRoutes::Route& route, const nlohmann::ordered_json& object) {
  const std::vector<std::string>& keys = route.takes.keys;
  if (keys.empty()) return;
  for (const auto& [key, value] : object.items())
    if (!has(keys, key))
      throw HttpError(400, name_of(route) + " takes no key " + quoted(key) + "; it takes " + list_of(keys, ""));
  for (const std::string& key : keys)
    if (!object.contains(key)) throw HttpError(400, "the body has no key " + quoted(key));
}

}  // namespace

nlohmann::ordered_json object_from(const std::string& body) {
  try {
    nlohmann::ordered_json object = config::json_from(body);
    if (!object.is_object()) throw HttpError(400, "the body must be a JSON object");
    return object;
  } catch (const config::JsonError& error) {
    throw HttpError(400, std::string("the body ") + error.what());
  }
}

void HttpRoutes::add(const std::string& method, const std::string& pattern, HttpTakes takes, Answer answer) {
  add_waiting(method, pattern, std::move(takes),
              [answer = std::move(answer)](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
                co_return answer(request);
              });
}

void HttpRoutes::add_waiting(const std::string& method, const std::string& pattern, HttpTakes takes, Handler handler) {
  routes_.push_back({method, pattern, split(pattern, '/'), std::move(takes), std::move(handler)});
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

void take_query(const HttpRoutes::Route& route, std::string_view query, HttpRequest& request) {
  if (query.empty()) return;
  for (const std::string& part : split(query, '&')) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string name = decode(part.substr(0, equals));
    if (!has(route.takes.query, name))
      throw HttpError(400, name_of(route) + " takes no parameter " + quoted(name) + "; it takes " +
                               list_of(route.takes.query, "none"));
    if (!request.query.try_emplace(name, decode(std::string_view(part).substr(std::min(equals + 1, part.size()))))
             .second)
      throw HttpError(400, "the parameter " + quoted(name) + " is there twice");
  }
}

void take_body(const HttpRoutes::Route& route, std::string body, HttpRequest& request) {
  switch (route.takes.body) {
    case HttpTakes::Body::Nothing:
      if (!body.empty()) throw HttpError(400, name_of(route) + " takes no body");
      return;
    case HttpTakes::Body::Text:
      request.body = std::move(body);
      return;
    case HttpTakes::Body::Object:
      request.json = object_from(body);
      check_keys(route, request.json);
      return;
  }
}

}  // namespace nvmf::daemon
