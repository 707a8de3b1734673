// What is written is read as the same config again.
#include "config/write.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "config/diff.h"
#include "config/schema.h"
#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

using Json = nlohmann::ordered_json;

Config good(const std::string& text) {
  const Result result = parse(text, "test.json");
  REQUIRE(result.config.has_value());
  return *result.config;
}

// Every key of the schema but "$schema", each with another value than its default, in the order of the tables.
constexpr std::string_view kEveryKey = R"({
  "log_level": "warn", "log_format": "json",
  "admin": { "socket": "/run/admin.sock", "owner": "root", "group": "storage", "mode": "0660",
             "read_only_socket": "/run/watch.sock", "read_only_group": "watchers", "read_only_mode": "0666" },
  "state_dir": "/srv/state", "shutdown_timeout_ms": 1,
  "reactors": { "count": 2, "poll_us": 7 },
  "rdma": { "in_capsule_data_bytes": 8192, "max_queue_depth": 64, "max_io_queues": 8, "mdts_bytes": 131072,
            "dram_pool_mib": 32, "devices": [{ "name": "mlx5_0", "remote_invalidate": "off", "iwarp": true }] },
  "limits": { "max_controllers": 9, "max_controllers_per_host": 8, "max_io_queues": 7, "max_io_queues_per_host": 6,
              "max_new_controllers_per_s": 5, "max_new_controllers_per_s_per_host": 4 },
  "discovery": { "nqn": "nqn.2026-01.io.example:discovery", "mdns": true, "require_authentication": true,
                 "referrals": [{ "address": "10.0.0.9", "service": 8009, "port_id": 3 }] },
  "metrics": { "address": "0.0.0.0", "port": 9100 },
  "ports": [{ "id": 1, "address": "10.0.0.1", "service": 4421, "dscp": 26 }, { "id": 2, "address": "fd00::1" }],
  "subsystems": [
    { "nqn": "nqn.2026-01.io.example:a", "serial": "S1", "model": "M", "ports": [2],
      "allowed_hosts": ["nqn.2026-01.io.example:host"],
      "hosts": [{ "nqn": "nqn.2026-01.io.example:keyed", "key_file": "/etc/nvmf-p2p/keyed.key",
                  "controller_key_file": "keyed.controller", "dhchap_hash": "sha384", "dhchap_group": "null" },
                { "nqn": "nqn.2026-01.io.example:other", "key_file": "other" }], "max_controllers": 5, "max_controllers_per_host": 4,
      "cntlid_min": 10, "cntlid_max": 20, "admin_label": "Archive", "subsystem_reset": true,
      "permanent_write_protection": true, "ana": [{ "group": 2, "port": 2, "state": "inaccessible" }],
      "namespaces": [
        { "nsid": 1, "nvme": "/dev/ng0n1", "uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21",
          "nguid": "000102030405060708090a0b0c0d0e0f", "eui64": "0011223344556677",
          "visible_to": ["nqn.2026-01.io.example:host"], "read_only": true, "p2p": "off", "ana_group": 2 },
        { "nsid": 2, "nvme": "/dev/ng1n1", "p2p_when_dry": "wait", "p2p_provider": "0000:3b:00.0",
          "p2p_min_bytes": 4096, "max_iops": 1000, "max_mib_per_s": 10 },
        { "nsid": 3, "block": "/dev/sdb", "p2p": "require", "p2p_when_dry": "wait" },
        { "nsid": 4, "file": "/srv/a.img", "block_size": 4096 },
        { "nsid": 5, "memory": "64 MiB", "zero_copy": true }, { "nsid": 6, "memory": 512 },
        { "nsid": 7, "nvme": { "serial": "S4EWNX0R" } }, { "nsid": 8, "nvme": { "serial": "S4EWNX0S", "nsid": 2 } },
        { "nsid": 9, "dax": "/dev/dax0.0", "block_size": 4096 }
      ] },
    { "nqn": "nqn.2026-01.io.example:b", "serial": "S2", "ports": [], "allow_any_host": true }
  ]
})";

TEST_CASE("a file that says every key comes back as it was") {
  const Json wanted = Json::parse(kEveryKey);
  const Json written = Json::parse(write(good(std::string(kEveryKey))));
  CHECK(written == wanted);
}

void collect_keys(const Json& value, std::set<std::string>& keys) {
  for (const auto& [key, member] : value.items()) {
    if (value.is_object()) keys.insert(key);
    if (member.is_structured()) collect_keys(member, keys);
  }
}

void collect_properties(const Json& schema, std::set<std::string>& keys) {
  if (schema.contains("items")) collect_properties(schema["items"], keys);
  if (schema.contains("anyOf"))
    for (const Json& one : schema["anyOf"]) collect_properties(one, keys);
  if (!schema.contains("properties")) return;
  for (const auto& [key, member] : schema["properties"].items()) {
    keys.insert(key);
    collect_properties(member, keys);
  }
}

TEST_CASE("the file above leaves no key out") {
  std::set<std::string> said = {"$schema", "cores"};
  std::set<std::string> known;
  collect_keys(Json::parse(kEveryKey), said);
  collect_properties(Json::parse(schema_text()), known);
  CHECK(said == known);
}

TEST_CASE("subsystems that are written as drop-ins come back as they were") {
  const Config whole = good(std::string(kEveryKey));
  REQUIRE(!whole.subsystems.empty());
  Config rest = whole;
  rest.subsystems.clear();
  Sources sources{.file = {"config.json", write(rest)}};
  for (const Subsystem& subsystem : whole.subsystems)
    sources.drop_ins.push_back({subsystem.nqn, write_drop_in(subsystem)});
  const Result again = parse(sources);
  REQUIRE(again.config.has_value());
  CHECK(write(*again.config) == write(whole));
}

TEST_CASE("ANA states by topology come back as they were") {
  const Config before = good(R"({
    "ports": [{ "id": 1, "address": "10.0.0.1" }, { "id": 2, "address": "10.0.0.2" }],
    "subsystems": [{ "nqn": "nqn.2026-01.io.example:a", "allow_any_host": true, "ana": "by_topology",
                     "namespaces": [{ "nvme": "/dev/ng0n1" }, { "nvme": "/dev/ng1n1" }] }]
  })");
  const std::string text = write(before);
  CHECK(Json::parse(text).at("subsystems").at(0).at("ana") == "by_topology");
  const Config after = good(text);
  CHECK(after.subsystems[0].ana_by_topology);
  CHECK(after.subsystems[0].namespaces.at(1).ana_group == 2);
  CHECK(describe(diff(before, after)).empty());
}

TEST_CASE("cores are written instead of their count") {
  const std::string text = write(good(with_top("\"reactors\": {\"cores\": [2, 3]}")));
  CHECK(text.find("\"reactors\": { \"cores\": [2, 3] }") != std::string::npos);
  CHECK(good(text).reactors.count == 2);
}

TEST_CASE("defaults are left out, and what was found out is kept") {
  const std::string text = write(good(with_namespaces(R"({"memory": 512}, {"nvme": "/dev/ng0n1"})")));
  CHECK(text == R"({
  "ports": [{ "id": 1, "address": "10.0.0.1" }],
  "subsystems": [
    {
      "nqn": "nqn.2026-01.io.example:a",
      "serial": "E293C64B3133C7ED",
      "ports": [1],
      "allow_any_host": true,
      "namespaces": [{ "nsid": 1, "memory": 512 }, { "nsid": 2, "nvme": "/dev/ng0n1" }]
    }
  ]
}
)");
}

TEST_CASE("names with quotes, and bytes that are no UTF-8, cannot break the file") {
  Config config = good(with_top("\"log_level\": \"info\""));
  config.subsystems[0].model = "a \"quoted\" \\ name";
  CHECK(good(write(config)).subsystems[0].model == config.subsystems[0].model);
  config.subsystems[0].namespaces[0].backend = FileBackend{"/srv/\xff.img"};
  CHECK(parse(write(config), "test.json").diagnostics.empty());
}

TEST_CASE("reading what was written changes nothing of what runs") {
  const Config before = good(std::string(kEveryKey));
  const Config after = good(write(before));
  const Difference difference = diff(before, after);
  CHECK(difference.needs_restart.empty());
  CHECK(describe(difference).empty());
}

}  // namespace
}  // namespace nvmf::config::test
