// SPDK's target as save_config prints it: what is carried over, and what is said of the rest.
#include "config/import.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "config/names.h"
#include "tests/unit/config/import_support.h"

namespace nvmf::config::test {
namespace {

Result spdk() { return import_spdk(sample("import_spdk_fuzz/save_config.json"), "spdk.json"); }

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
          R"(spdk.json:55:62: warning: $.subsystems[3].config[11].params.namespace: not carried over: a namespace whose block device "lvs0/lv0" does not exist; the bdev was not imported (see above), or it is made of several bdevs)",
          R"(spdk.json:58:62: warning: $.subsystems[3].config[12].params.namespace: not carried over: a namespace that no host may see)",
          R"(spdk.json:63:60: warning: $.subsystems[3].config[14].params.listen_address: not carried over: a listener of transport "TCP"; only RDMA is served)",
          R"(spdk.json:83:5: warning: $.subsystems[4]: not carried over: SPDK's part "iscsi" has no counterpart in this target)",
      });
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

TEST_CASE("SPDK: a port on all addresses is carried over") {
  const ImportResult spdk = import_spdk(R"({"subsystems": [{"subsystem": "nvmf", "config": [
    {"method": "nvmf_create_subsystem", "params": {"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true}},
    {"method": "nvmf_subsystem_add_listener", "params": {"nqn": "nqn.2026-01.io.example:a",
      "listen_address": {"trtype": "RDMA", "adrfam": "IPv6", "traddr": "::", "trsvcid": "4420"}}}]}]})",
                                        "spdk.json");
  CHECK(spdk.left_out == 0);
  CHECK(imported(spdk).ports.at(0).address == "::");
}

TEST_CASE("SPDK: a namespace without block device is named, and so is the subsystem that is empty without it") {
  const ImportResult result = import_spdk(spdk_of("", kAddNamespace), "spdk.json");
  CHECK(result.left_out == 2);
  CHECK(is_said(result, R"(a namespace whose block device "a0" does not exist)"));
  CHECK(is_said(result, R"(all namespaces of subsystem "nqn.2026-01.io.example:a"; hosts that connect find none)"));
  CHECK(import_spdk(spdk_of("", R"({"method": "nvmf_set_config"})"), "spdk.json").left_out == 0);
}

TEST_CASE("SPDK: a host that authenticates its controller is carried over with both keys, or not at all") {
  const auto with = [](const char* controller_key) {
    const std::string text =
        R"({"subsystems": [{"subsystem": "keyring", "config": [
            {"method": "keyring_file_add_key", "params": {"name": "ours", "path": "/etc/spdk/host.key"}},
            {"method": "keyring_file_add_key", "params": {"name": "theirs", "path": "/etc/spdk/controller.key"}}]},
          {"subsystem": "nvmf", "config": [
            {"method": "nvmf_create_subsystem", "params": {"nqn": "nqn.2026-01.io.example:a"}},
            {"method": "nvmf_subsystem_add_host", "params": {"nqn": "nqn.2026-01.io.example:a",
              "host": "nqn.2026-01.io.example:host", "dhchap_key": "ours", "dhchap_ctrlr_key": ")" +
        std::string(controller_key) + R"("}}]}]})";
    return import_spdk(text, "spdk.json");
  };
  const Config config = imported(with("theirs"));
  const std::vector<Host>& hosts = config.subsystems.at(0).hosts;
  REQUIRE(hosts.size() == 1);
  CHECK(hosts[0].key_file == "/etc/spdk/host.key");
  CHECK(hosts[0].controller_key_file == "/etc/spdk/controller.key");

  const ImportResult lost = with("nobody's");
  CHECK(lost.left_out >= 1);
  CHECK(is_said(lost, R"(a host whose key "nobody's" is no file of the keyring)"));
  REQUIRE(lost.config.has_value());
  for (const Subsystem& one : lost.config->subsystems) CHECK(one.hosts.empty());
}

TEST_CASE("spdk: rules for authentication that are lost are told") {
  const ImportResult result = import_spdk(
      spdk_of("",
              R"({"method": "nvmf_set_config", "params": {"dhchap_digests": ["sha512"], "dhchap_dhgroups": null}})"),
      "spdk.json");
  CHECK(is_said(result, "params.dhchap_digests: not carried over: what hosts may authenticate with"));
  CHECK(result.left_out == 1);
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

TEST_CASE("SPDK: the block size of a device that is here is compared with the one that SPDK served") {
  const std::string text = spdk_of(R"({"method": "bdev_aio_create", "params":
      {"name": "a0", "filename": "/dev/nvme0n1", "block_size": 4096}})",
                                   kAddNamespace);
  const auto with = [&](uint64_t bytes) {
    return import_spdk(text, "spdk.json", [bytes](const std::string& path) {
      CHECK(path == "/dev/nvme0n1");
      return bytes;
    });
  };
  check_lines(said(with(4096)), {});
  const ImportResult other = with(512);
  CHECK(other.left_out == 0);
  CHECK(is_said(other, R"(own block size, 512, SPDK served "4096"; hosts cannot use the existing data: copy it)"));
  CHECK(is_said(with(0), "run blockdev --getss /dev/nvme0n1"));
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

}  // namespace
}  // namespace nvmf::config::test
