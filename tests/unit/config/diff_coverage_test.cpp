// No key of the config is forgotten by the difference: each one that schema.json knows is changed, and seen to differ.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "config/diff.h"
#include "config/parse.h"
#include "tests/unit/config/json_schema.h"

namespace nvmf::config::test {
namespace {

using Pointer = Json::json_pointer;

// Everything that a key may need besides itself is present: devices and memory, policies, two of what is referred to.
constexpr const char* kBase = R"({
  "admin": { "read_only_socket": "/run/watch.sock" }, "rdma": { "devices": [ { "name": "mlx5_0" } ] }, "limits": {}, "metrics": {},
  "reactors": { "poll_us": 7 },
  "discovery": { "referrals": [ { "address": "192.0.2.9" } ] },
  "ports": [ { "id": 11, "address": "192.0.2.1" }, { "id": 12, "address": "192.0.2.2" },
             { "id": 13, "address": "192.0.2.3" } ],
  "subsystems": [
    { "nqn": "nqn.2026-01.io.example:a", "allowed_hosts": [ "nqn.2026-01.io.example:h", "nqn.2026-01.io.example:other" ],
      "hosts": [ { "nqn": "nqn.2026-01.io.example:k", "key_file": "/keys/k" } ],
      "ports": [ 11, 12 ], "ana": [ { "group": 1, "port": 12, "state": "inaccessible" } ],
      "namespaces": [
        { "nsid": 7, "nvme": "/dev/ng0n1", "p2p": "prefer", "p2p_when_dry": "wait" },
        { "nsid": 8, "memory": "1MiB", "block_size": 4096, "p2p": "off", "p2p_when_dry": "wait" } ] } ] })";

// One of these is good for any key.
const Json kCandidates =
    Json::parse(R"([ true, 1, 2, 3, 11, 32, 512, 4096, 65536, "other", "debug", "sha384", "ffdhe3072", "json", "0640",
  "by_topology", "nqn.2026-01.io.example:other", "nqn.2026-01.io.example:third", "192.0.2.77", "/somewhere/else", "0000:05:00.0", "8MiB", "off", "spill", "change",
  "11112222-3333-4444-8555-666677778888", "11112222333344445555666677778888", "1111222233334444",
  [1], [12], ["nqn.2026-01.io.example:other"] ])");

// A namespace has one device only.
const std::vector<const char*> kDevices = {"nvme", "block", "file", "memory", "dax"};

struct Leaf {
  Pointer place;
  Json schema;
};

// The keys whose value is no further object: below arrays, in each of the base's elements.
void find_leaves(const Json& schema, const Json& base, const Pointer& place, std::vector<Leaf>& leaves) {
  if (schema.contains("properties")) {
    for (const auto& [key, member] : schema["properties"].items())
      if (key != "$schema") find_leaves(member, base, place / key, leaves);
  } else if (schema.value("type", "") == "array" && schema["items"].contains("properties")) {
    for (size_t i = 0; i < base.at(place).size(); ++i) find_leaves(schema["items"], base, place / i, leaves);
  } else {
    leaves.push_back({place, schema});
  }
  // One of its forms may be an array.
  for (const Json& form : schema.value("anyOf", Json::array()))
    if (form.value("type", "") == "array") find_leaves(form, base, place, leaves);
}

Json with(Json document, const Pointer& place, const Json& value) {
  Json& parent = document[place.parent_pointer()];
  if (std::ranges::find(kDevices, place.back()) != kDevices.end())
    for (const char* const device : kDevices) parent.erase(device);
  parent[place.back()] = value;
  return document;
}

std::vector<std::string> differences(const Config& running, const Config& wanted) {
  const Difference difference = diff(running, wanted);
  std::vector<std::string> lines = describe(difference);
  lines.insert(lines.end(), difference.needs_restart.begin(), difference.needs_restart.end());
  return lines;
}

// "/subsystems/0/namespaces/1/nsid" without the numbers.
std::string key_of(const Pointer& place) { return std::regex_replace(place.to_string(), std::regex("/[0-9]+"), "/*"); }

TEST_CASE("every key makes a difference") {
  std::ifstream file((std::filesystem::path(CONFIG_DIR) / "schema.json").string());
  const Json schema = Json::parse(file);
  const Json base = Json::parse(kBase);
  const Result running = parse(base.dump(), "running");
  REQUIRE(running.config.has_value());
  std::vector<Leaf> leaves;
  find_leaves(schema, base, Pointer(), leaves);

  std::set<std::string> keys;
  std::set<std::string> changed;
  for (const Leaf& leaf : leaves) {
    keys.insert(key_of(leaf.place));
    const Json before = base.contains(leaf.place) ? base.at(leaf.place) : leaf.schema.value("default", Json());
    for (const Json& value : kCandidates) {
      if (value == before || !satisfies(value, leaf.schema)) continue;
      const std::string text = with(base, leaf.place, value).dump();
      const Result wanted = parse(text, "wanted");
      if (!wanted.config) continue;
      changed.insert(key_of(leaf.place));
      CAPTURE(text);
      CHECK_MESSAGE(!differences(*running.config, *wanted.config).empty(), "no difference: ", leaf.place.to_string());
      break;
    }
  }
  CHECK(keys.size() > 60);
  for (const std::string& key : keys) CHECK_MESSAGE(changed.contains(key), "no value was found to change ", key);
}

}  // namespace
}  // namespace nvmf::config::test
