// Warnings about configs that are legal but cannot work on a machine, with machines made of files.
#include "target/daemon/machine_check.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "config/parse.h"
#include "tests/unit/p2p/machine.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

using p2p::test::Machine;

constexpr const char* kSsd = "0000:04:00.0";

// One SSD with CMB and one ConnectX below a switch; the address 192.0.2.10 on the RNIC's eth0.
void build(Machine& machine, const std::string& driver = "mlx5_core") {
  machine.healthy();
  const std::string up = machine.pci(machine.pci("pci0000:00", "0000:00:01.0"), "0000:01:00.0");
  machine.ssd(0, machine.pci(up, "0000:02:00.0"), kSsd);
  machine.cmb(0, kSsd);
  machine.rnic("mlx5_0", machine.pci(up, "0000:02:01.0"), "0000:05:00.0", driver);
  machine.file("/sys/devices/system/cpu/online", "0-3,8\n");
  machine.file("/dev/nvme0n1", "");
  machine.file("/sys/class/block/nvme0n1/wwid", "eui.1\n");
}

const std::vector<InterfaceAddress> kAddresses = {{"127.0.0.1", "lo"}, {"192.0.2.10", "eth0"}, {"192.0.2.20", "eth1"}};

std::string config_with(const std::string& address, const std::string& ns, const std::string& more = "") {
  return "{" + more + R"("ports": [{"id": 1, "address": ")" + address +
         R"("}], "subsystems": [{"nqn": "nqn.2026-01.io.example:a", "allow_any_host": true, "namespaces": [)" + ns +
         "]}]}";
}

std::vector<std::string> warnings(const Machine& machine, const std::string& text) {
  const config::Result result = config::parse(text, "a.json");
  REQUIRE(result.config.has_value());
  std::vector<std::string> lines;
  for (const auto& warning : check_machine(*result.config, machine.sysfs(), kAddresses))
    lines.push_back(to_string(warning));
  return lines;
}

std::string only_warning(const Machine& machine, const std::string& text) {
  const std::vector<std::string> lines = warnings(machine, text);
  std::string all;
  for (const std::string& line : lines) all += line + '\n';
  CAPTURE(all);
  REQUIRE(lines.size() == 1);
  return lines.front();
}

constexpr const char* kDisk = R"({"nvme": "/dev/ng0n1", "p2p": "require"})";
constexpr const char* kMemory = R"({"memory": 512})";

TEST_CASE("what cannot work is in a drop-in: the warning has its name and the place in it") {
  Machine machine;
  build(machine);
  const std::string main = config_with("192.0.2.10", kMemory);
  const config::Result result = config::parse(
      {.file = {"a.json", main},
       .drop_ins = {{"conf.d/b.json", R"({"subsystems": [{"nqn": "nqn.2026-01.io.example:b", "allow_any_host": true,
  "namespaces": [{"memory": 512}, {"file": "/srv/nothing"}]}]})"}}});
  REQUIRE(result.config.has_value());
  const auto found = check_machine(*result.config, machine.sysfs(), kAddresses);
  REQUIRE(!found.empty());
  CHECK(to_string(found.back())
            .starts_with("conf.d/b.json:2:44: warning: $.subsystems[0].namespaces[1].file: \"/srv/nothing\" does not "
                         "exist"));
}

TEST_CASE("a device DAX that is missing, is none, or is volatile: a warning each") {
  Machine machine;
  build(machine);
  const std::string dax = config_with("192.0.2.10", R"({"dax": "/dev/dax0.0"})");
  CHECK(only_warning(machine, dax).find("\"/dev/dax0.0\" does not exist; make it: ndctl") != std::string::npos);
  machine.file("/dev/dax0.0", "");
  CHECK(only_warning(machine, dax).find("\"/dev/dax0.0\" is not a device DAX") != std::string::npos);
  machine.file("/sys/bus/dax/devices/dax0.0/size", "4096\n");
  CHECK(only_warning(machine, dax).find("\"/dev/dax0.0\" is volatile memory") != std::string::npos);
}

TEST_CASE("strangers may reach a subsystem on the internet that does not authenticate: a warning") {
  Machine machine;
  build(machine);
  const auto warns = [&](const std::string& address, const std::string& who) {
    const auto lines = warnings(machine, R"({"ports": [{"id": 1, "address": ")" + address +
                                             R"("}], "subsystems": [{"nqn": "nqn.2026-01.io.example:a", )" + who +
                                             R"(, "namespaces": [{"memory": 512}]}]})");
    return std::ranges::any_of(lines, [](const std::string& line) {
      return line.find("can use the subsystem without authentication") != std::string::npos;
    });
  };
  const std::string any = R"("allow_any_host": true)";
  const std::string by_name = R"("allowed_hosts": ["nqn.2026-01.io.example:h"])";
  const std::string by_key = R"("hosts": [{"nqn": "nqn.2026-01.io.example:k", "key_file": "credential"}])";
  for (const char* const address : {"8.8.8.8", "172.32.0.1", "2001:db9::1", "2a00::1"}) {
    CAPTURE(address);
    CHECK(warns(address, any));
    CHECK(warns(address, by_name));
    CHECK(warns(address, by_name + ", " + by_key));
    CHECK_FALSE(warns(address, by_key));
  }
  for (const char* const address : {"10.1.2.3", "172.31.0.1", "192.168.0.1", "192.0.2.10", "fd00::1", "2001:db8::1"}) {
    CAPTURE(address);
    CHECK_FALSE(warns(address, any));
  }
}

TEST_CASE("a key file that cannot be used is an error") {
  Machine machine;
  build(machine);
  const std::string line = only_warning(
      machine, R"({"ports": [{"id": 1, "address": "192.0.2.10"}], "subsystems": [{"nqn": "nqn.2026-01.io.example:a",
                   "hosts": [{"nqn": "nqn.2026-01.io.example:h", "key_file": "/missing/key"}], "namespaces":
                   [{"memory": 512}]}]})");
  CHECK(line.find(": error: $.subsystems[0].hosts[0].key_file: the key file /missing/key cannot be opened") !=
        std::string::npos);
}

TEST_CASE("a key that is used as it is by more than one NQN: a warning") {
  constexpr char kAsItIs[] = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
  constexpr char kTransformed[] = "DHHC-1:01:CLaL/jAMKMoXgYx8Xmn+hfg/Ru5pu6fxenBJVOu4cf3z+K/D:";
  Machine machine;
  build(machine);
  const Scratch scratch;
  const auto key = [&](const char* name, const char* text) {
    std::string path = scratch.path() + "/" + name;
    std::ofstream(path) << text << '\n';
    chmod(path.c_str(), 0600);
    return path;
  };
  const std::string as_it_is = key("first", kAsItIs);
  const std::string copy = key("copy", kAsItIs);
  const std::string transformed = key("transformed", kTransformed);
  const auto host = [](const std::string& name, const std::string& file, const std::string& controller_file = "") {
    return R"({"nqn": "nqn.2026-01.io.example:)" + name + R"(", "key_file": ")" + file + '"' +
           (controller_file.empty() ? "" : R"(, "controller_key_file": ")" + controller_file + '"') + "}";
  };
  const auto config = [](const std::string& hosts) {
    return R"({"ports": [{"id": 1, "address": "192.0.2.10"}], "subsystems": [{"nqn": "nqn.2026-01.io.example:a", "hosts": [)" +
           hosts + R"(], "namespaces": [{"memory": 512}]}]})";
  };
  CHECK(only_warning(machine, config(host("h", as_it_is) + ", " + host("i", copy)))
            .find(": warning: $.subsystems[0].hosts[1].key_file: \"nqn.2026-01.io.example:h\" uses the same key") !=
        std::string::npos);
  CHECK(only_warning(machine, config(host("h", as_it_is, copy)))
            .find(": warning: $.subsystems[0].hosts[0].controller_key_file: ") != std::string::npos);
  // Of such a key each NQN makes its own.
  CHECK(warnings(machine, config(host("h", transformed, transformed) + ", " + host("i", transformed))).empty());
  CHECK(warnings(machine, config(host("h", as_it_is, transformed) + ", " + host("h", copy, transformed))).empty());
}

TEST_CASE("one SSD in two subsystems: a warning where hosts are shown the same identifiers in both") {
  Machine machine;
  build(machine);
  const auto twice = [](const std::string& first, const std::string& second) {
    const auto subsystem = [](const std::string& name, const std::string& more) {
      return R"({"nqn": "nqn.2026-01.io.example:)" + name +
             R"(", "allow_any_host": true, "namespaces": [{"nvme": "/dev/ng0n1", "p2p": "off")" + more + "}]}";
    };
    return R"({"ports": [{"id": 1, "address": "192.0.2.10"}], "subsystems": [)" + subsystem("a", first) + ", " +
           subsystem("b", second) + "]}";
  };
  const std::string uuid = R"(, "uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21")";
  const std::string other = R"(, "uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b22")";
  CHECK(warnings(machine, twice("", "")).empty());  // the daemon derives a UUID for each
  machine.file("/sys/class/block/nvme0n1/nguid", "00010203-0405-0607-0809-0a0b0c0d0e0f\n");
  const std::string warning = only_warning(machine, twice("", ""));
  CHECK(
      warning.find("$.subsystems[1].namespaces[0]: a namespace of nqn.2026-01.io.example:a has the same identifiers") !=
      std::string::npos);
  CHECK(warning.find("give it a \"uuid\" of its own here") != std::string::npos);
  CHECK(warnings(machine, twice("", uuid)).empty());
  CHECK(warnings(machine, twice(uuid, other)).empty());
  only_warning(machine, twice(uuid, uuid));
}

TEST_CASE("a config that fits its machine: nothing to say") {
  Machine machine;
  build(machine);
  CHECK(warnings(machine, config_with("192.0.2.10", kDisk, R"("reactors": {"cores": [3, 8]}, )")).empty());
}

TEST_CASE("an address that no interface has, and one whose interface has no RNIC") {
  Machine machine;
  build(machine);
  CHECK(only_warning(machine, config_with("192.0.2.11", kMemory)) ==
        "a.json:1:12: warning: $.ports[0].address: no interface of this machine has the address 192.0.2.11; write one "
        "of: 192.0.2.10 (eth0)");
  CHECK(only_warning(machine, config_with("192.0.2.20", kMemory)) ==
        "a.json:1:12: warning: $.ports[0].address: eth1, which has the address 192.0.2.20, has no RNIC; write "
        "one of: 192.0.2.10 (eth0)");
}

TEST_CASE("a port on all addresses: which family no RNIC has, and whether strangers may come by one of them") {
  Machine machine;
  build(machine);
  CHECK(warnings(machine, config_with("0.0.0.0", kDisk)).empty());
  CHECK(only_warning(machine, config_with("::", kMemory)) ==
        "a.json:1:12: warning: $.ports[0].address: no RNIC of this machine has an IPv6 address, so no host can "
        "connect to the port yet; add an address to the interface of an RNIC with: ip address add");

  const config::Result open = config::parse(config_with("0.0.0.0", kMemory), "a.json");
  const auto lines = check_machine(*open.config, machine.sysfs(), {{"127.0.0.1", "lo"}, {"8.8.8.8", "eth0"}});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].problem.find("whoever reaches 8.8.8.8 can use the subsystem") != std::string::npos);
}

TEST_CASE("the interface of a VLAN on an RNIC is one with an RNIC") {
  Machine machine;
  build(machine);
  machine.file("/sys/class/infiniband/mlx5_0/ports/1/gid_attrs/ndevs/2", "eth1\n");
  CHECK(warnings(machine, config_with("192.0.2.20", kMemory)).empty());
}

TEST_CASE("a machine without RNIC: how to get one to try things out") {
  Machine machine;
  machine.healthy();
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory)).find("rdma link add rxe0 type rxe netdev eth0") !=
        std::string::npos);
}

TEST_CASE("cores that are not there") {
  Machine machine;
  build(machine);
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("reactors": {"cores": [3, 4]}, )")) ==
        "a.json:1:14: warning: $.reactors.cores[1]: this machine has no core 4; its cores are 0-3,8");
}

TEST_CASE("an SSD that is named by its serial number is looked for, and checked as one that is named by its path") {
  Machine machine;
  build(machine);
  const auto with = [](const std::string& serial) {
    return config_with("192.0.2.10", R"({"nvme": {"serial": ")" + serial + R"("}, "p2p": "require"})");
  };
  machine.link("/dev/disk/by-id/nvme-eui.1", "/dev/nvme0n1");  // a serial number outlives a boot, too
  CHECK(warnings(machine, with("S0")).empty());
  CHECK(only_warning(machine, with("S7"))
            .ends_with(".nvme: the SSD with serial number \"S7\" is not in this machine; plug it in, or correct the "
                       "serial number; this machine has: \"S0\" (/dev/ng0n1)"));
  machine.file("/proc/self/mounts", "/dev/nvme0n1 /srv ext4 rw 0 0\n");
  CHECK(only_warning(machine, with("S0")).find("\"/dev/ng0n1\" is mounted at /srv") != std::string::npos);
}

TEST_CASE("one SSD by its path and by its serial number in two subsystems: hosts are shown the same identifiers") {
  Machine machine;
  build(machine);
  machine.file("/sys/class/block/nvme0n1/nguid", "00010203-0405-0607-0809-0a0b0c0d0e0f\n");
  const auto subsystem = [](const std::string& name, const std::string& nvme) {
    return R"({"nqn": "nqn.2026-01.io.example:)" + name + R"(", "allow_any_host": true, "namespaces": [{"nvme": )" +
           nvme + R"(, "p2p": "off"}]})";
  };
  CHECK(only_warning(machine, R"({"ports": [{"id": 1, "address": "192.0.2.10"}], "subsystems": [)" +
                                  subsystem("a", R"("/dev/ng0n1")") + ", " + subsystem("b", R"({"serial": "S0"})") +
                                  "]}")
            .find("a namespace of nqn.2026-01.io.example:a has the same identifiers") != std::string::npos);
}

TEST_CASE("devices and files that are not there") {
  Machine machine;
  build(machine);
  CHECK(only_warning(machine, config_with("192.0.2.10", R"({"nvme": "/dev/ng7n1", "p2p": "off"})"))
            .ends_with(".nvme: \"/dev/ng7n1\" does not exist; this machine has: /dev/ng0n1"));
  CHECK(only_warning(machine, config_with("192.0.2.10", R"({"block": "/dev/sdx"})"))
            .ends_with(".block: \"/dev/sdx\" does not exist; this machine has: /dev/nvme0n1"));
  CHECK(only_warning(machine, config_with("192.0.2.10", R"({"file": "/srv/a.img"})"))
            .ends_with(".file: \"/srv/a.img\" does not exist; create it: truncate -s SIZE /srv/a.img"));
}

TEST_CASE("what is there and cannot be served: directories, empty files, devices of another kind, zoned devices") {
  Machine machine;
  build(machine);
  const auto warning_of = [&](const std::string& ns) { return only_warning(machine, config_with("192.0.2.10", ns)); };
  machine.file("/srv/folder/a", "");
  machine.file("/srv/empty", "");
  machine.file("/srv/short", std::string(600, 'x'));
  machine.device("/dev/null");
  CHECK(
      warning_of(R"({"file": "/srv/folder"})")
          .ends_with(".file: \"/srv/folder\" is a directory, not a regular file; name a file: truncate -s SIZE FILE"));
  CHECK(warning_of(R"({"file": "/srv/empty"})")
            .ends_with(".file: \"/srv/empty\" is shorter than one block; give it the size of the namespace: truncate "
                       "-s SIZE /srv/empty"));
  CHECK(warnings(machine, config_with("192.0.2.10", R"({"file": "/srv/short"})")).empty());
  CHECK(warning_of(R"({"file": "/srv/short", "block_size": 4096})").find("shorter than one block") !=
        std::string::npos);
  CHECK(warning_of(R"({"block": "/srv/folder"})").find(".block: \"/srv/folder\" is a directory, not a block device") !=
        std::string::npos);
  CHECK(warning_of(R"({"block": "/srv/short"})").find("is a regular file, not a block device") != std::string::npos);
  CHECK(warning_of(R"({"block": "/dev/null"})")
            .ends_with("\"/dev/null\" is a character device, not a block device; this machine has: /dev/nvme0n1"));
  CHECK(warning_of(R"({"nvme": "/dev/null", "p2p": "off"})")
            .find("\"/dev/null\" is not the generic device of an NVMe namespace") != std::string::npos);
  machine.file("/sys/class/block/nvme0n1/queue/zoned", "host-managed\n");
  CHECK(warning_of(R"({"block": "/dev/nvme0n1"})")
            .ends_with("\"/dev/nvme0n1\" is a zoned device, and hosts get to know the zones of NVMe SSDs only; write "
                       "\"nvme\": \"/dev/ng0n1\" instead of \"block\""));
  CHECK(warnings(machine, config_with("192.0.2.10", kDisk)).empty());
  machine.file("/sys/class/block/nvme0n1/queue/zoned", "none\n");
  CHECK(warnings(machine, config_with("192.0.2.10", R"({"block": "/dev/nvme0n1"})")).empty());
}

TEST_CASE("a device that is mounted, by itself or by a partition, or is a part of another") {
  Machine machine;
  build(machine);
  SUBCASE("mounted, also when it is served by its character device") {
    machine.file("/proc/self/mounts", "/dev/nvme0n1 /srv ext4 rw 0 0\n");
    CHECK(only_warning(machine, config_with("192.0.2.10", kDisk))
              .ends_with("\"/dev/ng0n1\" is mounted at /srv: two programs that write to one device destroy each "
                         "other's data; umount /srv"));
  }
  SUBCASE("the machine's own root: nobody is told to unmount that") {
    machine.file("/proc/self/mounts", "/dev/nvme0n1 / ext4 rw 0 0\n");
    CHECK(only_warning(machine, config_with("192.0.2.10", kDisk))
              .ends_with("is mounted at /: two programs that write to one device destroy each other's data; serve "
                         "another device"));
  }
  SUBCASE("a partition is mounted, where the system keeps what it needs") {
    machine.file("/sys/class/block/nvme0n1/nvme0n1p1/partition", "1\n");
    machine.file("/proc/self/mounts", "/dev/nvme0n1p1 /var/lib ext4 rw 0 0\n");
    CHECK(only_warning(machine, config_with("192.0.2.10", R"({"block": "/dev/nvme0n1"})"))
              .ends_with("is mounted at /var/lib: two programs that write to one device destroy each other's data; "
                         "serve another device"));
  }
  SUBCASE("part of a volume") {
    machine.file("/sys/class/block/nvme0n1/holders/dm-0", "");
    CHECK(only_warning(machine, config_with("192.0.2.10", kDisk)).find("is a part of dm-0") != std::string::npos);
  }
}

TEST_CASE("peer-to-peer that cannot work: doctor's reason and remedy, once") {
  Machine machine;
  SUBCASE("an SSD without CMB") {
    build(machine);
    machine.remove(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem");
    machine.remove("/sys/class/nvme/nvme0/cmbsz");
    CHECK(only_warning(machine, config_with("192.0.2.10", kDisk)).find("nvme0 has no controller memory buffer") !=
          std::string::npos);
  }
  SUBCASE("an RNIC without on-demand paging") {
    build(machine, "bnxt_en");
    const std::string line = only_warning(machine, config_with("192.0.2.10", kDisk));
    CHECK(line.find("$.subsystems[0].namespaces[0].p2p: \"require\" cannot work with mlx5_0: mlx5_0's driver "
                    "(bnxt_en) has no on-demand paging") != std::string::npos);
    CHECK(line.ends_with(R"(or write "p2p": "prefer")"));
    CHECK(warnings(machine, config_with("192.0.2.10", R"({"nvme": "/dev/ng0n1", "p2p": "off"})")).empty());
  }
  SUBCASE("Soft-RoCE with a small MTU") {
    machine.healthy();
    machine.ssd(0, "pci0000:00", kSsd);
    machine.cmb(0, kSsd);
    machine.soft_roce("rxe0", "eth0", 1500);
    CHECK(only_warning(machine, config_with("192.0.2.10", kDisk)).find("ip link set dev eth0 mtu") !=
          std::string::npos);
  }
  SUBCASE("a provider that is not there") {
    build(machine);
    CHECK(only_warning(machine, config_with("192.0.2.10", R"({"nvme": "/dev/ng0n1", "p2p_provider": "0000:99:00.0"})"))
              .ends_with(
                  ".p2p_provider: there is no SSD at 0000:99:00.0, and no other device that lends peer memory; this "
                  "machine has: 0000:04:00.0 (nvme0)"));
  }
}

TEST_CASE("a provider that is no SSD: whatever lends peer memory in sysfs will do, where it may be used") {
  Machine machine;
  build(machine);
  const std::string accelerator = "0000:06:00.0";
  machine.pci("pci0000:00", accelerator);
  const std::string memory = "/sys/bus/pci/devices/" + accelerator + "/p2pmem/";
  for (const char* file : {"size", "available"}) machine.file(memory + file, "67108864\n");
  machine.file(memory + "published", "1\n");
  const std::string config =
      config_with("192.0.2.10", R"({"nvme": "/dev/ng0n1", "p2p_provider": ")" + accelerator + "\"}");
  CHECK(only_warning(machine, config).find("this kernel cannot give the peer memory of 0000:06:00.0 to processes") !=
        std::string::npos);
  machine.file(memory + "allocate", "");
  CHECK(warnings(machine, config).empty());
}

TEST_CASE("a user or a group that this machine has not") {
  Machine machine;
  build(machine);
  const auto with_admin = [](const std::string& admin) {
    return config_with("192.0.2.10", kMemory, R"("admin": {)" + admin + "}, ");
  };
  CHECK(warnings(machine, with_admin(R"("owner": "root", "group": "root")")).empty());
  CHECK(only_warning(machine, with_admin(R"("owner": "no-such-user")"))
            .find("$.admin.owner: this machine has no user \"no-such-user\"") != std::string::npos);
  CHECK(only_warning(machine, with_admin(R"("group": "no-such-group")"))
            .find("$.admin.group: this machine has no group \"no-such-group\"") != std::string::npos);
  CHECK(only_warning(machine, with_admin(R"("read_only_socket": "/run/w", "read_only_group": "no-such-group")"))
            .find("$.admin.read_only_group: this machine has no group \"no-such-group\"") != std::string::npos);
}

TEST_CASE("a state directory that others use, too, and a socket that everybody may write to") {
  Machine machine;
  build(machine);
  for (const char* const shared : {"/tmp", "/var/lib"})
    CHECK(
        only_warning(machine, config_with("192.0.2.10", kMemory, R"("state_dir": ")" + std::string(shared) + R"(", )"))
            .find("is not a directory of the daemon's own") != std::string::npos);
  CHECK(warnings(machine, config_with("192.0.2.10", kMemory, R"("state_dir": "/var/lib/nvmf-p2p", )")).empty());
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("admin": {"mode": "0666"}, )"))
            .find("$.admin.mode: every user of this machine may change what is served") != std::string::npos);
}

TEST_CASE("an admin socket or a state directory where something else is in the way") {
  Machine machine;
  build(machine);
  machine.file("/srv/image", "a disk image");
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("admin": {"socket": "/srv/image"}, )"))
            .find("\"/srv/image\" exists and is not a socket; remove it") != std::string::npos);
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("admin": {"read_only_socket": "/srv/image"}, )"))
            .find("$.admin.read_only_socket: \"/srv/image\" exists and is not a socket") != std::string::npos);
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("admin": {"socket": "/srv/image/a/sock"}, )"))
            .find("\"/srv/image\" is not a directory") != std::string::npos);
  CHECK(only_warning(machine, config_with("192.0.2.10", kMemory, R"("state_dir": "/srv/image/state", )"))
            .find("$.state_dir: \"/srv/image\" is not a directory") != std::string::npos);
  CHECK(warnings(machine, config_with("192.0.2.10", kMemory, R"("state_dir": "/srv/other/state", )")).empty());
}

TEST_CASE("a device by a name that may be another disk's after the next boot: the lasting name is recommended") {
  Machine machine;
  build(machine);
  machine.link("/dev/disk/by-id/nvme-eui.1", "/dev/nvme0n1");
  CHECK(only_warning(machine, config_with("192.0.2.10", kDisk))
            .find("\"/dev/ng0n1\" may be another disk after the next boot; write \"/dev/disk/by-id/nvme-eui.1\"") !=
        std::string::npos);
  CHECK(warnings(machine, config_with("192.0.2.10", R"({"nvme": "/dev/disk/by-id/nvme-eui.1", "p2p": "require"})"))
            .empty());
}

TEST_CASE("a disk that nothing but its path names: another one at the path would be served") {
  Machine machine;
  build(machine);
  machine.file("/dev/vdb", "");
  machine.file("/sys/class/block/vdb/size", "2048");
  const std::string config = config_with("192.0.2.10", R"({"block": "/dev/vdb"})");
  CHECK(only_warning(machine, config).find("\"/dev/vdb\" is known by its path only") != std::string::npos);
  machine.file("/sys/class/block/vdb/serial", "disk-7");
  CHECK(warnings(machine, config).empty());
}

}  // namespace
}  // namespace nvmf::daemon
