// Changes of a config as JSON: what they make of it, and what they refuse.
#include "config/edit.h"

#include <doctest/doctest.h>

#include "config/parse.h"

namespace nvmf::config {
namespace {

constexpr char kNqn[] = "nqn.2026-01.io.example:a";
constexpr char kText[] = R"({
  /* a comment */
  "ports": [{ "id": 1, "address": "10.0.0.1" }],
  "subsystems": [{
    "nqn": "nqn.2026-01.io.example:a", "allow_any_host": true, // another
    "namespaces": [{ "memory": 512 }, { "memory": 512, "nsid": 1 }, { "memory": 512 }]
  }]
})";

Json document() {
  const Sources sources{.file = {"config.json", kText}};
  const Result result = parse(sources);
  REQUIRE(result.config.has_value());
  return editable(sources, *result.config);
}

std::vector<uint64_t> nsids(const Json& document) {
  std::vector<uint64_t> all;
  for (const Json& space : document.at("subsystems").at(0).at("namespaces")) all.push_back(space.at("nsid"));
  return all;
}

EditError::Kind refusal_of(void (*edit)(Json&)) {
  Json changed = document();
  try {
    edit(changed);
  } catch (const EditError& error) {
    CHECK((changed == document()));
    return error.kind();
  }
  FAIL("nothing was refused");
  return {};
}

TEST_CASE("what is to be edited: the same config, without comments, each namespace with its nsid") {
  const Json edited = document();
  CHECK(nsids(edited) == std::vector<uint64_t>{2, 1, 3});
  const Result again = parse(text_of(edited), "again");
  REQUIRE(again.config.has_value());
  CHECK(again.config->subsystems.at(0).namespaces.at(0).nsid == 2);
}

TEST_CASE("a namespace without nsid gets the lowest that is free; the others keep theirs") {
  Json edited = document();
  remove_namespace(edited, kNqn, 1);
  CHECK(nsids(edited) == std::vector<uint64_t>{2, 3});
  CHECK(add_namespace(edited, kNqn, {{"memory", 512}}) == 1);
  CHECK(add_namespace(edited, kNqn, {{"memory", 512}, {"nsid", 9U}}) == 9);
}

TEST_CASE("keys are set, and taken out by null") {
  Json edited = document();
  set(find_subsystem(edited, kNqn), {{"model", "m"}, {"allow_any_host", nullptr}});
  CHECK(edited.at("subsystems").at(0).at("model") == "m");
  CHECK_FALSE(edited.at("subsystems").at(0).contains("allow_any_host"));
}

TEST_CASE("a host is allowed once, however often it is asked for") {
  Json edited = document();
  allow_host(edited, kNqn, "nqn.host");
  allow_host(edited, kNqn, "nqn.host");
  CHECK(edited.at("subsystems").at(0).at("allowed_hosts") == Json{"nqn.host"});
  deny_host(edited, kNqn, "nqn.host");
  CHECK(edited.at("subsystems").at(0).at("allowed_hosts").empty());
  edited.at("subsystems").at(0)["hosts"] = Json::parse(
      R"([{"nqn": "nqn.a", "key_file": "/1"}, {"nqn": "nqn.b", "key_file": "/2"}, {"nqn": "nqn.a", "key_file": "/3"}])");
  deny_host(edited, kNqn, "nqn.a");
  CHECK(edited.at("subsystems").at(0).at("hosts").size() == 1);
  deny_host(edited, kNqn, "nqn.b");
  CHECK_FALSE(edited.at("subsystems").at(0).contains("hosts"));
}

TEST_CASE("what is not there, is there already, or is no object: refused, and nothing changes") {
  using Kind = EditError::Kind;
  CHECK((refusal_of([](Json& it) { remove_port(it, 2); }) == Kind::Absent));
  CHECK((refusal_of([](Json& it) { remove_subsystem(it, "nqn.none"); }) == Kind::Absent));
  CHECK((refusal_of([](Json& it) { find_namespace(it, kNqn, 4); }) == Kind::Absent));
  CHECK((refusal_of([](Json& it) { add_port(it, {{"id", 1}}); }) == Kind::Present));
  CHECK((refusal_of([](Json& it) { add_namespace(it, kNqn, {{"nsid", 3U}}); }) == Kind::Present));
  CHECK((refusal_of([](Json& it) { add_namespace(it, kNqn, {{"nsid", "3"}}); }) == Kind::Malformed));
  CHECK((refusal_of([](Json& it) { add_subsystem(it, Json::array()); }) == Kind::Malformed));
  CHECK((refusal_of([](Json& it) { set(it, 5); }) == Kind::Malformed));
}

}  // namespace
}  // namespace nvmf::config
