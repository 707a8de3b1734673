#include "target/daemon/admin_api.h"

#include <charconv>
#include <limits>
#include <utility>

namespace nvmf::daemon {
namespace {

using nlohmann::json;
using Task = boost::asio::awaitable<HttpResponse>;
using View = json (AdminActions::*)();
using Parameters = std::map<std::string, std::string>;

template <class AnyJson>
HttpResponse answer(const AnyJson& body, unsigned status = 200) {
  // The answer may contain texts of hosts and of the machine that are not UTF-8.
  return {.status = status, .body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n"};
}

template <class AnyJson = config::Json>
AnyJson body_of(const HttpRequest& request) {
  try {
    return AnyJson::parse(request.body);
  } catch (const std::exception& error) {
    throw HttpError(400, std::string("the body is not JSON: ") + error.what());
  }
}

template <class Number>
Number number_at(const Parameters& parameters, const char* name) {
  const std::string& text = parameters.at(name);
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || end != text.data() + text.size() || number == 0)
    throw HttpError(400, std::string("\"") + name + "\" must be a positive integer, but is \"" + text + "\"");
  return number;
}

// A flag of the query: "?force=true".
bool flag_of(const HttpRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  if (found == request.query.end() || found->second == "false") return false;
  if (found->second == "true") return true;
  throw HttpError(400, "\"" + name + "\" must be true or false, but is \"" + found->second + "\"");
}

unsigned status_of(ConfigChange::Verdict verdict) {
  using enum ConfigChange::Verdict;
  switch (verdict) {
    case Good:
      return 200;
    case Mistaken:
      return 422;
    case NeedsRestart:
    case Unavailable:
      break;
  }
  return 409;
}

const char* sentence_of(ConfigChange::Verdict verdict) {
  using enum ConfigChange::Verdict;
  switch (verdict) {
    case Mistaken:
      return "refused, nothing has changed: the config has mistakes";
    case NeedsRestart:
      return "refused, nothing has changed: the change needs a restart";
    case Unavailable:
      return "refused, nothing has changed: a device or file that it needs is unavailable";
    case Good:
      break;
  }
  return "";
}

HttpResponse answer(const ConfigChange& change) {
  json body = {{"changes", change.changes}, {"reasons", change.reasons}};
  if (change.verdict != ConfigChange::Verdict::Good) body["error"] = sentence_of(change.verdict);
  return answer(body, status_of(change.verdict));
}

unsigned status_of(config::EditError::Kind kind) {
  using enum config::EditError::Kind;
  switch (kind) {
    case Absent:
      return 404;
    case Present:
      return 409;
    case Malformed:
      break;
  }
  return 400;
}

// The change of the config that a request asks for.
using EditOf = void (*)(config::Json& document, const Parameters& parameters, const config::Json& body);

class Api {
 public:
  explicit Api(AdminActions& actions) : actions_(actions) {}

  HttpRoutes routes() {
    add_views();
    add_changes();
    add_port_changes();
    add_subsystem_changes();
    add_namespace_changes();
    add_storage_changes();
    add_host_changes();
    add_operations();
    return std::move(routes_);
  }

 private:
  void view(const std::string& path, View what) {
    routes_.add("GET", path, [&actions = actions_, what](const HttpRequest&) { return answer((actions.*what)()); });
  }

  // `takes_body`: the request's body is JSON for `edit`.
  void edit(const std::string& method, const std::string& path, EditOf edit_of) {
    const bool takes_body = method == "POST" || method == "PATCH";
    routes_.add_waiting(method, path, [&actions = actions_, edit_of, takes_body](HttpRequest request) -> Task {
      const config::Json body = takes_body ? body_of(request) : config::Json();
      const AdminActions::Edit change = [&](config::Json& document) { edit_of(document, request.parameters, body); };
      try {
        const ConfigChange changed = co_await actions.change(change);
        co_return answer(changed);
      } catch (const config::EditError& error) {
        throw HttpError(status_of(error.kind()), error.what());
      }
    });
  }

  void add_views() {
    view("/v1/status", &AdminActions::status);
    view("/v1/subsystems", &AdminActions::subsystems);
    view("/v1/namespaces", &AdminActions::namespaces);
    view("/v1/connections", &AdminActions::connections);
    view("/v1/p2p", &AdminActions::p2p);
    view("/v1/stats", &AdminActions::stats);
    view("/v1/ana", &AdminActions::ana);
    routes_.add("GET", "/v1/config",
                [&actions = actions_](const HttpRequest&) { return answer(actions.running_config()); });
  }

  void add_changes() {
    edit("PATCH", "/v1/config",
         [](config::Json& document, const Parameters&, const config::Json& body) { config::set(document, body); });
    routes_.add_waiting("POST", "/v1/reload", [&actions = actions_](HttpRequest request) -> Task {
      const ConfigChange changed = co_await actions.reload(flag_of(request, "force"));
      co_return answer(changed);
    });
    routes_.add("POST", "/v1/diff", [&actions = actions_](const HttpRequest& request) {
      const auto name = request.query.find("name");
      return answer(actions.compare(request.body, name == request.query.end() ? "the config" : name->second));
    });
    routes_.add("POST", "/v1/save", [&actions = actions_](const HttpRequest&) {
      return answer(json{{"file", actions.save()}});
    });
    edit("PUT", "/v1/log-level/{level}", [](config::Json& document, const Parameters& parameters, const config::Json&) {
      document["log_level"] = parameters.at("level");
    });
  }

  void add_port_changes() {
    edit("POST", "/v1/ports",
         [](config::Json& document, const Parameters&, const config::Json& body) { config::add_port(document, body); });
    edit("PATCH", "/v1/ports/{id}", [](config::Json& document, const Parameters& parameters, const config::Json& body) {
      config::set(config::find_port(document, number_at<uint64_t>(parameters, "id")), body);
    });
    edit("DELETE", "/v1/ports/{id}", [](config::Json& document, const Parameters& parameters, const config::Json&) {
      config::remove_port(document, number_at<uint64_t>(parameters, "id"));
    });
  }

  void add_subsystem_changes() {
    edit("POST", "/v1/subsystems", [](config::Json& document, const Parameters&, const config::Json& body) {
      config::add_subsystem(document, body);
    });
    edit("PATCH", "/v1/subsystems/{nqn}",
         [](config::Json& document, const Parameters& parameters, const config::Json& body) {
           config::set(config::find_subsystem(document, parameters.at("nqn")), body);
         });
    edit("DELETE", "/v1/subsystems/{nqn}",
         [](config::Json& document, const Parameters& parameters, const config::Json&) {
           config::remove_subsystem(document, parameters.at("nqn"));
         });
  }

  void add_namespace_changes() {
    edit("POST", "/v1/subsystems/{nqn}/namespaces",
         [](config::Json& document, const Parameters& parameters, const config::Json& body) {
           config::add_namespace(document, parameters.at("nqn"), body);
         });
    edit("PATCH", "/v1/subsystems/{nqn}/namespaces/{nsid}",
         [](config::Json& document, const Parameters& parameters, const config::Json& body) {
           const auto nsid = number_at<uint64_t>(parameters, "nsid");
           config::set(config::find_namespace(document, parameters.at("nqn"), nsid), body);
         });
    edit("DELETE", "/v1/subsystems/{nqn}/namespaces/{nsid}",
         [](config::Json& document, const Parameters& parameters, const config::Json&) {
           config::remove_namespace(document, parameters.at("nqn"), number_at<uint64_t>(parameters, "nsid"));
         });
  }

  void add_storage_changes() {
    routes_.add_waiting("POST", "/v1/subsystems/{nqn}/namespaces/{nsid}/accept",
                        [&actions = actions_](HttpRequest request) -> Task {
                          const auto nsid = number_at<uint32_t>(request.parameters, "nsid");
                          try {
                            const ConfigChange changed = co_await actions.accept(request.parameters.at("nqn"), nsid);
                            co_return answer(changed);
                          } catch (const config::EditError& error) {
                            throw HttpError(status_of(error.kind()), error.what());
                          }
                        });
  }

  void add_host_changes() {
    edit("PUT", "/v1/subsystems/{nqn}/hosts/{hostnqn}",
         [](config::Json& document, const Parameters& parameters, const config::Json&) {
           config::allow_host(document, parameters.at("nqn"), parameters.at("hostnqn"));
         });
    edit("DELETE", "/v1/subsystems/{nqn}/hosts/{hostnqn}",
         [](config::Json& document, const Parameters& parameters, const config::Json&) {
           config::deny_host(document, parameters.at("nqn"), parameters.at("hostnqn"));
         });
  }

  void add_operations() {
    routes_.add("POST", "/v1/ana", [&actions = actions_](const HttpRequest& request) {
      try {
        actions.set_ana(request.body);
      } catch (const std::exception& error) {
        throw HttpError(400, error.what());
      }
      return HttpResponse{.status = 204};
    });
    drain_or_resume("/v1/drain", &AdminActions::drain);
    drain_or_resume("/v1/resume", &AdminActions::resume);
    routes_.add("POST", "/v1/hosts/{hostnqn}/disconnect", [&actions = actions_](const HttpRequest& request) {
      const std::string& hostnqn = request.parameters.at("hostnqn");
      const size_t controllers = actions.disconnect(hostnqn);
      if (controllers == 0) throw HttpError(404, "host " + hostnqn + " is not connected");
      return answer(json{{"controllers", controllers}});
    });
  }

  // For the port that the query names, or for all ports.
  void drain_or_resume(const std::string& path, bool (AdminActions::*action)(std::optional<uint16_t>)) {
    routes_.add("POST", path, [&actions = actions_, action](const HttpRequest& request) {
      std::optional<uint16_t> port;
      if (request.query.contains("port")) port = number_at<uint16_t>(request.query, "port");
      if (!(actions.*action)(port)) throw HttpError(404, "there is no port " + request.query.at("port"));
      return HttpResponse{.status = 204};
    });
  }

  AdminActions& actions_;
  HttpRoutes routes_;
};

}  // namespace

HttpRoutes admin_routes(AdminActions& actions) { return Api(actions).routes(); }

}  // namespace nvmf::daemon
