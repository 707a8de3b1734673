// The table of an HTTP service: methods and paths with their handlers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nvmf::daemon {

struct HttpRequest {
  std::string method;
  std::map<std::string, std::string> parameters;  // parameters of the route's pattern, by name, decoded
  std::map<std::string, std::string> query;       // the part after "?", decoded
  std::string body;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
};

// A handler throws this to refuse a request: the client gets {"error": what()} with the status.
class HttpError : public std::runtime_error {
 public:
  HttpError(unsigned status, const std::string& what) : std::runtime_error(what), status_(status) {}
  unsigned status() const { return status_; }

 private:
  unsigned status_;
};

class HttpRoutes {
 public:
  using Answer = std::function<HttpResponse(const HttpRequest&)>;
  using Handler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    Handler handler;
  };
  struct Found {
    const Route* route = nullptr;  // null: the path is unknown, or has only other methods
    std::map<std::string, std::string> parameters;
    std::string allowed;  // the methods of the path, as the Allow header lists them; empty: unknown path
  };

  // `pattern`: "/v1/hosts/{hostnqn}"; a name in braces takes one segment, not empty, decoded. Of several matching
  // patterns, the first one added is used.
  void add(const std::string& method, const std::string& pattern, Answer answer);
  // A handler that may wait for other events than its client's.
  void add_waiting(const std::string& method, const std::string& pattern, Handler handler);

  const std::vector<Route>& routes() const { return routes_; }

  // `path`: the path of the request, without the query.
  Found find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

// The values in the query of a request target ("a=1&b=%2F"), by name.
std::map<std::string, std::string> parse_query(std::string_view query);

}  // namespace nvmf::daemon
