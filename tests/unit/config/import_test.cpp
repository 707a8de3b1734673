// Configs of other targets: what is carried over, and what is said of the rest.
#include "config/import.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/names.h"
#include "config/write.h"
#include "tests/unit/scratch.h"

namespace nvmf::config::test {
namespace {

namespace fs = std::filesystem;

std::string sample(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(fs::path(CORPUS_DIR) / name).rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

std::vector<std::string> said(const Result& result) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : result.diagnostics) lines.push_back(to_string(diagnostic));
  return lines;
}

Config imported(const Result& result) {
  REQUIRE(result.config.has_value());
  const Result again = parse(write(*result.config), "imported.json");
  REQUIRE(again.config.has_value());
  return *again.config;
}

Result nvmetcli() { return import_nvmetcli(sample("import_nvmetcli_fuzz/two_ports.json"), "nvmet.json"); }
Result spdk() { return import_spdk(sample("import_spdk_fuzz/save_config.json"), "spdk.json"); }

const Subsystem& subsystem(const Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.subsystems, "nqn.2026-01.io.example:" + name, &Subsystem::nqn);
  REQUIRE(found != config.subsystems.end());
  return *found;
}

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

// Says which line is missing or too many, where CHECK(a == b) of two vectors would not.
void check_lines(const std::vector<std::string>& lines, const std::vector<std::string>& wanted) {
  for (size_t i = 0; i < std::max(lines.size(), wanted.size()); ++i) {
    CAPTURE(i);
    CHECK((i < lines.size() ? lines[i] : "nothing more") == (i < wanted.size() ? wanted[i] : "nothing more"));
  }
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

TEST_CASE("SPDK: transport, subsystems, listeners and hosts are carried over") {
  const Config config = imported(spdk());
  CHECK(config.rdma.max_queue_depth == 1024);
  CHECK(config.rdma.max_io_queues == 127);
  CHECK(config.rdma.in_capsule_data_bytes == 8192);
  CHECK(config.rdma.mdts_bytes == 131072);
  REQUIRE(config.ports.size() == 2);
  CHECK(config.ports[1].address == "2001:db8::8");
  CHECK(config.ports[1].service == 4421);
  REQUIRE(config.subsystems.size() == 2);
  const Subsystem& first = subsystem(config, "cnode1");
  CHECK(first.serial == "SPDK00000000000001");
  CHECK(first.ports == std::vector<uint16_t>{1});
  CHECK(first.allowed_hosts.size() == 1);
  REQUIRE(first.hosts.size() == 1);
  CHECK(first.hosts[0].nqn == "nqn.2026-01.io.example:host2");
  CHECK(first.hosts[0].key_file == "/etc/spdk/host2.key");
  CHECK(!first.hosts[0].controller_key_file);
  CHECK(first.cntlid_max == 1000);
  REQUIRE(first.ana.size() == 1);
  CHECK((first.ana[0].state == AnaState::non_optimized));
  CHECK(subsystem(config, "cnode2").allow_any_host);
  REQUIRE(config.discovery.referrals.size() == 1);
  CHECK(config.discovery.referrals[0].service == 8009);
}

TEST_CASE("SPDK: block devices become backends, with their limits and the hosts that see them") {
  const Config config = imported(spdk());
  const Subsystem& first = subsystem(config, "cnode1");
  REQUIRE(first.namespaces.size() == 2);
  const Namespace& ssd = first.namespaces[0];
  CHECK(std::get<BlockBackend>(ssd.backend).path == "/dev/disk/by-path/pci-0000:3b:00.0-nvme-1");
  CHECK((ssd.p2p == P2pMode::prefer));
  CHECK(ssd.p2p_provider == "0000:3b:00.0");
  const Namespace& memory = first.namespaces[1];
  CHECK(std::get<MemoryBackend>(memory.backend).size_bytes == 64U << 20U);
  CHECK(memory.visible_to == std::vector<std::string>{"nqn.2026-01.io.example:host1"});
  CHECK(memory.ana_group == 2);
  CHECK(memory.max_iops == 20000);
  CHECK(memory.max_mib_per_s == 100);
  const Namespace& file = subsystem(config, "cnode2").namespaces.at(0);
  CHECK(std::get<FileBackend>(file.backend).block_size_bytes == 4096);
}

TEST_CASE("SPDK: all that could not be carried over is named with its place and reason") {
  check_lines(
      said(spdk()),
      {
          R"(spdk.json:10:54: warning: $.subsystems[2].config[1].params.traddr: this target needs the SSD to be bound to the kernel's nvme driver; when SPDK has ended: echo 0000:3b:00.0 > /sys/bus/pci/drivers_probe; then check that "block" names the right device)",
          R"(spdk.json:11:60: warning: $.subsystems[2].config[2].params: not carried over: SSDs of another machine, named "Remote0"; connect to them with nvme-cli, and serve the block devices)",
          R"(spdk.json:18:37: warning: $.subsystems[2].config[4].params.filename: this target serves the device's own block size, SPDK served "512"; run blockdev --getss /dev/sdb: if it prints another size, hosts cannot use the existing data)",
          R"(spdk.json:21:7: warning: $.subsystems[2].config[6]: not carried over: "bdev_lvol_create" has no counterpart in this target)",
          R"(spdk.json:23:99: warning: $.subsystems[2].config[7].params.r_mbytes_per_sec: not carried over: a limit for one direction only; "max_mib_per_s" limits reads and writes together)",
          R"(spdk.json:31:46: warning: $.subsystems[3].config[3].params.max_queue_depth: 2048 becomes 1024; this is the nearest possible value)",
          R"(spdk.json:35:54: warning: $.subsystems[3].config[4].params: not carried over: transport "TCP"; only RDMA is served)",
          R"(spdk.json:51:11: warning: $.subsystems[3].config[9].params.namespace.ptpl_file: not carried over: the reservations that SPDK keeps in a file; hosts must register again; then "state_dir" keeps the reservations)",
          R"(spdk.json:55:62: warning: $.subsystems[3].config[11].params.namespace: not carried over: a namespace whose block device "lvs0/lv0" does not exist; the device was not carried over, or it combines other devices)",
          R"(spdk.json:58:62: warning: $.subsystems[3].config[12].params.namespace: not carried over: a namespace that no host may see)",
          R"(spdk.json:63:60: warning: $.subsystems[3].config[14].params.listen_address: not carried over: a listener of transport "TCP"; only RDMA is served)",
          R"(spdk.json:83:5: warning: $.subsystems[4]: not carried over: SPDK's part "iscsi" has no counterpart in this target)",
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

bool is_said(const ImportResult& result, const std::string& what) {
  return std::ranges::any_of(said(result),
                             [&](const std::string& line) { return line.find(what) != std::string::npos; });
}

TEST_CASE("nvmetcli: a subsystem keeps a name that is no NQN, because hosts ask for it by that name") {
  const ImportResult result = import_nvmetcli(nvmet_of("testnqn", kRdma), "nvmet.json");
  CHECK(result.left_out == 0);
  CHECK(is_said(result, "$.subsystems[0].nqn: the name is no NQN: this does not begin with \"nqn.\""));
  const Config config = imported(result);
  CHECK(config.subsystems.at(0).nqn == "testnqn");
  CHECK(config.subsystems.at(0).ports == std::vector<uint16_t>{1});
}

TEST_CASE("a port on all addresses is carried over from the kernel's target and from SPDK") {
  const ImportResult kernel =
      import_nvmetcli(nvmet_of("nqn.2026-01.io.example:a",
                               R"("trtype": "rdma", "adrfam": "ipv4", "traddr": "0.0.0.0", "trsvcid": "4420")"),
                      "nvmet.json");
  CHECK(kernel.left_out == 0);
  CHECK(imported(kernel).ports.at(0).address == "0.0.0.0");
  const ImportResult spdk = import_spdk(R"({"subsystems": [{"subsystem": "nvmf", "config": [
    {"method": "nvmf_create_subsystem", "params": {"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true}},
    {"method": "nvmf_subsystem_add_listener", "params": {"nqn": "nqn.2026-01.io.example:a",
      "listen_address": {"trtype": "RDMA", "adrfam": "IPv6", "traddr": "::", "trsvcid": "4420"}}}]}]})",
                                        "spdk.json");
  CHECK(spdk.left_out == 0);
  CHECK(imported(spdk).ports.at(0).address == "::");
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

// The calls of SPDK's part «nvmf», and before them those of the part «bdev».
std::string spdk_of(const std::string& bdevs, const std::string& calls) {
  return R"({"subsystems": [{"subsystem": "bdev", "config": [)" + bdevs +
         R"(]}, {"subsystem": "nvmf", "config": [{"method": "nvmf_create_subsystem", "params": )"
         R"({"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true}}, )" +
         calls + "]}]}";
}

constexpr const char* kAddNamespace = R"({"method": "nvmf_subsystem_add_ns", "params":
  {"nqn": "nqn.2026-01.io.example:a", "namespace": {"nsid": 1, "bdev_name": "a0"}}})";

TEST_CASE("SPDK: a namespace without block device is named, and so is the subsystem that is empty without it") {
  const ImportResult result = import_spdk(spdk_of("", kAddNamespace), "spdk.json");
  CHECK(result.left_out == 2);
  CHECK(is_said(result, R"(a namespace whose block device "a0" does not exist)"));
  CHECK(is_said(result, R"(all namespaces of subsystem "nqn.2026-01.io.example:a"; hosts that connect find none)"));
  CHECK(import_spdk(spdk_of("", R"({"method": "nvmf_set_config"})"), "spdk.json").left_out == 0);
}

TEST_CASE("spdk: rules for authentication that are lost are told") {
  const ImportResult result = import_spdk(
      spdk_of("",
              R"({"method": "nvmf_set_config", "params": {"dhchap_digests": ["sha512"], "dhchap_dhgroups": null}})"),
      "spdk.json");
  CHECK(is_said(result, "params.dhchap_digests: not carried over: what hosts may authenticate with"));
  CHECK(result.left_out == 1);
}

TEST_CASE("nvmetcli: a host whose key is no text is not imported as one without a key") {
  const ImportResult result =
      import_nvmetcli(nvmet_of("nqn.2026-01.io.example:a", kRdma,
                               R"({"nqn": "nqn.2026-01.io.example:host", "dhchap_key": ["DHHC-1:00:secret:"]},
                  {"nqn": "nqn.2026-01.io.example:open"})",
                               R"("nqn.2026-01.io.example:host", "nqn.2026-01.io.example:open")"),
                      "nvmet.json");
  CHECK(is_said(result, "a host whose key is no text"));
  const Subsystem a = imported(result).subsystems.at(0);
  CHECK(a.allowed_hosts == std::vector<std::string>{"nqn.2026-01.io.example:open"});
  CHECK(a.hosts.empty());
}

TEST_CASE(
    "SPDK: what a device and a transport of another target say is carried over as far as there is a counterpart") {
  const ImportResult result = import_spdk(
      spdk_of(R"({"method": "bdev_aio_create", "params":
                {"name": "a0", "filename": "/dev/nvme0n1", "block_size": 4096}})",
              std::string(kAddNamespace) + R"(, {"method": "nvmf_create_transport", "params": {"trtype": "RDMA",
             "max_queue_depth": 256, "max_qpairs_per_ctrlr": 128, "in_capsule_data_size": 8192, "num_cqe": 4096}})"),
      "spdk.json");
  CHECK(result.left_out == 0);
  CHECK(is_said(result, R"(this target serves the device's own block size, SPDK served "4096")"));
  const Config config = imported(result);
  CHECK(config.rdma.max_queue_depth == 256);
  CHECK(config.rdma.max_io_queues == 127);
  CHECK(config.rdma.in_capsule_data_bytes == 8192);
}

TEST_CASE("nvmetcli: a host's keys, hash and group are carried over, and the keys are for files of their own") {
  std::string text = sample("import_nvmetcli_fuzz/two_ports.json");
  const auto replace = [&text](const std::string& from, const std::string& to) {
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  };
  replace("\"ctrl_key\": \"\"", "\"ctrl_key\": \"DHHC-1:00:other:\"");
  replace("\"dhgroup\": \"null\"", "\"dhgroup\": \"ffdhe3072\"");
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

TEST_CASE("SPDK: a host whose key is no file of the keyring is not carried over") {
  std::string text = sample("import_spdk_fuzz/save_config.json");
  text.replace(text.find("\"name\": \"key2\""), 14, "\"name\": \"key3\"");
  const ImportResult result = import_spdk(text, "spdk.json");
  const Config config = imported(result);
  const Subsystem& first = subsystem(config, "cnode1");
  CHECK(first.hosts.empty());
  CHECK(first.allowed_hosts.size() == 1);
  const auto lines = said(result);
  CHECK(std::ranges::any_of(lines, [](const std::string& line) {
    return line.find("not carried over: a host whose key \"key2\" is no file of the keyring") != std::string::npos;
  }));
}

TEST_CASE("what is no config of the other target is refused, with a hint when it is one of the third") {
  const std::string nvmet = sample("import_nvmetcli_fuzz/two_ports.json");
  const std::string saved = sample("import_spdk_fuzz/save_config.json");
  const auto refusal = [](const Result& result) {
    CHECK(!result.config.has_value());
    REQUIRE(result.diagnostics.size() == 1);
    return to_string(result.diagnostics.front());
  };
  CHECK(refusal(import_nvmetcli(saved, "a.json")) ==
        "a.json:1:1: error: $: nvmetcli did not save this file: it has no \"subsystems\" or no \"ports\"; if SPDK "
        "wrote it: "
        "import spdk");
  CHECK(refusal(import_spdk(nvmet, "a.json")) ==
        "a.json:1:1: error: $: SPDK's save_config did not print this file; if nvmetcli wrote it: import nvmetcli");
  CHECK(refusal(import_spdk("{}", "a.json")) ==
        "a.json:1:1: error: $: SPDK's save_config did not print this file; save the target with: rpc.py "
        "save_config");
  CHECK(refusal(import_nvmetcli("{\"ports\": [", "a.json")) ==
        "a.json:1:12: error: $.ports: the file ends inside the array that begins at 1:11; close it with ]");
}

// A folder as configfs shows a running target.
class Configfs {
 public:
  void file(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  void link(const std::string& path, const std::string& target) {
    fs::create_directories((root_ / path).parent_path());
    fs::create_symlink(root_ / target, root_ / path);
  }
  std::string path() const { return root_.string(); }

 private:
  Scratch scratch_;
  const fs::path root_ = scratch_.path();
};

constexpr const char* kHost = "nqn.2026-01.io.example:host";
constexpr const char* kDisk = "nqn.2026-01.io.example:disk";

void run_target(Configfs& target) {
  const std::string subsystem = std::string("subsystems/") + kDisk;
  target.file("discovery_nqn", "nqn.2014-08.org.nvmexpress.discovery");
  target.file(std::string("hosts/") + kHost + "/dhchap_key", "");
  target.file(subsystem + "/attr_allow_any_host", "0");
  target.file(subsystem + "/attr_serial", "S1");
  target.file(subsystem + "/attr_model", "Linux");
  target.file(subsystem + "/passthru/enable", "0");
  target.link(subsystem + "/allowed_hosts/" + kHost, std::string("hosts/") + kHost);
  target.file(subsystem + "/namespaces/1/device_path", "/dev/nvme0n1");
  target.file(subsystem + "/namespaces/1/device_uuid", "b7e3a1d2-6c9f-4f0b-9a3e-2d1c0b9a8f71");
  target.file(subsystem + "/namespaces/1/device_nguid", "00000000-0000-0000-0000-000000000000");
  target.file(subsystem + "/namespaces/1/enable", "1");
  target.file(subsystem + "/namespaces/1/buffered_io", "0");
  target.file(subsystem + "/namespaces/1/p2pmem", "0000:3b:00.0");
  target.file(subsystem + "/namespaces/1/ana_grpid", "2");
  target.file("ports/1/addr_trtype", "rdma");
  target.file("ports/1/addr_traddr", "192.0.2.10");
  target.file("ports/1/addr_trsvcid", "4420");
  target.file("ports/1/addr_treq", "not specified");
  target.file("ports/1/param_inline_data_size", "4096");
  target.file("ports/1/param_max_queue_size", "-1");
  target.file("ports/1/param_mdts", "0");
  target.file("ports/1/ana_groups/1/ana_state", "optimized");
  target.file("ports/1/ana_groups/2/ana_state", "non-optimized");
  target.link(std::string("ports/1/subsystems/") + kDisk, subsystem);
}

TEST_CASE("kernel: a running target is read from configfs") {
  Configfs target;
  run_target(target);
  const ImportResult result = import_kernel(target.path());
  check_lines(said(result), {});
  const Config config = imported(result);
  const Subsystem& disk = subsystem(config, "disk");
  CHECK(config.ports.at(0).address == "192.0.2.10");
  CHECK(!config.discovery.nqn);
  CHECK(disk.serial == "S1");
  CHECK(disk.allowed_hosts == std::vector<std::string>{kHost});
  CHECK(disk.ana.at(0).group == 2);
  const Namespace& ns = disk.namespaces.at(0);
  CHECK(std::get<BlockBackend>(ns.backend).path == "/dev/nvme0n1");
  CHECK((ns.p2p == P2pMode::prefer));
  CHECK(ns.p2p_provider == "0000:3b:00.0");
}

TEST_CASE("kernel: a host with a key must authenticate") {
  Configfs target;
  run_target(target);
  target.file(std::string("hosts/") + kHost + "/dhchap_key", "DHHC-1:00:secret:");
  target.file(std::string("hosts/") + kHost + "/dhchap_hash", "hmac(sha384)");
  target.file(std::string("hosts/") + kHost + "/dhchap_dhgroup", "null");
  const ImportResult result = import_kernel(target.path());
  check_lines(said(result), {});
  const Config config = imported(result);
  const Subsystem& disk = subsystem(config, "disk");
  CHECK(disk.allowed_hosts.empty());
  REQUIRE(disk.hosts.size() == 1);
  CHECK((disk.hosts[0].dhchap_hash == DhchapHash::sha384));
  CHECK(!disk.hosts[0].dhchap_group);
  CHECK(result.keys.at(0).text == "DHHC-1:00:secret:");
}

// Root may read every file, but no directory as a file.
TEST_CASE("kernel: a host whose key cannot be read is not imported as one without a key") {
  Configfs target;
  run_target(target);
  target.file(std::string("hosts/") + kHost + "/dhchap_ctrl_key/is-a-directory", "");
  const ImportResult result = import_kernel(target.path());
  CHECK_FALSE(result.config.has_value());
  CHECK(is_said(result, "dhchap_ctrl_key cannot be read; run the import as root"));
}

// As EACCES of a user who may not look into a folder, which root may.
TEST_CASE("kernel: hosts that cannot be listed, or not be looked into, are not taken for hosts without keys") {
  Configfs target;
  run_target(target);
  std::string unreadable = "hosts";
  SUBCASE("the folder of all hosts") {}
  SUBCASE("a host's folder") { unreadable += std::string("/") + kHost; }
  fs::remove_all(fs::path(target.path()) / unreadable);
  target.link(unreadable, unreadable);
  const ImportResult result = import_kernel(target.path());
  CHECK_FALSE(result.config.has_value());
  CHECK(is_said(result, "cannot be read; run the import as root"));
}

TEST_CASE("kernel: what nvmetcli does not save is reported too") {
  Configfs target;
  run_target(target);
  const std::string subsystem = std::string("subsystems/") + kDisk;
  target.file(subsystem + "/namespaces/1/buffered_io", "1");
  target.file(subsystem + "/passthru/enable", "1");
  target.file("discovery_nqn", "nqn.2026-01.io.example:discovery");
  const Result result = import_kernel(target.path());
  check_lines(
      said(result),
      {target.path() + ": warning: $.subsystems[0].passthru: not carried over: a whole controller cannot be passed "
                       "through; pass its namespaces through: {\"nvme\": \"/dev/ng0n1\"}",
       target.path() + ": warning: $.subsystems[0].namespaces[0].buffered_io: not carried over: data never goes "
                       "through the page cache"});
  CHECK(imported(result).discovery.nqn == "nqn.2026-01.io.example:discovery");
}

TEST_CASE("kernel: no target there") {
  Configfs empty;
  const Result result = import_kernel(empty.path());
  CHECK(!result.config.has_value());
  check_lines(said(result),
              {empty.path() + ": error: $: the kernel's NVMe target is not loaded; modprobe nvmet, mount configfs "
                              "at /sys/kernel/config, and run as root"});
}

}  // namespace
}  // namespace nvmf::config::test
