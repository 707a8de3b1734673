// The kernel's target as nvmetcli saves it: what is carried over, and what is said of the rest.
#include "config/import.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "config/names.h"
#include "tests/unit/config/import_support.h"

namespace nvmf::config::test {
namespace {

Result nvmetcli() { return import_nvmetcli(sample("import_nvmetcli_fuzz/two_ports.json"), "nvmet.json"); }

TEST_CASE("nvmetcli: ports, subsystems, hosts and namespaces are carried over") {
  const Config config = imported(nvmetcli());
  REQUIRE(config.ports.size() == 2);
  CHECK(config.ports[0].id == 3);  // 1 and 2 are in use
  CHECK(config.ports[0].address == "192.0.2.10");
  CHECK(config.ports[1].id == 1);
  CHECK(config.ports[1].address == "2001:db8::10");
  CHECK(config.rdma.in_capsule_data_bytes == 16384);
  REQUIRE(config.subsystems.size() == 3);
  CHECK(config.subsystems[2].nqn == "testnqn");
  const Subsystem& first = subsystem(config, "disk1");
  CHECK(first.serial == "0123456789abcdef0123");
  CHECK(first.model == "Linux");
  CHECK(first.ports == std::vector<uint16_t>{3, 1});
  CHECK(first.allowed_hosts.size() == 1);
  REQUIRE(first.hosts.size() == 1);
  CHECK(first.hosts[0].key_file ==
        "/etc/nvmf-p2p/keys/nqn.2014-08.org.nvmexpress:uuid:71e5b2a4-1f5c-4a0e-a8b5-7fd3c0f0a001.key");
  REQUIRE(first.namespaces.size() == 2);
  CHECK(std::get<BlockBackend>(first.namespaces[0].backend).path == "/dev/nvme0n1");
  CHECK(!first.namespaces[0].nguid);
  CHECK(first.namespaces[0].uuid->front() == 0xb7);
  CHECK(std::get<FileBackend>(first.namespaces[1].backend).block_size_bytes == 4096);
  CHECK(first.namespaces[1].nguid->front() == 0xef);
  const Subsystem& second = subsystem(config, "disk2");
  CHECK(second.allow_any_host);
  REQUIRE(second.namespaces.size() == 2);
  CHECK(second.namespaces[0].backend == subsystem(config, "disk1").namespaces[0].backend);
  CHECK(second.namespaces[1].nsid == 7);
}

TEST_CASE("nvmetcli: a device that is twice in one subsystem is carried over once") {
  const Result result = import_nvmetcli(R"({"hosts": [], "ports": [], "subsystems": [
    {"nqn": "nqn.2026-01.io.example:a", "attr": {"allow_any_host": "1"}, "allowed_hosts": [], "namespaces": [
      {"device": {"path": "/dev/nvme0n1"}, "enable": 1, "nsid": 1},
      {"device": {"path": "/dev/nvme0n1"}, "enable": 1, "nsid": 2}]}]})",
                                        "nvmet.json");
  REQUIRE(result.config.has_value());
  CHECK(subsystem(*result.config, "a").namespaces.size() == 1);
}

TEST_CASE("nvmetcli: states of ANA groups become those of subsystems that have them, referrals the target's") {
  const Config config = imported(nvmetcli());
  const Subsystem& first = subsystem(config, "disk1");
  REQUIRE(first.ana.size() == 1);
  CHECK(first.ana[0].group == 2);
  CHECK(first.ana[0].port == 3);
  CHECK((first.ana[0].state == AnaState::non_optimized));
  const Subsystem& second = subsystem(config, "disk2");
  REQUIRE(second.ana.size() == 1);
  CHECK((second.ana[0].state == AnaState::inaccessible));
  REQUIRE(config.discovery.referrals.size() == 1);
  CHECK(config.discovery.referrals[0].address == "192.0.2.99");
  CHECK(config.discovery.referrals[0].service == 8009);
  CHECK(config.discovery.referrals[0].port_id == 7);
}

TEST_CASE("nvmetcli: all that could not be carried over is named with its place and reason") {
  check_lines(
      said(nvmetcli()),
      {
          R"(nvmet.json:17:5: warning: $.ports[0]: port 0 becomes port 3, because ids begin with 1)",
          R"(nvmet.json:74:17: warning: $.ports[1].addr: not carried over: secure channels are not supported; keep other hosts off the network)",
          R"(nvmet.json:89:5: warning: $.ports[2]: not carried over: a port of transport "tcp"; only RDMA is served)",
          R"(nvmet.json:116:9: warning: $.subsystems[0].attr.qid_max: not carried over: the number of queues is the same for all subsystems; set "max_io_queues" of "rdma")",
          R"(nvmet.json:141:21: warning: $.subsystems[0].namespaces[1].device.path: the kernel uses the file system's block size for a file; this config assumes 4096; run blockdev --getss on a host of that target; if it prints another size, write that as "block_size")",
          R"(nvmet.json:147:9: warning: $.subsystems[0].namespaces[2]: not carried over: a namespace that is not enabled; enable it, and import again)",
          R"(nvmet.json:192:14: warning: $.subsystems[2].nqn: the name is no NQN: this does not begin with "nqn."; Linux hosts can connect to it all the same, others may refuse it; an NQN looks like nqn.2026-01.io.example:disk1)",
          R"(nvmet.json:194:5: warning: $.subsystems[3]: not carried over: a subsystem that no host may connect to; allow a host there, and import again)",
      });
}

// One port, one subsystem, one namespace, as nvmetcli writes them; `port` and `subsystem` are more members, and
// `address` those of the port's address.
std::string nvmet_of(const std::string& nqn, const std::string& address, const std::string& hosts = "",
                     const std::string& allowed = "") {
  return R"({"hosts": [)" + hosts + R"(], "ports": [{"portid": 1, "addr": {"trsvcid": "4420", )" + address +
         R"(}, "referrals": [], "subsystems": [")" + nqn + R"("]}], "subsystems": [{"nqn": ")" + nqn +
         R"(", "attr": {"allow_any_host": ")" + (allowed.empty() ? "1" : "0") + R"("}, "allowed_hosts": [)" + allowed +
         R"(], "namespaces": [{"nsid": 1, "enable": 1, "device": {"path": "/srv/a.img"}}]}]})";
}

constexpr const char* kRdma = R"("trtype": "rdma", "adrfam": "ipv4", "traddr": "192.0.2.10")";
constexpr const char* kHostWithKey = "nqn.2026-01.io.example:host";

TEST_CASE("nvmetcli: a subsystem keeps a name that is no NQN, because hosts ask for it by that name") {
  const ImportResult result = import_nvmetcli(nvmet_of("testnqn", kRdma), "nvmet.json");
  CHECK(result.left_out == 0);
  CHECK(is_said(result, "$.subsystems[0].nqn: the name is no NQN: this does not begin with \"nqn.\""));
  const Config config = imported(result);
  CHECK(config.subsystems.at(0).nqn == "testnqn");
  CHECK(config.subsystems.at(0).ports == std::vector<uint16_t>{1});
}

TEST_CASE("nvmetcli: a port on all addresses is carried over") {
  const ImportResult kernel = import_nvmetcli(
      nvmet_of("nqn.2026-01.io.example:a", R"("trtype": "rdma", "adrfam": "ipv4", "traddr": "0.0.0.0")"), "nvmet.json");
  CHECK(kernel.left_out == 0);
  CHECK(imported(kernel).ports.at(0).address == "0.0.0.0");
}

TEST_CASE("nvmetcli: a TCP port with TLS is named with what is lost; its subsystem is on no other port instead") {
  const ImportResult result = import_nvmetcli(
      nvmet_of("testnqn", R"("trtype": "tcp", "adrfam": "ipv6", "traddr": "::", "tsas": "tls1.3")"), "nvmet.json");
  CHECK(result.left_out == 1);
  CHECK(is_said(result, R"(not carried over: a port of transport "tcp", and its tls1.3)"));
  const Config config = imported(result);
  CHECK(config.ports.empty());
  CHECK(config.subsystems.at(0).ports.empty());
  CHECK(config.subsystems.at(0).namespaces.size() == 1);
}

TEST_CASE("nvmetcli: a host that must authenticate is not let in without, however its key is written") {
  const std::string nqn = R"("nqn": ")" + std::string(kHostWithKey) + '"';
  for (const char* key : {R"-("dhchap_key": "DHHC-1:00:x:", "dhchap_hash": "hmac(sha384)")-",
                          R"-("dhchap": {"key": "DHHC-1:00:x:", "hash": "hmac(sha384)", "dhgroup": "null"})-"}) {
    const ImportResult result =
        import_nvmetcli(nvmet_of("nqn.2026-01.io.example:a", kRdma, "{" + nqn + ", " + key + "}",
                                 '"' + std::string(kHostWithKey) + '"'),
                        "nvmet.json", "/keys");
    CHECK(result.left_out == 0);
    REQUIRE(result.keys.size() == 1);
    CHECK(result.keys[0].text == "DHHC-1:00:x:");
    const Config config = imported(result);
    CHECK(config.subsystems.at(0).allowed_hosts.empty());
    REQUIRE(config.subsystems[0].hosts.size() == 1);
    CHECK(config.subsystems[0].hosts[0].nqn == kHostWithKey);
    CHECK(config.subsystems[0].hosts[0].key_file == result.keys[0].path);
    CHECK((config.subsystems[0].hosts[0].dhchap_hash == DhchapHash::sha384));
  }
}

TEST_CASE("nvmetcli: a host whose key is no text is not imported as one without a key") {
  const ImportResult result =
      import_nvmetcli(nvmet_of("nqn.2026-01.io.example:a", kRdma,
                               R"({"nqn": "nqn.2026-01.io.example:host", "dhchap_key": ["DHHC-1:00:secret:"]},
                  {"nqn": "nqn.2026-01.io.example:open"})",
                               R"("nqn.2026-01.io.example:host", "nqn.2026-01.io.example:open")"),
                      "nvmet.json");
  CHECK(is_said(result, "a host whose key is not valid"));
  const Subsystem a = imported(result).subsystems.at(0);
  CHECK(a.allowed_hosts == std::vector<std::string>{"nqn.2026-01.io.example:open"});
  CHECK(a.hosts.empty());
}

TEST_CASE("nvmetcli: a key that is none, one of the subsystem alone, and one that no subsystem needs are told") {
  const std::string nqn = R"("nqn": ")" + std::string(kHostWithKey) + '"';
  const auto of_host = [&](const std::string& keys, bool is_listed) {
    return import_nvmetcli(
        nvmet_of("nqn.2026-01.io.example:a", kRdma, "{" + nqn + ", " + keys + "}",
                 is_listed ? '"' + std::string(kHostWithKey) + '"' : R"("nqn.2026-01.io.example:b")"),
        "nvmet.json", "/keys");
  };
  const ImportResult bad = of_host(R"("dhchap_key": "xx")", true);
  CHECK(is_said(bad, "a host whose key is not valid: it does not have the form DHHC-1:0N:...:"));
  CHECK(bad.left_out != 0);
  CHECK(bad.keys.empty());
  const ImportResult alone = of_host(R"("dhchap_ctrl_key": "DHHC-1:00:x:")", true);
  CHECK(is_said(alone, "a key of the subsystem for a host that has no key itself"));
  CHECK(alone.left_out == 1);
  const ImportResult unused = of_host(R"("dhchap_key": "DHHC-1:00:x:")", false);
  CHECK(is_said(unused, "which no subsystem that is imported lists"));
  CHECK(unused.left_out == 1);
}

TEST_CASE("nvmetcli: TLS of an RDMA port is told, not dropped") {
  const ImportResult result = import_nvmetcli(
      nvmet_of("nqn.2026-01.io.example:a", R"("trtype": "rdma", "traddr": "192.0.2.1", "tsas": "tls1.3")"),
      "nvmet.json");
  CHECK(is_said(result, "\"tls1.3\" is not supported"));
  CHECK(result.left_out == 1);
}

TEST_CASE("nvmetcli: a host's keys, hash and group are carried over, and the keys are for files of their own") {
  std::string text = sample("import_nvmetcli_fuzz/two_ports.json");
  const auto replace = [&text](const std::string& from, const std::string& to) {
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  };
  replace("\"ctrl_key\": \"\"", "\"ctrl_key\": \"DHHC-1:00:other:\"");
  replace("\"dhgroup\": \"null\"", "\"dhgroup\": \"ffdhe3072\"");
  const Config with_usual_hash = imported(import_nvmetcli(text, "nvmet.json", "/keys"));
  CHECK((subsystem(with_usual_hash, "disk1").hosts.at(0).dhchap_hash == DhchapHash::sha256));
  replace("hmac(sha256)", "hmac(sha512)");
  const ImportResult result = import_nvmetcli(text, "nvmet.json", "/keys");
  const Config config = imported(result);
  const Host& host = subsystem(config, "disk1").hosts.at(0);
  CHECK((host.dhchap_hash == DhchapHash::sha512));
  CHECK((host.dhchap_group == DhGroup::ffdhe3072));
  REQUIRE(result.keys.size() == 2);
  CHECK(result.keys[0].path == host.key_file);
  CHECK(result.keys[0].text.starts_with("DHHC-1:00:Jc/My1o0"));
  CHECK(result.keys[1].path == host.controller_key_file);
  CHECK(result.keys[1].text == "DHHC-1:00:other:");
  for (const Subsystem& one : config.subsystems)
    CHECK(std::ranges::find(one.allowed_hosts, host.nqn) == one.allowed_hosts.end());
}

}  // namespace
}  // namespace nvmf::config::test
