#include "target/daemon/admin_api.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "config/limits.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;
using Task = boost::asio::awaitable<HttpResponse>;
using View = json (AdminActions::*)();
using Change = AdminActions::Change;
using Parameters = std::map<std::string, std::string>;

template <class AnyJson>
HttpResponse answer(const AnyJson& body, unsigned status = 200) {
  // The answer may contain texts of hosts and of the machine that are not UTF-8.
  return {.status = status, .body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n"};
}

template <class Number>
Number number_at(const Parameters& parameters, const char* name, Number most) {
  const std::string& text = parameters.at(name);
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || text.front() == '0' || end != text.data() + text.size() || number == 0 || number > most)
    throw HttpError(400, std::string("\"") + name + "\" must be an integer from 1 to " + std::to_string(most) +
                             ", but is \"" + text + "\"");
  return number;
}

uint32_t nsid_of(const Parameters& parameters) {
  return number_at<uint32_t>(parameters, "nsid", config::kMostNamespaces);
}
uint16_t port_id_of(const Parameters& parameters) { return number_at<uint16_t>(parameters, "id", config::kMostPortId); }

// Whether the query has "NAME=true". It has nothing else for the name.
bool is_set(const HttpRequest& request, const char* name) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return false;
  if (found->second != "true")
    throw HttpError(400, std::string("\"") + name + "\" must be \"true\", but is \"" + found->second + "\"");
  return true;
}

const std::string& text_at(const config::Json& object, const char* key, const char* of) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string())
    throw HttpError(400, std::string(of) + " needs the key \"" + key + "\" with a string");
  return found->get_ref<const std::string&>();
}

void take_only(const config::Json& object, std::initializer_list<std::string_view> keys, const char* what) {
  if (!object.is_object()) throw HttpError(400, std::string(what) + " must be a JSON object");
  for (const auto& [key, value] : object.items())
    if (std::ranges::find(keys, key) == keys.end())
      throw HttpError(400, std::string(what) + " takes no key \"" + key + '"');
}

// A change of keys does not become the removal of one thing, which disconnects its hosts, and the making of another.
void keep(const char* name, const config::Json& present, const config::Json& patch, const std::string& what) {
  const auto wanted = patch.find(name);
  if (wanted == patch.end() || *wanted == present.at(name)) return;
  throw config::EditError(config::EditError::Kind::Malformed, std::string("\"") + name + "\" is what hosts know the " +
                                                                  what + " by, and cannot be changed: remove the " +
                                                                  what + ", and add it with the other \"" + name + '"');
}

// {"config": TEXT, "drop_ins": [{"name": NAME, "text": TEXT}, ...]}
void take_files(const config::Json& body, config::Sources& sources) {
  take_only(body, {"config", "drop_ins"}, "the body");
  sources.file.text = text_at(body, "config", "the body");
  const auto drop_ins = body.find("drop_ins");
  if (drop_ins == body.end() || !drop_ins->is_array())
    throw HttpError(400, R"(the body needs the key "drop_ins" with an array)");
  for (const config::Json& one : *drop_ins) {
    take_only(one, {"name", "text"}, "a drop-in");
    sources.drop_ins.push_back({text_at(one, "name", "a drop-in"), text_at(one, "text", "a drop-in")});
  }
}

// The config that a request brings: a text, or with drop_ins=true an object with several.
config::Sources sources_in(const HttpRequest& request) {
  const auto name = request.query.find("name");
  config::Sources sources;
  sources.file.name = name == request.query.end() ? "the config" : name->second;
  if (is_set(request, "drop_ins"))
    take_files(object_from(request.body), sources);
  else
    sources.file.text = request.body;
  return sources;
}

json saved_view(const SavedFiles& saved) {
  return {{"file", saved.file}, {"files", saved.files}, {"left", saved.left}, {"not_given", saved.not_given}};
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

HttpResponse answer(const UpgradePlan& plan) {
  if (plan.obstacles.empty()) return answer(json{{"version", plan.version}, {"notes", plan.notes}});
  const json refusal = {{"error", "refused, the daemon goes on serving: the upgrade cannot be made"},
                        {"reasons", plan.obstacles}};
  return answer(refusal, 409);
}

// The client has its answer before the daemon goes; one that does not wait for it changes nothing.
HttpResponse answer_and_hand_over(AdminActions& actions, const UpgradePlan& plan) {
  HttpResponse response = answer(plan);
  if (plan.obstacles.empty()) response.after = [&actions] { actions.hand_over(); };
  return response;
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
    add_events();
    add_replacement();
    add_changes();
    add_port_changes();
    add_subsystem_changes();
    add_namespace_changes();
    add_storage_changes();
    add_host_changes();
    add_operations();
    add_proof();
    add_upgrade();
    return std::move(routes_);
  }

 private:
  static std::string etag_of(AdminActions& actions) { return '"' + actions.version() + '"'; }

  static std::string unquoted(const std::string& etag) {
    const bool is_quoted = etag.size() >= 2 && etag.front() == '"' && etag.back() == '"';
    return is_quoted ? etag.substr(1, etag.size() - 2) : etag;
  }

  // The only version of the running config that the request may change; none: any.
  static std::optional<std::string> version_in(const HttpRequest& request) {
    if (!request.if_match || *request.if_match == "*") return std::nullopt;
    return unquoted(*request.if_match);
  }

  void view(const std::string& path, View what) {
    routes_.add("GET", path, [&actions = actions_, what](const HttpRequest&) { return answer((actions.*what)()); });
  }

  void edit(const std::string& method, const std::string& path, EditOf edit_of) {
    const bool takes_body = method == "POST" || method == "PATCH";
    HttpTakes takes{.body = takes_body ? HttpTakes::Body::Object : HttpTakes::Body::Nothing, .if_match = true};
    routes_.add_waiting(method, path, std::move(takes), [&actions = actions_, edit_of](HttpRequest request) -> Task {
      const AdminActions::Edit change = [&](config::Json& document) {
        edit_of(document, request.parameters, request.json);
      };
      try {
        const ConfigChange changed = co_await actions.change(change, version_in(request));
        HttpResponse response = answer(changed);
        response.etag = etag_of(actions);
        co_return response;
      } catch (const config::EditError& error) {
        throw HttpError(status_of(error.kind()), error.what());
      } catch (const Refused& refusal) {
        throw HttpError(412, refusal.what());
      }
    });
  }

  void add_views() {
    view("/v1/status", &AdminActions::status);
    view("/v1/subsystems", &AdminActions::subsystems);
    view("/v1/namespaces", &AdminActions::namespaces);
    view("/v1/connections", &AdminActions::connections);
    view("/v1/p2p", &AdminActions::p2p);
    routes_.add_waiting("GET", "/v1/stats", [&actions = actions_](HttpRequest) -> Task {
      const json stats = co_await actions.stats();
      co_return answer(stats);
    });
    view("/v1/ana", &AdminActions::ana);
    view("/v1/reservations", &AdminActions::reservations);
    view("/v1/write-protection", &AdminActions::write_protection);
    routes_.add("GET", "/v1/config", [&actions = actions_](const HttpRequest&) {
      HttpResponse config = answer(actions.running_config());
      config.etag = etag_of(actions);
      return config;
    });
  }

  void add_events() {
    routes_.add("GET", "/v1/events", {.query = {"past"}}, [&stream = actions_.events()](const HttpRequest& request) {
      const auto reader =
          std::make_shared<EventStream::Reader>(stream.reader(request.last_event_id, is_set(request, "past")));
      return HttpResponse{.content_type = "text/event-stream",
                          .body = ": events of nvmf-p2p\n\n",
                          .more = [&stream, reader] { return stream.next(*reader); }};
    });
  }

  void add_replacement() {
    const HttpTakes takes{.query = {"name", "drop_ins"}, .body = HttpTakes::Body::Text, .if_match = true};
    routes_.add_waiting("PUT", "/v1/config", takes, [&actions = actions_](HttpRequest request) -> Task {
      config::Sources sources = sources_in(request);
      try {
        const ConfigChange changed = co_await actions.replace(std::move(sources), version_in(request));
        HttpResponse response = answer(changed);
        response.etag = etag_of(actions);
        co_return response;
      } catch (const Refused& refusal) {
        throw HttpError(412, refusal.what());
      }
    });
  }

  void add_changes() {
    edit("PATCH", "/v1/config",
         [](config::Json& document, const Parameters&, const config::Json& body) { config::set(document, body); });
    routes_.add_waiting("POST", "/v1/reload", {.query = {"force"}}, [&actions = actions_](HttpRequest request) -> Task {
      const ConfigChange changed = co_await actions.reload(is_set(request, "force"));
      co_return answer(changed);
    });
    const HttpTakes takes{.query = {"name", "drop_ins"}, .body = HttpTakes::Body::Text};
    routes_.add("POST", "/v1/diff", takes, [&actions = actions_](const HttpRequest& request) {
      return answer(actions.compare(sources_in(request)));
    });
    routes_.add_waiting("POST", "/v1/save", {.query = {"force"}}, [&actions = actions_](HttpRequest request) -> Task {
      try {
        const SavedFiles saved = co_await actions.save(is_set(request, "force"));
        co_return answer(saved_view(saved));
      } catch (const Refused& refusal) {
        throw HttpError(409, refusal.what());
      }
    });
    edit("PUT", "/v1/log-level/{level}", [](config::Json& document, const Parameters& parameters, const config::Json&) {
      document["log_level"] = parameters.at("level");
    });
  }

  void add_port_changes() {
    edit("POST", "/v1/ports",
         [](config::Json& document, const Parameters&, const config::Json& body) { config::add_port(document, body); });
    edit("PATCH", "/v1/ports/{id}", [](config::Json& document, const Parameters& parameters, const config::Json& body) {
      config::Json& port = config::find_port(document, port_id_of(parameters));
      keep("id", port, body, "port");
      config::set(port, body);
    });
    edit("DELETE", "/v1/ports/{id}", [](config::Json& document, const Parameters& parameters, const config::Json&) {
      config::remove_port(document, port_id_of(parameters));
    });
  }

  void add_subsystem_changes() {
    edit("POST", "/v1/subsystems", [](config::Json& document, const Parameters&, const config::Json& body) {
      config::add_subsystem(document, body);
    });
    edit("PATCH", "/v1/subsystems/{nqn}",
         [](config::Json& document, const Parameters& parameters, const config::Json& body) {
           config::Json& subsystem = config::find_subsystem(document, parameters.at("nqn"));
           keep("nqn", subsystem, body, "subsystem");
           config::set(subsystem, body);
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
           const uint32_t nsid = nsid_of(parameters);
           config::Json& space = config::find_namespace(document, parameters.at("nqn"), nsid);
           keep("nsid", space, body, "namespace");
           config::set(space, body);
         });
    edit("DELETE", "/v1/subsystems/{nqn}/namespaces/{nsid}",
         [](config::Json& document, const Parameters& parameters, const config::Json&) {
           config::remove_namespace(document, parameters.at("nqn"), nsid_of(parameters));
         });
  }

  // A change of a namespace that the config does not know.
  using NamespaceAction = Change (*)(AdminActions& actions, const HttpRequest& request, uint32_t nsid);
  void on_namespace(const std::string& method, const std::string& what, HttpTakes takes, NamespaceAction action) {
    routes_.add_waiting(method, "/v1/subsystems/{nqn}/namespaces/{nsid}/" + what, std::move(takes),
                        [&actions = actions_, action](HttpRequest request) -> Task {
                          const uint32_t nsid = nsid_of(request.parameters);
                          try {
                            const ConfigChange changed = co_await action(actions, request, nsid);
                            co_return answer(changed);
                          } catch (const config::EditError& error) {
                            throw HttpError(status_of(error.kind()), error.what());
                          } catch (const Refused& refusal) {
                            throw HttpError(409, refusal.what());
                          }
                        });
  }

  void add_storage_changes() {
    on_namespace("POST", "accept", {}, [](AdminActions& actions, const HttpRequest& request, uint32_t nsid) {
      return actions.accept(request.parameters.at("nqn"), nsid);
    });
    on_namespace("DELETE", "reservation", {.query = {"force"}},
                 [](AdminActions& actions, const HttpRequest& request, uint32_t nsid) {
                   return actions.clear_reservation(request.parameters.at("nqn"), nsid, is_set(request, "force"));
                 });
    on_namespace("DELETE", "write-protection", {},
                 [](AdminActions& actions, const HttpRequest& request, uint32_t nsid) {
                   return actions.clear_write_protection(request.parameters.at("nqn"), nsid);
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
    const HttpTakes takes{.body = HttpTakes::Body::Object, .keys = {"subsystem", "group", "port", "state"}};
    routes_.add("POST", "/v1/ana", takes, [&actions = actions_](const HttpRequest& request) {
      try {
        actions.set_ana(request.json);
      } catch (const config::EditError& error) {
        throw HttpError(status_of(error.kind()), error.what());
      } catch (const std::exception& error) {
        throw HttpError(400, error.what());
      }
      return HttpResponse{.status = 204};
    });
    drain_or_resume("/v1/drain", &AdminActions::drain);
    drain_or_resume("/v1/resume", &AdminActions::resume);
    const auto disconnect = [&actions = actions_](const HttpRequest& request) {
      const auto hostnqn = request.parameters.find("hostnqn");
      const std::string host = hostnqn != request.parameters.end() ? hostnqn->second : "";
      const size_t controllers = actions.disconnect(host);
      if (controllers == 0)
        throw HttpError(404, host.empty() ? "no host without NQN is connected" : "host " + host + " is not connected");
      return answer(json{{"controllers", controllers}});
    };
    routes_.add("POST", "/v1/hosts/{hostnqn}/disconnect", disconnect);
    routes_.add("POST", "/v1/hosts//disconnect", disconnect);  // hosts that send an empty NQN
  }

  void add_proof() {
    const HttpTakes takes{.query = {"ssd", "all"}};
    routes_.add_waiting("POST", "/v1/p2p/prove", takes, [&actions = actions_](HttpRequest request) -> Task {
      const auto ssd = request.query.find("ssd");
      const std::string named = ssd == request.query.end() ? "" : ssd->second;
      if (named.empty() != is_set(request, "all"))
        throw HttpError(400, R"(give either "ssd" with the PCI address of an SSD, or "all=true" for all SSDs)");
      try {
        const json result = co_await actions.prove(named);
        co_return answer(result);
      } catch (const config::EditError& error) {
        throw HttpError(status_of(error.kind()), error.what());
      } catch (const Refused& refusal) {
        throw HttpError(409, refusal.what());
      }
    });
  }

  void add_upgrade() {
    routes_.add_waiting("POST", "/v1/upgrade", {.query = {"force"}},
                        [&actions = actions_](HttpRequest request) -> Task {
                          const UpgradePlan plan = co_await actions.prepare_upgrade(is_set(request, "force"));
                          co_return answer_and_hand_over(actions, plan);
                        });
  }

  // The port that the query names; none: all ports, which the query must say.
  static std::optional<uint16_t> ports_of(const HttpRequest& request) {
    const bool names_port = request.query.contains("port");
    if (names_port == is_set(request, "all"))
      throw HttpError(400, R"(give either "port" with the id of a port, or "all=true" for all ports)");
    if (!names_port) return std::nullopt;
    return number_at<uint16_t>(request.query, "port", config::kMostPortId);
  }

  void drain_or_resume(const std::string& path,
                       std::optional<std::vector<uint16_t>> (AdminActions::*action)(std::optional<uint16_t>)) {
    const HttpTakes takes{.query = {"port", "all"}};
    routes_.add("POST", path, takes, [&actions = actions_, action](const HttpRequest& request) {
      const std::optional<uint16_t> port = ports_of(request);
      const auto changed = (actions.*action)(port);
      if (!changed) throw HttpError(404, "there is no port " + std::to_string(port.value_or(0)));
      return answer(json{{"ports", *changed}});
    });
  }

  AdminActions& actions_;
  HttpRoutes routes_;
};

}  // namespace

HttpRoutes admin_routes(AdminActions& actions) { return Api(actions).routes(); }

}  // namespace nvmf::daemon
