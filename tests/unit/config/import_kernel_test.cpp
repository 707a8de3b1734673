// The kernel's target as it runs, from its configfs.
#include "config/import.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "config/names.h"
#include "tests/unit/config/import_support.h"
#include "tests/unit/scratch.h"

namespace nvmf::config::test {
namespace {

namespace fs = std::filesystem;

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
