// What a good config is read as, defaults included, and how several mistakes come back together.
#include "config/parse.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "config/names.h"
#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

Config good(const std::string& text) {
  const Result result = parse(text, "test.json");
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(to_string(diagnostic));
  REQUIRE(result.diagnostics.empty());
  REQUIRE(result.config.has_value());
  return *result.config;
}

Namespace good_namespace(const std::string& text) {
  return good(with_namespaces(text)).subsystems.at(0).namespaces.at(0);
}

constexpr std::string_view kFull = R"(// Everything said.
{
  "$schema": "./schema.json",
  "log_level": "debug",
  "admin": { "socket": "/run//nvmf-p2p/admin.sock", "owner": "root", "group": "disk", "mode": "0660" },
  "state_dir": "/srv/nvmf//p2p/", "shutdown_timeout_ms": 0,
  "reactors": { "cores": [2, 3, 1023], "poll_us": 0 },
  "rdma": { "in_capsule_data_bytes": 0, "max_queue_depth": 1024, "max_io_queues": 1, "mdts_bytes": 2097152,
            "dram_pool_mib": 4 },
  "limits": { "max_controllers": 1000000, "max_controllers_per_host": 1, "max_io_queues": 2,
              "max_new_controllers_per_s": 0 },
  /* The order of keys is free:
     subsystems may stand before the ports that they name. */
  "subsystems": [
    { "nqn": "nqn.2026-01.io.example:disk1", "serial": "S/N 1", "model": "Disk", "ports": [9], "allow_any_host": false,
      "allowed_hosts": ["nqn.2014-08.org.nvmexpress:uuid:2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21"],
      "max_controllers": 65519, "max_controllers_per_host": 2, "cntlid_min": 1, "cntlid_max": 65519,
      "admin_label": "Racks 1 & 2", "subsystem_reset": true, "permanent_write_protection": true, "ana": [{ "group": 128, "port": 9, "state": "persistent-loss" }],
      "namespaces": [
        { "nsid": 1024, "nvme": "/dev/ng0n1", "uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0A4C1E3F7B21",
          "nguid": "000102030405060708090a0b0c0d0e0f", "eui64": "0011223344556677", "p2p": "prefer",
          "visible_to": ["nqn.2014-08.org.nvmexpress:uuid:2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21"], "read_only": true,
          "p2p_when_dry": "wait", "p2p_provider": "0000:3B:00.0", "p2p_min_bytes": 2097152, "max_iops": 100000000,
          "max_mib_per_s": 1000000, "ana_group": 128 }
      ] }
  ],
  "ports": [
    { "id": 65535, "address": "fd00:0:0::1", "service": 65535, "dscp": 63 },
    { "id": 9, "address": "10.0.0.1" }
  ]
})";

TEST_CASE("every key is read") {
  const Config config = good(std::string(kFull));
  CHECK(config.file == "test.json");
  CHECK((config.log_level == LogLevel::debug));
  CHECK(config.admin.socket == "/run/nvmf-p2p/admin.sock");
  CHECK(config.admin.owner == "root");
  CHECK(config.admin.group == "disk");
  CHECK(config.admin.mode == 0660);
  CHECK(config.state_dir == "/srv/nvmf/p2p");
  CHECK(config.shutdown_timeout_ms == 0);
  CHECK(config.reactors.cores == std::vector<uint16_t>{2, 3, 1023});
  CHECK(config.reactors.count == 3);
  CHECK(config.reactors.poll_us == 0);
  CHECK(config.rdma.in_capsule_data_bytes == 0);
  CHECK(config.rdma.max_queue_depth == 1024);
  CHECK(config.rdma.max_io_queues == 1);
  CHECK(config.rdma.mdts_bytes == 2097152);
  CHECK(config.rdma.dram_pool_mib == 4);
  CHECK(config.limits.max_controllers == 1'000'000);
  CHECK(config.limits.max_controllers_per_host == 1);
  CHECK(config.limits.max_io_queues == 2);
  CHECK_FALSE(config.limits.max_io_queues_per_host.has_value());
  CHECK(config.limits.max_new_controllers_per_s == 0);
  CHECK(config.limits.max_new_controllers_per_s_per_host == 100);
  REQUIRE(config.ports.size() == 2);
  CHECK(config.ports[0].id == 65535);
  CHECK(config.ports[0].address == "fd00::1");
  CHECK((config.ports[0].family == AddressFamily::ipv6));
  CHECK(config.ports[0].service == 65535);
  CHECK(config.ports[0].dscp == 63);
  CHECK_FALSE(config.ports[1].dscp.has_value());
  CHECK((config.ports[1].family == AddressFamily::ipv4));
}

TEST_CASE("every key of a subsystem and its namespaces is read") {
  const Config config = good(std::string(kFull));
  REQUIRE(config.subsystems.size() == 1);
  const Subsystem& subsystem = config.subsystems[0];
  CHECK(subsystem.nqn == "nqn.2026-01.io.example:disk1");
  CHECK(subsystem.serial == "S/N 1");
  CHECK(subsystem.model == "Disk");
  CHECK(subsystem.ports == std::vector<uint16_t>{9});
  CHECK(subsystem.allowed_hosts.size() == 1);
  CHECK(!subsystem.allow_any_host);
  CHECK(subsystem.max_controllers == 65519);
  CHECK(subsystem.max_controllers_per_host == 2);
  CHECK(subsystem.cntlid_min == 1);
  CHECK(subsystem.cntlid_max == 65519);
  CHECK(subsystem.admin_label == "Racks 1 & 2");
  CHECK(subsystem.subsystem_reset);
  CHECK(subsystem.permanent_write_protection);
  REQUIRE(subsystem.ana.size() == 1);
  CHECK(subsystem.ana[0].group == 128);
  REQUIRE(subsystem.namespaces.size() == 1);
  const Namespace& ns = subsystem.namespaces[0];
  CHECK(ns.nsid == 1024);
  CHECK(std::get<NvmeBackend>(ns.backend).path == "/dev/ng0n1");
  CHECK((ns.uuid ==
         Uuid{0x2e, 0xc0, 0xa5, 0xa0, 0x5b, 0x1c, 0x4d, 0x0e, 0x9d, 0x5c, 0x0a, 0x4c, 0x1e, 0x3f, 0x7b, 0x21}));
  CHECK((ns.nguid == Nguid{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  CHECK((ns.eui64 == Eui64{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}));
  CHECK((ns.p2p == P2pMode::prefer));
  CHECK((ns.p2p_when_dry == P2pWhenDry::wait));
  CHECK(ns.p2p_provider == "0000:3b:00.0");
  CHECK(ns.p2p_min_bytes == 2097152);
  CHECK(ns.ana_group == 128);
  CHECK(ns.max_iops == 100'000'000);
  CHECK(ns.max_mib_per_s == 1'000'000);
}

TEST_CASE("elements know where they stand") {
  const Config config = good(std::string(kFull));
  CHECK((config.reactors.position == Position{7, 15}));
  CHECK((config.rdma.position == Position{8, 11}));
  CHECK((config.subsystems[0].position == Position{15, 5}));
  CHECK((config.subsystems[0].namespaces[0].position == Position{20, 9}));
  CHECK((config.subsystems[0].namespaces[0].backend_position == Position{20, 33}));
  CHECK((config.ports[1].position == Position{29, 5}));
  CHECK(location(config.file, config.ports[1].position) == "test.json:29:5");
}

TEST_CASE("what is left out has its default") {
  const Config config = good(with_top("\"reactors\": {}, \"rdma\": {}"));
  CHECK((config.log_level == LogLevel::info));
  CHECK(config.admin.socket == "/run/nvmf-p2p/admin.sock");
  CHECK(!config.admin.owner);
  CHECK(!config.admin.group);
  CHECK(config.admin.mode == 0600);
  CHECK(config.state_dir == "/var/lib/nvmf-p2p");
  CHECK(config.shutdown_timeout_ms == 30'000);
  CHECK(config.reactors.cores.empty());
  CHECK(config.reactors.count == 1);
  CHECK(config.reactors.poll_us == 50);
  CHECK(config.rdma.in_capsule_data_bytes == 4096);
  CHECK(config.rdma.max_queue_depth == 128);
  CHECK(config.rdma.max_io_queues == 64);
  CHECK(config.rdma.mdts_bytes == 1048576);
  CHECK(config.rdma.dram_pool_mib == 64);
  CHECK(config.ports.at(0).service == 4420);
  const Subsystem& subsystem = config.subsystems.at(0);
  CHECK(subsystem.serial == "E293C64B3133C7ED");
  CHECK(subsystem.model == "nvmf-p2p");
  CHECK(subsystem.ports == std::vector<uint16_t>{1});
  CHECK(!subsystem.max_controllers);
}

TEST_CASE("derived serial numbers differ") {
  const auto serial = [](const std::string& name) {
    return good(with_subsystems("{\"nqn\": \"nqn.2026-01.io.example:" + name +
                                "\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}"))
        .subsystems.at(0)
        .serial;
  };
  CHECK(serial("a") != serial("b"));
  CHECK(serial("a").size() == 16);
}

TEST_CASE("p2p is preferred for NVMe passthrough, and off elsewhere") {
  CHECK((good_namespace(R"({"nvme": "/dev/ng0n1"})").p2p == P2pMode::prefer));
  CHECK((good_namespace(R"({"nvme": "/dev/ng0n1"})").p2p_when_dry == P2pWhenDry::spill));
  CHECK((good_namespace(R"({"nvme": "/dev/ng0n1", "p2p": "off"})").p2p == P2pMode::off));
  CHECK((good_namespace(R"({"nvme": "/dev/ng0n1", "p2p": "require"})").p2p_when_dry == P2pWhenDry::wait));
  CHECK((good_namespace(R"({"block": "/dev/sdb"})").p2p == P2pMode::off));
  CHECK((good_namespace(R"({"block": "/dev/sdb", "p2p": "require"})").p2p == P2pMode::require));
  CHECK((good_namespace(R"({"file": "/srv/a.img"})").p2p == P2pMode::off));
  CHECK((good_namespace(R"({"file": "/srv/a.img", "p2p": "off"})").p2p == P2pMode::off));
  CHECK((good_namespace(R"({"nvme": "/dev/ng0n1", "p2p": "require", "p2p_min_bytes": 0})").p2p == P2pMode::require));
}

TEST_CASE("an SSD can be named by its serial number, and the namespace on it by its identifier") {
  const Namespace ns = good_namespace(R"({"nvme": {"serial": "S4EWNX0R"}})");
  CHECK((std::get<NvmeBackend>(ns.backend) == NvmeBackend{{}, "S4EWNX0R", 0}));
  CHECK((ns.p2p == P2pMode::prefer));
  const Namespace second = good_namespace(R"({"nvme": {"nsid": 2, "serial": "S4EWNX0R"}})");
  CHECK((std::get<NvmeBackend>(second.backend) == NvmeBackend{{}, "S4EWNX0R", 2}));
  CHECK_FALSE((ns.backend == second.backend));
}

TEST_CASE("each backend has its own options") {
  CHECK(std::get<BlockBackend>(good_namespace(R"({"block": "/dev/mapper/a"})").backend).path == "/dev/mapper/a");
  const auto file = std::get<FileBackend>(good_namespace(R"({"block_size": 4096, "file": "/dev/shm/a"})").backend);
  CHECK(file.path == "/dev/shm/a");
  CHECK(file.block_size_bytes == 4096);
  const auto memory = std::get<MemoryBackend>(good_namespace(R"({"memory": "64MiB"})").backend);
  CHECK(memory.size_bytes == 64U << 20U);
  CHECK(memory.block_size_bytes == 512);
  CHECK_FALSE(memory.zero_copy);
  CHECK(std::get<MemoryBackend>(good_namespace(R"({"memory": "64MiB", "zero_copy": true})").backend).zero_copy);
  const auto dax = std::get<DaxBackend>(good_namespace(R"({"dax": "/dev/dax1.0", "block_size": 4096})").backend);
  CHECK(dax.path == "/dev/dax1.0");
  CHECK(dax.block_size_bytes == 4096);
}

TEST_CASE("sizes are bytes or have a unit") {
  const auto size = [](const std::string& text) {
    return std::get<MemoryBackend>(good_namespace("{\"memory\": " + text + "}").backend).size_bytes;
  };
  CHECK(size("4096") == 4096);
  CHECK(size("\"1KiB\"") == 1024);
  CHECK(size("\"3 GiB\"") == uint64_t{3} << 30U);
  CHECK(size("\"1024TiB\"") == uint64_t{1} << 50U);
}

TEST_CASE("PCI addresses are read as sysfs spells them") {
  const auto provider = [](const std::string& address) {
    return *good_namespace("{\"nvme\": \"/dev/ng0n1\", \"p2p_provider\": \"" + address + "\"}").p2p_provider;
  };
  CHECK(provider("3b:1F.7") == "0000:3b:1f.7");
  CHECK(provider("10000:e1:00.0") == "10000:e1:00.0");
}

TEST_CASE("namespaces without nsid get the lowest that are free") {
  const Config config = good(with_namespaces(
      R"({"memory": 512}, {"memory": 512, "nsid": 1}, {"memory": 512, "nsid": 3}, {"memory": 512}, {"memory": 512})"));
  std::vector<uint32_t> nsids;
  for (const Namespace& ns : config.subsystems.at(0).namespaces) nsids.push_back(ns.nsid);
  CHECK(nsids == std::vector<uint32_t>{2, 1, 3, 4, 5});
}

TEST_CASE("two subsystems may have the same nsids and hosts") {
  const std::string rest =
      R"(, "allowed_hosts": ["nqn.2026-01.io.example:h"], "namespaces": [{"nsid": 1, "memory": 512}]})";
  CHECK(good(with_subsystems(R"({"nqn": "nqn.2026-01.io.example:a")" + rest +
                             R"(, {"nqn": "nqn.2026-01.io.example:b")" + rest))
            .subsystems.size() == 2);
}

TEST_CASE("a device may be in several subsystems, with the same identifiers") {
  const auto subsystem = [](const std::string& name, const std::string& namespaces) {
    return R"({"nqn": "nqn.2026-01.io.example:)" + name + R"(", "allow_any_host": true, "namespaces": [)" + namespaces +
           "]}";
  };
  const Config config = good(with_subsystems(
      subsystem("a", R"({"nvme": "/dev/ng0n1", "eui64": "0011223344556677"}, {"file": "/srv/a"}, {"memory": 512})") +
      ", " + subsystem("b", R"({"nvme": "/dev/ng0n1", "eui64": "0011223344556677"}, {"memory": 512})")));
  CHECK(config.subsystems[0].namespaces[0].eui64 == config.subsystems[1].namespaces[0].eui64);
}

TEST_CASE("a full subsystem has 1024 namespaces, and no more") {
  std::string namespaces = R"({"memory": 512})";
  for (int i = 1; i < 1024; ++i) namespaces += R"(, {"memory": 512})";
  CHECK(good(with_namespaces(namespaces)).subsystems.at(0).namespaces.back().nsid == 1024);
  const Result result = parse(with_namespaces(namespaces + R"(, {"memory": 512})"), "test.json");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(words_of(result.diagnostics[0]) == "$.subsystems[0].namespaces: 1025 elements; at most 1024 are possible");
}

TEST_CASE("all mistakes of a file come at once, in its order") {
  const Result result = parse(R"({
  "reactors": { "count": 0, "cuont": 2 },
  "subsystems": [
    { "nqn": "disk1", "ports": [7], "namespaces": [
      { "nsid": 1, "nvme": "/dev/nvme0n1" "p2p": "maybe" },
      { "nsid": 1, "file": "a.img", "p2p": "require" },
    ] }
  ],
  "ports": [ { "id": 1, "address": "10.0.0" } ]
})",
                              "test.json");
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : result.diagnostics) lines.push_back(to_string(diagnostic));
  CHECK(!result.config);
  CHECK(
      lines ==
      std::vector<std::string>{
          R"(test.json:2:26: error: $.reactors.count: 0 is out of range; write an integer from 1 to 256)",
          R"(test.json:2:29: error: $.reactors.cuont: not a key of reactors; did you mean "count"?)",
          R"(test.json:4:5: error: $.subsystems[0]: no host could connect; list hosts in "hosts" or "allowed_hosts", or write "allow_any_host": true)",
          R"(test.json:4:14: warning: $.subsystems[0].nqn: the name is no NQN: this does not begin with "nqn."; Linux hosts can connect to it all the same, others may refuse it; an NQN looks like nqn.2026-01.io.example:disk1)",
          R"(test.json:4:33: error: $.subsystems[0].ports[0]: there is no port 7; write 1)",
          R"(test.json:5:28: error: $.subsystems[0].namespaces[0].nvme: a block device, but "nvme" needs the generic character device; write "/dev/ng0n1", or "block": "/dev/nvme0n1")",
          R"(test.json:5:43: error: $.subsystems[0].namespaces[0]: no comma before this; write a comma between this and the value before it)",
          R"(test.json:5:50: error: $.subsystems[0].namespaces[0].p2p: "maybe" is not one of the choices; write "off", "prefer" or "require")",
          R"(test.json:6:17: error: $.subsystems[0].namespaces[1].nsid: the same nsid as $.subsystems[0].namespaces[0].nsid in line 5; give each its own)",
          R"(test.json:6:28: error: $.subsystems[0].namespaces[1].file: "a.img" is not absolute; start the path with /)",
          R"(test.json:6:44: error: $.subsystems[0].namespaces[1].p2p: the data of a file goes through the file system, which cannot move it to a CMB; write "off", or use "nvme" or "block")",
          R"(test.json:6:55: error: $.subsystems[0].namespaces: a comma after the last element of the array; remove it)",
          R"(test.json:9:36: error: $.ports[0].address: "10.0.0" is not an IPv4 or IPv6 address; write the address of an RDMA interface of this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all)"});
}

TEST_CASE("a port on all addresses, and the warning where another port has one of them for itself") {
  const auto with = [](const std::string& ports) {
    return parse(R"({"ports": [)" + ports + R"(], "subsystems": [{"nqn": "nqn.2026-01.io.example:a",
      "allow_any_host": true, "namespaces": [{"memory": 512}]}]})",
                 "test.json");
  };
  const Result all = with(R"({"id": 1, "address": "0.0.0.0"}, {"id": 2, "address": "0::0"})");
  CHECK(all.diagnostics.empty());
  REQUIRE(all.config.has_value());
  CHECK(all.config->ports[0].address == "0.0.0.0");
  CHECK(all.config->ports[1].address == "::");
  CHECK(all.config->ports[1].family == AddressFamily::ipv6);
  CHECK(with(R"({"id": 1, "address": "0.0.0.0"}, {"id": 2, "address": "192.0.2.1", "service": 4421},
               {"id": 3, "address": "2001:db8::1"})")
            .diagnostics.empty());

  const Result overlap = with(R"({"id": 1, "address": "0.0.0.0"}, {"id": 2, "address": "192.0.2.1"})");
  REQUIRE(overlap.diagnostics.size() == 1);
  CHECK(overlap.config.has_value());
  CHECK(
      to_string(overlap.diagnostics[0]) ==
      "test.json:1:33: warning: $.ports[0].address: port 2 has 192.0.2.1 for itself with service 4420, so port 1 does "
      "not listen on it; where that is not meant, remove port 2 or give it another \"service\"");
  CHECK_FALSE(with(R"({"id": 1, "address": "0.0.0.0"}, {"id": 2, "address": "0.0.0.0"})").config.has_value());
}

TEST_CASE("a port whose id cannot be read is not missed a second time") {
  const Result result = parse(R"({"ports": [{"id": "7", "address": "10.0.0.1"}], "subsystems": [
    {"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true, "ports": [7], "namespaces": [{"memory": 512}]}]})",
                              "test.json");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].path == "$.ports[0].id");
}

TEST_CASE("warnings and errors come together") {
  const Result result = parse(R"({"ports": [], "subsystems": 1})", "test.json");
  REQUIRE(result.diagnostics.size() == 2);
  CHECK((result.diagnostics[0].severity == Severity::warning));
  CHECK((result.diagnostics[1].severity == Severity::error));
  CHECK(!result.config);
}

TEST_CASE("hundreds of mistakes are cut short") {
  std::string keys;
  for (int i = 0; i < 500; ++i) keys += "\"unknown" + std::to_string(i) + "\": 0,\n";
  const Result result = parse(with_top(keys + "\"log_level\": \"info\""), "test.json");
  REQUIRE(result.diagnostics.size() == kMaxDiagnostics + 1);
  CHECK(to_string(result.diagnostics.back()) ==
        "test.json:205:1: error: 300 more mistakes follow; fix those above first");
  CHECK(!result.config);
}

TEST_CASE("a file beyond the bound is refused unread") {
  const Result result = parse(std::string(kMaxFileBytes + 1, ' '), "test.json");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(to_string(result.diagnostics[0]) == "test.json: error: the file is too long; at most 4 MiB are read");
}

TEST_CASE("files that cannot be read say why") {
  const std::string directory = std::filesystem::temp_directory_path().string();
  const Result is_directory = load(directory);
  REQUIRE(is_directory.diagnostics.size() == 1);
  CHECK(to_string(is_directory.diagnostics[0]) == directory + ": error: Is a directory; name a file in that directory");
  const std::string nowhere = directory + "/nvmf-p2p-no-such-file.json";
  const Result missing = load(nowhere);
  REQUIRE(missing.diagnostics.size() == 1);
  CHECK(to_string(missing.diagnostics[0]) ==
        nowhere + ": error: No such file or directory; check the name of the config file");
}

TEST_CASE("enumerations have the names of the file") {
  CHECK(to_string(LogLevel::warn) == "warn");
  CHECK(to_string(P2pMode::require) == "require");
  CHECK(to_string(P2pWhenDry::spill) == "spill");
}

}  // namespace
}  // namespace nvmf::config::test
