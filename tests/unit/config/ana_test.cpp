// Asymmetric Namespace Access and the identifiers of controllers in a config.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

std::string subsystem(const std::string& members) {
  return with_subsystems(
      "{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}], " +
      members + "}");
}

std::string ana(const std::string& elements) { return subsystem("\"ana\": [" + elements + "]"); }

TEST_CASE("states of ANA groups, and the group of a namespace") {
  const Result result = parse(ana("{\"group\": 2, \"port\": 1, \"state\": \"non-optimized\"},"
                                  "{\"group\": 1, \"port\": 1, \"state\": \"change\"}"),
                              "test.json");
  REQUIRE(result.config);
  CHECK(result.diagnostics.empty());
  const Subsystem& read = result.config->subsystems.at(0);
  REQUIRE(read.ana.size() == 2);
  CHECK(read.ana[0].group == 2);
  CHECK(read.ana[0].port == 1);
  CHECK((read.ana[0].state == AnaState::non_optimized));
  CHECK((read.ana[1].state == AnaState::change));
  CHECK(read.namespaces.at(0).ana_group == 1);
  CHECK(read.cntlid_min == 1);
  CHECK(read.cntlid_max == 65519);
}

TEST_CASE("mistakes in ANA states") {
  const std::vector<Broken> mistakes = {
      {ana("{\"group\": ^0, \"port\": 1, \"state\": \"optimized\"}"),
       "$.subsystems[0].ana[0].group: 0 is out of range; write an integer from 1 to 128"},
      {ana("{\"group\": ^129, \"port\": 1, \"state\": \"optimized\"}"),
       "$.subsystems[0].ana[0].group: 129 is out of range; write an integer from 1 to 128"},
      {ana("{\"group\": 1, \"port\": ^2, \"state\": \"optimized\"}"),
       "$.subsystems[0].ana[0].port: the subsystem is not on port 2; name one of its ports"},
      {ana("{\"group\": 1, \"port\": 1, \"state\": ^\"optimised\"}"),
       "$.subsystems[0].ana[0].state: \"optimised\" is not one of the choices; did you mean \"optimized\"? write "
       "\"optimized\", \"non-optimized\", \"inaccessible\", \"persistent-loss\" or \"change\""},
      {ana("^{\"group\": 1, \"port\": 1}"), "$.subsystems[0].ana[0]: an ANA state without \"state\"; add it"},
      {ana("{\"group\": 1, \"port\": 1, \"state\": \"change\"},\n"
           "{\"group\": ^1, \"port\": 1, \"state\": \"optimized\"}"),
       "$.subsystems[0].ana[1].group: the same ANA group and port as $.subsystems[0].ana[0].group in line 3; give each "
       "its own"},
      {with_namespaces("{\"memory\": 512, \"ana_group\": ^129}"),
       "$.subsystems[0].namespaces[0].ana_group: 129 is out of range; write an integer from 1 to 128"},
  };
  for (const Broken& mistake : mistakes) check_only(mistake, Severity::error);
}

std::string by_topology(const std::string& namespaces) {
  return R"({"ports": [{"id": 1, "address": "10.0.0.1"}, {"id": 2, "address": "10.0.0.2"}],
             "subsystems": [{"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true, "ana": "by_topology",
                             "namespaces": [)" +
         namespaces + "]}]}";
}

TEST_CASE("states by topology: each namespace has an ANA group of its own") {
  const Result result = parse(by_topology(R"({"nvme": "/dev/ng0n1"}, {"nsid": 7, "memory": 512})"), "test.json");
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(to_string(diagnostic));
  REQUIRE(result.config);
  CHECK(result.diagnostics.empty());
  const Subsystem& read = result.config->subsystems.at(0);
  CHECK(read.ana_by_topology);
  CHECK(read.ana.empty());
  CHECK(read.namespaces.at(0).ana_group == 1);
  CHECK(read.namespaces.at(1).ana_group == 7);
}

TEST_CASE("states by topology: what contradicts them, and what makes them useless") {
  check_only({by_topology(R"({"nvme": "/dev/ng0n1"}, {"memory": 512, "ana_group": ^1})"),
              "$.subsystems[0].namespaces[1].ana_group: with \"ana\": \"by_topology\" each namespace has an ANA group "
              "of its own, its nsid; remove this key"},
             Severity::error);
  check_only(
      {by_topology(R"(^{"nvme": "/dev/ng0n1", "nsid": 129})"),
       "$.subsystems[0].namespaces[0]: with \"ana\": \"by_topology\" the nsid is the ANA group too, and 129 is too "
       "large for a group; write an \"nsid\" from 1 to 128"},
      Severity::error);
  check_only({subsystem("\"ana\": ^\"by-topology\""),
              "$.subsystems[0].ana: \"by-topology\" is not one of the choices; did you mean \"by_topology\"? write "
              "\"by_topology\""},
             Severity::error);
  check_only(
      {subsystem("\"ana\": ^\"by_topology\""),
       "$.subsystems[0].ana: the subsystem is on one port only, so hosts cannot prefer one; offer it on a port of "
       "another RNIC, too, or remove this key"},
      Severity::warning);
  const Result no_cmb = parse(by_topology(R"({"memory": 512})"), "test.json");
  REQUIRE(no_cmb.diagnostics.size() == 1);
  CHECK(no_cmb.config.has_value());
  CHECK(no_cmb.diagnostics[0].problem == "no namespace of the subsystem uses a CMB, so all ports are optimized");
}

TEST_CASE("mistakes in the range of controller identifiers") {
  check_only({subsystem("\"cntlid_min\": ^200, \"cntlid_max\": 100"),
              "$.subsystems[0].cntlid_min: \"cntlid_min\" is above \"cntlid_max\"; write the lower one first"},
             Severity::error);
  check_only({subsystem("\"cntlid_max\": ^65520"),
              "$.subsystems[0].cntlid_max: 65520 is out of range; write an integer from 1 to 65519"},
             Severity::error);
  check_only({subsystem("\"cntlid_min\": 100, \"cntlid_max\": 199, \"max_controllers\": ^101"),
              "$.subsystems[0].max_controllers: there are only 100 identifiers; make the range from \"cntlid_min\" to "
              "\"cntlid_max\" larger"},
             Severity::warning);
}

TEST_CASE("ports that could not be read: states on them are not called wrong") {
  check_only({subsystem("\"ports\": ^1, \"ana\": [{\"group\": 1, \"port\": 1, \"state\": \"change\"}]"),
              "$.subsystems[0].ports: a number where an array is expected; put it in [ ]"},
             Severity::error);
}

}  // namespace
}  // namespace nvmf::config::test
