// The table of an HTTP service: methods and paths with their handlers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nvmf::daemon {

// Who is at the other end of a UNIX socket.
struct HttpPeer {
  uint32_t uid = 0;
  int32_t pid = 0;
};

struct HttpRequest {
  std::string method;
  std::map<std::string, std::string> parameters;  // parameters of the route's pattern, by name, decoded
  std::map<std::string, std::string> query;       // the part after "?", decoded
  std::string body;                               // of a route that takes text
  nlohmann::ordered_json json{};                  // of a route that takes an object
  std::optional<std::string> if_match{};          // the header If-Match (RFC 9110 section 13.1.1)
  std::optional<std::string> last_event_id{};     // the header Last-Event-ID (HTML standard, section 9.2.4)
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string etag{};                                          // the header ETag, quotes included; empty: none
  std::vector<std::pair<std::string, std::string>> headers{};  // more of them
  std::string body{};
  // What follows the body, a part at a time, until one is empty: an answer that goes on for as long as the client
  // stays.
  std::function<boost::asio::awaitable<std::string>()> more{};
  // Called once, when the client has the answer or has gone; the connection ends then. Not with `more`.
  std::function<void()> after{};
};

// A handler throws this to refuse a request: the client gets {"error": what()} with the status.
class HttpError : public std::runtime_error {
 public:
  HttpError(unsigned status, const std::string& what) : std::runtime_error(what), status_(status) {}
  unsigned status() const { return status_; }

 private:
  unsigned status_;
};

// What a route takes besides the parameters of its path. A request with anything else is refused before the handler
// runs: a slip of the client must never look like a request for more than was meant.
struct HttpTakes {
  enum class Body : uint8_t {
    Nothing,
    Text,    // any bytes
    Object,  // a JSON object; required
  };
  std::vector<std::string> query{};  // names of query parameters
  Body body = Body::Nothing;
  // The keys of the object, all of them required; empty: the handler checks the keys (config objects have rules of
  // their own).
  std::vector<std::string> keys{};
  // Whether a request that may change something can have the header If-Match.
  bool if_match = false;
};

class HttpRoutes {
 public:
  using Answer = std::function<HttpResponse(const HttpRequest&)>;
  using Handler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    HttpTakes takes;
    Handler handler;
  };
  struct Found {
    const Route* route = nullptr;  // null: the path is unknown, or has only other methods
    std::map<std::string, std::string> parameters;
    std::string allowed;  // the methods of the path, as the Allow header lists them; empty: unknown path
  };

  // `pattern`: "/v1/hosts/{hostnqn}"; a name in braces takes one segment, not empty, decoded. Of several matching
  // patterns, the first one added is used.
  void add(const std::string& method, const std::string& pattern, HttpTakes takes, Answer answer);
  void add(const std::string& method, const std::string& pattern, Answer answer) {
    add(method, pattern, {}, std::move(answer));
  }
  // A handler that may wait for other events than its client's.
  void add_waiting(const std::string& method, const std::string& pattern, HttpTakes takes, Handler handler);
  void add_waiting(const std::string& method, const std::string& pattern, Handler handler) {
    add_waiting(method, pattern, {}, std::move(handler));
  }

  const std::vector<Route>& routes() const { return routes_; }

  // `path`: the path of the request, without the query.
  Found find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

// The JSON object that the body of a request is. Throws HttpError 400 when it is none.
nlohmann::ordered_json object_from(const std::string& body);

// Gives `request` what it brings for `route`: the values in the query of its target ("a=1&b=%2F") by name. Throws
// HttpError 400 when the route does not take one of them, or one is there twice.
void take_query(const HttpRoutes::Route& route, std::string_view query, HttpRequest& request);
// The same for the body. Throws HttpError 400 when it is not what the route takes.
void take_body(const HttpRoutes::Route& route, std::string body, HttpRequest& request);

}  // namespace nvmf::daemon
