// The admin API as clients use it, and as openapi.json describes it.
#include "target/daemon/admin_api.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <set>

#include "target/daemon/cli/client.h"
#include "tests/unit/daemon/fake_daemon.h"
#include "tests/unit/daemon/http_fixture.h"

namespace nvmf::daemon {
namespace {

using cli::percent_encoded;
using cli::Reply;

struct World {
  FakeDaemon daemon;
  Served served{admin_routes(daemon)};
  cli::Client client{served.path()};

  Reply ask(const std::string& method, const std::string& path, const std::string& body = "") const {
    return client.ask(method, path, body);
  }
};

const std::string kSubsystem = "/v1/subsystems/" + percent_encoded(FakeDaemon::kNqn);

std::vector<std::string> changes(const Reply& reply) {
  REQUIRE(reply.status == 200);
  return reply.body.at("changes").get<std::vector<std::string>>();
}

using Lines = std::vector<std::string>;

// "GET /v1/status", with the names of what the operation takes.
std::string signature(const std::string& operation, const std::vector<std::string>& query, bool has_body) {
  std::string text = operation;
  for (const std::string& name : query) text += " ?" + name;
  return text + (has_body ? " +body" : "");
}

std::vector<std::string> query_of(const nlohmann::json& operation) {
  std::vector<std::string> names;
  if (!operation.contains("parameters")) return names;
  for (const auto& parameter : operation.at("parameters"))
    if (parameter.at("in") == "query") names.push_back(parameter.at("name"));
  return names;
}

std::set<std::string> described() {
  const auto document = nlohmann::json::parse(std::ifstream(OPENAPI_FILE));
  std::set<std::string> operations;
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      operations.insert(
          signature(upper.append(" ").append(path), query_of(operation), operation.contains("requestBody")));
    }
  }
  return operations;
}

TEST_CASE("openapi.json has every operation that is served with what it takes, and no other") {
  FakeDaemon daemon;
  const HttpRoutes routes = admin_routes(daemon);
  std::set<std::string> served;
  for (const HttpRoutes::Route& route : routes.routes())
    served.insert(
        signature(route.method + " " + route.pattern, route.takes.query, route.takes.body != HttpTakes::Body::Nothing));
  CHECK((served == described()));
}

TEST_CASE("client looks: each view answers with JSON") {
  const World world;
  CHECK(world.ask("GET", "/v1/status").body.at("version") == "0.1.0");
  CHECK(world.ask("GET", "/v1/subsystems").body.at(0).at("nqn") == FakeDaemon::kNqn);
  CHECK(world.ask("GET", "/v1/namespaces").body.size() == 2);
  CHECK(world.ask("GET", "/v1/connections").body.at("hosts").size() == 1);
  CHECK(world.ask("GET", "/v1/p2p").body.contains("ssds"));
  CHECK(world.ask("GET", "/v1/stats").body.at("connections") == 3);
  CHECK(world.ask("GET", "/v1/ana").body.at(0).at("states").size() == 1);
  CHECK(world.ask("GET", "/v1/config").body.at("subsystems").at(0).at("namespaces").at(1).at("nsid") == 2);
}

TEST_CASE("client changes the config: each change is what a reload of an edited file would do") {
  const World world;
  CHECK((
      changes(world.ask("POST", "/v1/ports", R"({"id": 2, "address": "192.0.2.11"})")) ==
      Lines{"add port 2 (192.0.2.11, service 4420)", "change subsystem nqn.2026-01.io.example:disks/1: ports with 2"}));
  CHECK((changes(world.ask("PATCH", "/v1/ports/2", R"({"service": 4421})")) ==
         Lines{"remove port 2 (192.0.2.11, service 4420)", "add port 2 (192.0.2.11, service 4421)"}));
  CHECK((changes(world.ask("POST", kSubsystem + "/namespaces", R"({"memory": 4096})")) ==
         Lines{"add namespace 3 of nqn.2026-01.io.example:disks/1"}));
  CHECK((changes(world.ask("PATCH", kSubsystem + "/namespaces/3", R"({"max_iops": 10})")) ==
         Lines{"change namespace 3 of nqn.2026-01.io.example:disks/1: max_iops from 0 to 10"}));
  CHECK((changes(world.ask("PUT", kSubsystem + "/hosts/nqn.2026-01.io.example%3Ahost")) ==
         Lines{"change subsystem nqn.2026-01.io.example:disks/1: allowed_hosts with \"nqn.2026-01.io.example:host\""}));
  CHECK((changes(world.ask("PATCH", kSubsystem, R"({"max_controllers": 8})")) ==
         Lines{"change subsystem nqn.2026-01.io.example:disks/1: max_controllers from its default to 8"}));
  CHECK((changes(world.ask("PATCH", kSubsystem, R"({"max_controllers": null})")) ==
         Lines{"change subsystem nqn.2026-01.io.example:disks/1: max_controllers from 8 to its default"}));
  CHECK((changes(world.ask("PUT", "/v1/log-level/debug")) == Lines{"change log_level from \"info\" to \"debug\""}));
  CHECK(changes(world.ask("PUT", "/v1/log-level/debug")).empty());
  CHECK((changes(world.ask("DELETE", kSubsystem + "/hosts/nqn.2026-01.io.example%3Ahost")).size() == 1));
  CHECK((changes(world.ask("DELETE", "/v1/ports/2")).size() == 2));
  CHECK(world.daemon.unsaved.size() == 13);
}

TEST_CASE("a namespace is removed: the others keep their identifiers") {
  const World world;
  CHECK((changes(world.ask("DELETE", kSubsystem + "/namespaces/1")) ==
         Lines{"remove namespace 1 of nqn.2026-01.io.example:disks/1"}));
  CHECK((changes(world.ask("POST", kSubsystem + "/namespaces", R"({"memory": 4096})")) ==
         Lines{"add namespace 1 of nqn.2026-01.io.example:disks/1"}));
}

TEST_CASE("a subsystem comes and goes") {
  const World world;
  const std::string wanted = R"({"nqn": "nqn.2026-01.io.example:new", "allow_any_host": true})";
  CHECK((changes(world.ask("POST", "/v1/subsystems", wanted)) == Lines{"add subsystem nqn.2026-01.io.example:new"}));
  CHECK(world.ask("POST", "/v1/subsystems", wanted).status == 409);
  CHECK((changes(world.ask("DELETE", "/v1/subsystems/nqn.2026-01.io.example%3Anew")) ==
         Lines{"remove subsystem nqn.2026-01.io.example:new"}));
}

TEST_CASE("client asks for a change that cannot be: refused, and nothing changes") {
  World world;
  const config::Json before = world.daemon.running_config();
  const Reply mistaken = world.ask("PATCH", kSubsystem, R"({"max_controlers": 8})");
  CHECK(mistaken.status == 422);
  CHECK(mistaken.body.at("error") == "refused, nothing has changed: the config has mistakes");
  CHECK(mistaken.body.at("reasons").at(0).get<std::string>().ends_with(
      "$.subsystems[0].max_controlers: not a key of a subsystem; did you mean \"max_controllers\"?"));
  const Reply restart = world.ask("PATCH", "/v1/config", R"({"reactors": {"count": 2}})");
  CHECK(restart.status == 409);
  CHECK(restart.body.at("reasons").at(0) == "\"reactors\" takes effect only after a restart");
  CHECK(world.ask("POST", "/v1/ports", "no JSON").status == 400);
  CHECK(world.ask("POST", "/v1/ports", "[]").status == 400);
  CHECK(world.ask("POST", "/v1/ports", R"({"id": 1, "address": "192.0.2.12"})").status == 409);
  CHECK(world.ask("DELETE", "/v1/ports/9").status == 404);
  CHECK(world.ask("DELETE", "/v1/ports/first").status == 400);
  CHECK(world.ask("DELETE", kSubsystem + "/namespaces/9").status == 404);
  CHECK(world.ask("DELETE", kSubsystem + "/hosts/nobody").status == 404);
  CHECK(world.ask("PATCH", "/v1/subsystems/nqn.none", "{}").body.at("error") == "there is no subsystem nqn.none");
  CHECK(world.ask("PUT", "/v1/log-level/loud").status == 422);
  CHECK(world.ask("POST", kSubsystem + "/namespaces", R"({"memory": 4096, "nsid": "x"})").status == 400);
  CHECK((world.daemon.running_config() == before));
  CHECK(world.daemon.unsaved.empty());
}

TEST_CASE("client compares a config: what a reload would do is told, and nothing changes") {
  World world;
  const config::Json before = world.daemon.running_config();
  std::string text = FakeDaemon::kText;
  text.replace(text.find("192.0.2.10"), 10, "192.0.2.99");
  CHECK((changes(world.ask("POST", "/v1/diff", text)) ==
         Lines{"remove port 1 (192.0.2.10, service 4420)", "add port 1 (192.0.2.99, service 4420)"}));
  CHECK(changes(world.ask("POST", "/v1/reload")).empty());
  const Reply mistaken = world.ask("POST", "/v1/diff?name=new.json", "{");
  CHECK(mistaken.status == 422);
  CHECK(mistaken.body.at("reasons").at(0).get<std::string>().starts_with("new.json:1:"));
  CHECK((world.daemon.running_config() == before));
}

TEST_CASE("client replaces the whole config, only from the version that it has read") {
  const World world;
  std::string text = FakeDaemon::kText;
  text.replace(text.find("2MiB"), 4, "3MiB");
  CHECK(world.ask("PUT", "/v1/config?name=new.json", "{")
            .body.at("reasons")
            .at(0)
            .get<std::string>()
            .starts_with("new.json:1:"));
  const std::string wanted =
      "replace namespace 2 of nqn.2026-01.io.example:disks/1: memory from \"2 MiB\" to \"3 MiB\"";
  CHECK((changes(world.ask("PUT", "/v1/config", text)) == Lines{wanted}));
  CHECK(changes(world.ask("PUT", "/v1/config", text)).empty());
}

// The config of the fake daemon as two files: its subsystem is in the drop-in.
config::Json files() {
  const std::string text = FakeDaemon::kText;
  const size_t begin = text.find('[', text.find("\"subsystems\""));
  const std::string subsystems = text.substr(begin, text.rfind(']') + 1 - begin);
  config::Json drop_in = config::Json::object();
  drop_in["name"] = "conf.d/a.json";
  drop_in["text"] = "{\"subsystems\": " + subsystems + "}";
  config::Json body = config::Json::object();
  body["config"] = R"({"ports": [{ "id": 1, "address": "192.0.2.10" }], "subsystems": []})";
  body["drop_ins"] = config::Json::array({std::move(drop_in)});
  return body;
}

TEST_CASE("client compares and replaces a config with drop-ins: the same as one file, and mistakes name the drop-in") {
  const World world;
  const std::string diff = "/v1/diff?name=new.json&drop_ins=true";
  const std::string replace = "/v1/config?name=new.json&drop_ins=true";
  CHECK(changes(world.ask("POST", diff, files().dump())).empty());
  CHECK(changes(world.ask("PUT", replace, files().dump())).empty());
  config::Json wanted = files();
  std::string text = wanted["drop_ins"][0]["text"];
  wanted["drop_ins"][0]["text"] = text.replace(text.find("2MiB"), 4, "3MiB");
  CHECK(changes(world.ask("PUT", replace, wanted.dump())).size() == 1);
  wanted["drop_ins"][0]["text"] = "{";
  for (const Reply& mistaken : {world.ask("POST", diff, wanted.dump()), world.ask("PUT", replace, wanted.dump())}) {
    CHECK(mistaken.status == 422);
    CHECK(mistaken.body.at("reasons").dump().find("conf.d/a.json:1:") != std::string::npos);
  }
}

TEST_CASE("client's config with drop-ins is not of the form that they have: told what is wrong") {
  const World world;
  const auto refusal = [&](const std::string& body) {
    const Reply refused = world.ask("PUT", "/v1/config?drop_ins=true", body);
    CHECK(refused.status == 400);
    CHECK(world.ask("POST", "/v1/diff?drop_ins=true", body).status == 400);
    return refused.body.at("error").get<std::string>();
  };
  CHECK(refusal("[]") == "the body must be a JSON object");
  CHECK(refusal("{").starts_with("the body is not JSON: "));
  CHECK(refusal(R"({"drop_ins": []})") == R"(the body needs the key "config" with a string)");
  CHECK(refusal(R"({"config": 1, "drop_ins": []})") == R"(the body needs the key "config" with a string)");
  CHECK(refusal(R"({"config": "{}"})") == R"(the body needs the key "drop_ins" with an array)");
  CHECK(refusal(R"({"config": "{}", "drop_ins": [], "more": 1})") == R"(the body takes no key "more")");
  CHECK(refusal(R"({"config": "{}", "drop_ins": ["{}"]})") == "a drop-in must be a JSON object");
  CHECK(refusal(R"({"config": "{}", "drop_ins": [{"name": "a"}]})") ==
        R"(a drop-in needs the key "text" with a string)");
  CHECK(world.ask("PUT", "/v1/config?drop_ins=yes", "{}").body.at("error") ==
        R"("drop_ins" must be "true", but is "yes")");
}

TEST_CASE("client changes one thing of the version that it has read: another version is refused, and stays") {
  World world;
  const auto ask = [&](const std::string& what, const std::string& version) {
    using Local = boost::asio::local::stream_protocol;
    Local::iostream client(Local::endpoint(world.served.path()));
    client << what << " HTTP/1.0\r\nIf-Match: " << version << "\r\n\r\n" << std::flush;
    return std::string(std::istreambuf_iterator<char>(client), {});
  };
  const std::string read = '"' + world.daemon.version() + '"';
  const std::string changed = ask("PUT /v1/log-level/debug", read);
  CHECK(changed.find(" 200 ") != std::string::npos);
  CHECK(changed.find("ETag: \"" + world.daemon.version() + '"') != std::string::npos);
  CHECK(ask("PUT /v1/log-level/warn", read).find(" 412 ") != std::string::npos);
  CHECK(world.daemon.running_config().at("log_level") == "debug");
  CHECK(ask("POST /v1/save", read).find(" 400 ") != std::string::npos);
  CHECK(ask("PUT /v1/log-level/warn", "*").find(" 200 ") != std::string::npos);
}

TEST_CASE("client changes keys: what a port, a subsystem or a namespace is known by is not among them") {
  World world;
  const std::string space = kSubsystem + "/namespaces/1";
  const Reply renamed = world.ask("PATCH", space, R"({"nsid": 4})");
  CHECK(renamed.status == 400);
  CHECK(renamed.body.at("error").get<std::string>().find("remove the namespace, and add it with the other \"nsid\"") !=
        std::string::npos);
  CHECK(world.ask("PATCH", kSubsystem, R"({"nqn": "nqn.2026-01.io.example:other"})").status == 400);
  CHECK(world.ask("PATCH", "/v1/ports/1", R"({"id": null})").status == 400);
  CHECK(world.ask("PATCH", space, R"({"nsid": 1})").status == 200);
}

TEST_CASE("client saves: the names of the files are told, or why they could not be written") {
  World world;
  changes(world.ask("PUT", "/v1/log-level/debug"));
  world.daemon.saved.left = {"/etc/nvmf-p2p/conf.d/a.json"};
  const Reply saved = world.ask("POST", "/v1/save");
  CHECK(saved.body.at("file") == "/etc/nvmf-p2p/config.json");
  CHECK(saved.body.at("files").dump() == R"(["/etc/nvmf-p2p/config.json"])");
  CHECK(saved.body.at("left").dump() == R"(["/etc/nvmf-p2p/conf.d/a.json"])");
  CHECK(world.daemon.unsaved.empty());
  world.daemon.edited = true;
  CHECK(world.ask("POST", "/v1/save").status == 409);
  CHECK(world.ask("POST", "/v1/save?force=false").status == 400);
  CHECK(world.ask("POST", "/v1/save?force=true").status == 200);
  world.daemon.edited = false;
  world.daemon.may_save = false;
  const Reply refused = world.ask("POST", "/v1/save");
  CHECK(refused.status == 500);
  CHECK(refused.body.at("error") == "cannot open /etc/nvmf-p2p/config.json: Read-only file system");
}

TEST_CASE("client operates: ports, hosts and ANA states that there are") {
  World world;
  CHECK(world.ask("POST", "/v1/drain?port=1").body.at("ports").dump() == "[1]");
  CHECK(world.daemon.done == "drain 1");
  CHECK(world.ask("POST", "/v1/drain?port=1").body.at("ports").empty());
  CHECK(world.ask("POST", "/v1/resume?all=true").body.at("ports").dump() == "[1]");
  CHECK(world.daemon.done == "resume all");
  CHECK(world.ask("POST", "/v1/drain?port=2").status == 404);
  CHECK(world.ask("POST", "/v1/drain?port=65537").status == 400);
  CHECK(world.ask("POST", "/v1/hosts/" + percent_encoded(FakeDaemon::kHost) + "/disconnect").body.at("controllers") ==
        2);
  CHECK(world.ask("POST", "/v1/hosts/nobody/disconnect").status == 404);
  CHECK(world.ask("POST", "/v1/hosts//disconnect").body.at("error") == "no host without NQN is connected");
  world.daemon.has_host_without_nqn = true;
  CHECK(world.ask("POST", "/v1/hosts//disconnect").body.at("controllers") == 1);
  const nlohmann::json wanted = {{"subsystem", FakeDaemon::kNqn}, {"group", 1}, {"port", 1}, {"state", "inaccessible"}};
  CHECK(world.ask("POST", "/v1/ana", wanted.dump()).status == 204);
  CHECK(world.daemon.done == "ana inaccessible");
  CHECK(world.ask("POST", "/v1/ana", "{}").status == 400);
  nlohmann::json elsewhere = wanted;
  elsewhere["subsystem"] = "nqn.none";
  CHECK(world.ask("POST", "/v1/ana", elsewhere.dump()).status == 404);
}

TEST_CASE("client asks for an upgrade: it begins when the client has the answer, or not at all") {
  World world;
  world.daemon.needs_force = {"namespace 1 is in memory"};
  const Reply refused = world.ask("POST", "/v1/upgrade");
  CHECK(refused.status == 409);
  CHECK(refused.body.at("reasons").dump() == R"(["namespace 1 is in memory"])");
  CHECK(refused.body.contains("error"));
  CHECK(world.daemon.done.empty());
  const Reply agreed = world.ask("POST", "/v1/upgrade?force=true");
  CHECK(agreed.status == 200);
  CHECK(agreed.body.at("version") == "0.2.0");
  CHECK(agreed.body.at("notes").size() == 1);
  CHECK(world.ask("POST", "/v1/upgrade?force=1").status == 400);  // answered after what followed the answer before
  CHECK(world.daemon.done == "hand over");
}

TEST_CASE("client has the self-test repeated: of one SSD or of all, never of none or of both") {
  World world;
  CHECK(world.ask("POST", "/v1/p2p/prove?ssd=0000%3A3b%3A00.0").body.at("ssds").size() == 1);
  CHECK(world.daemon.done == "prove 0000:3b:00.0");
  CHECK(world.ask("POST", "/v1/p2p/prove?all=true").body.contains("namespaces"));
  CHECK(world.daemon.done == "prove ");
  CHECK(world.ask("POST", "/v1/p2p/prove?ssd=0000%3A3c%3A00.0").status == 404);
  for (const char* query :
       {"", "?ssd=", "?all=false", "?ssd=0000%3A3b%3A00.0&all=true", "?ssd=&all=yes", "?rnic=mlx5_0"})
    CHECK(world.ask("POST", std::string("/v1/p2p/prove") + query).status == 400);
  world.daemon.is_shutting_down = true;
  const Reply late = world.ask("POST", "/v1/p2p/prove?all=true");
  CHECK(late.status == 409);
  CHECK(late.body.at("error") == "the daemon is shutting down");
}

TEST_CASE("client's slip never means everything: what a request does not take is refused, and nothing is done") {
  World world;
  for (const char* operation : {"/v1/drain", "/v1/resume"}) {
    for (const char* query : {"", "?", "?port=0", "?prot=1", "?port=", "?port=1&prot=2", "?port=1&port=1", "?all=false",
                              "?all", "?port=1&all=true", "?all=true&port=1", "?port=1x", "?port=-1"}) {
      CAPTURE(query);
      CHECK(world.ask("POST", std::string(operation) + query).status == 400);
    }
    CHECK(world.ask("POST", operation, R"({"port": 1})").status == 400);
  }
  CHECK(world.ask("POST", "/v1/drain?prot=1").body.at("error") ==
        R"(POST /v1/drain takes no parameter "prot"; it takes "port" and "all")");
  CHECK(world.ask("POST", "/v1/drain?all=true", "{}").body.at("error") == "POST /v1/drain takes no body");
  CHECK(world.ask("GET", "/v1/status?verbose=1").body.at("error") ==
        R"(GET /v1/status takes no parameter "verbose"; it takes none)");
  CHECK(world.ask("DELETE", kSubsystem, "{}").status == 400);
  CHECK(world.ask("POST", "/v1/reload", FakeDaemon::kText).status == 400);
  const std::string ana = R"({"subsystem": "nqn.2026-01.io.example:disks/1", "group": 1, "state": "change", )";
  CHECK(world.ask("POST", "/v1/ana", ana + R"("port": 1, "prot": 1})").body.at("error") ==
        R"(POST /v1/ana takes no key "prot"; it takes "subsystem", "group", "port" and "state")");
  CHECK(world.ask("POST", "/v1/ana", ana + R"("group": 2, "port": 1})").status == 400);
  CHECK(world.daemon.done.empty());
}

TEST_CASE("client sends JSON that is nested too deep: refused before it is built") {
  const World world;
  std::string deep;
  for (int level = 0; level < 100'000; ++level) deep += "{\"a\":";
  deep += "1" + std::string(100'000, '}');
  const Reply refused = world.ask("PATCH", "/v1/config", deep);
  CHECK(refused.status == 400);
  CHECK(refused.body.at("error") == "the body is nested deeper than 32 objects and arrays");
}

TEST_CASE("operator accepts the storage of a namespace that was refused, and of no other") {
  World world;
  const std::string namespaces = "/v1/subsystems/" + percent_encoded(FakeDaemon::kNqn) + "/namespaces/";
  CHECK(world.ask("POST", namespaces + "2/accept").body.at("changes").dump() ==
        R"(["accept the storage of namespace 2"])");
  CHECK(world.ask("POST", namespaces + "1/accept").status == 404);
  CHECK(world.ask("POST", namespaces + "x/accept").status == 400);
}

}  // namespace
}  // namespace nvmf::daemon
