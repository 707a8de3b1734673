// A machine that was saved is judged elsewhere as it would have been itself.
#include "p2p/saved_tree.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "machine.h"
#include "p2p/doctor.h"

namespace nvmf::p2p::test {
namespace {

namespace fs = std::filesystem;

// A storage shelf: a switch whose ports redirect, with an RNIC and an SSD below.
void switch_with_acs(Machine& machine) {
  machine.healthy();
  const std::string up = machine.pci(machine.pci("pci0000:20", "0000:20:01.1"), "0000:21:00.0");
  machine.rnic("mlx5_0", machine.pci(up, "0000:22:00.0", Machine::Acs::Redirects), "0000:23:00.0");
  machine.ssd(0, machine.pci(up, "0000:22:01.0", Machine::Acs::Redirects), "0000:24:00.0");
  machine.cmb(0, "0000:24:00.0");
  machine.file("/sys/class/iommu/dmar0/name", "dmar0\n");
}

// Intel Ice Lake, two sockets: SSD and RNIC on one each, and the other way round.
void two_sockets(Machine& machine) {
  machine.healthy();
  machine.processor("GenuineIntel", 6, "Intel(R) Xeon(R) Gold 6338");
  machine.host_bridge("pci0000:16", "0x8086", "0x09a2");
  machine.host_bridge("pci0000:97", "0x8086", "0x09a2");
  machine.ssd(0, machine.pci("pci0000:16", "0000:16:02.0"), "0000:17:00.0", 0);
  machine.cmb(0, "0000:17:00.0");
  machine.ssd(1, machine.pci("pci0000:97", "0000:97:02.0"), "0000:98:00.0", 1);
  machine.cmb(1, "0000:98:00.0");
  machine.rnic("mlx5_0", machine.pci("pci0000:16", "0000:16:04.0"), "0000:18:00.0", "mlx5_core", 0);
  machine.rnic("mlx5_1", machine.pci("pci0000:97", "0000:97:04.0"), "0000:99:00.0", "mlx5_core", 1);
}

// AMD Milan without IOMMU, each device below a root port of its own.
void amd_without_iommu(Machine& machine) {
  machine.healthy();
  machine.processor("AuthenticAMD", 25, "AMD EPYC 7713 64-Core Processor");
  machine.host_bridge("pci0000:40", "0x1022", "0x1480");
  machine.ssd(0, machine.pci("pci0000:40", "0000:40:01.1"), "0000:41:00.0", 0);
  machine.cmb(0, "0000:41:00.0");
  machine.rnic("mlx5_0", machine.pci("pci0000:40", "0000:40:03.1"), "0000:42:00.0", "mlx5_core", 0);
}

// A ConnectX with a virtual function, which is an RNIC of its own, below the same root port.
void sr_iov(Machine& machine) {
  machine.healthy();
  machine.ssd(0, machine.pci("pci0000:00", "0000:00:01.0"), "0000:01:00.0");
  machine.cmb(0, "0000:01:00.0");
  const std::string port = machine.pci("pci0000:00", "0000:00:02.0");
  machine.rnic("mlx5_0", port, "0000:02:00.0");
  machine.rnic("mlx5_1", port, "0000:02:00.2");
  machine.link("/sys/devices/" + port + "/0000:02:00.2/physfn", "/sys/devices/" + port + "/0000:02:00.0");
}

// What is missing, cannot be opened or read, is so elsewhere.
void poor(Machine& machine) {
  machine.kernel("6.1.0-28-amd64");
  machine.processor("GenuineIntel", 6, "Intel(R) Core(TM) i7-8700");
  machine.other_ssd(machine.pci("pci0000:00", "0000:00:1b.0", Machine::Acs::Unreadable), "0000:03:00.0", "vfio-pci");
  machine.soft_roce("rxe0", "eth1", 1500);
}

class Copy {
 public:
  explicit Copy(const Machine& machine) : files(save_tree(machine.sysfs(), folder)) {}
  Scratch scratch;
  const fs::path folder = fs::path(scratch.path()) / "saved";
  size_t files;
};

TEST_CASE("The report of the saved files is the report of the machine") {
  const std::function<void(Machine&)> kinds[] = {switch_with_acs, two_sockets, amd_without_iommu, sr_iov, poor};
  for (const auto& make : kinds) {
    Machine machine;
    make(machine);
    const Copy copy(machine);
    const Report here = diagnose(machine.sysfs());
    const Report there = diagnose(Sysfs(copy.folder));
    CHECK(here.pairs.size() == there.pairs.size());
    CHECK(to_json(there) == to_json(here));
    CHECK(render(there, 80) == render(here, 80));
    CHECK(copy.files > 5);
  }
}

TEST_CASE("The machines are judged as their kinds are known to be") {
  const auto first = [](const std::function<void(Machine&)>& make) {
    Machine machine;
    make(machine);
    const Copy copy(machine);
    return diagnose(Sysfs(copy.folder));
  };
  CHECK(first(switch_with_acs).pairs.front().path->kind == PathKind::Redirected);
  CHECK(first(switch_with_acs).iommus == std::vector<std::string>{"dmar0"});
  const Report sockets = first(two_sockets);
  REQUIRE(sockets.pairs.size() == 4);
  CHECK_FALSE(sockets.pairs[0].path->across_sockets);
  CHECK(sockets.pairs[1].path->across_sockets);
  CHECK(sockets.pairs[1].path->host_bridges == HostBridges::Listed);
  const Report amd = first(amd_without_iommu);
  CHECK(amd.iommus.empty());
  CHECK(amd.pairs.front().verdict == PairVerdict::Depends);
  CHECK(first(sr_iov).pairs.size() == 2);
  CHECK(first(poor).pairs.front().verdict == PairVerdict::No);
}

TEST_CASE("What was booted and how is saved besides; a long file is cut; nothing is saved that doctor does not read") {
  Machine machine;
  switch_with_acs(machine);
  machine.file("/proc/cmdline", "root=/dev/sda1 iommu=on\n");
  machine.file("/proc/version", std::string(kMostSavedBytes + 1, 'v'));
  machine.file("/sys/class/net/eth0/address", "02:00:00:00:00:01\n");
  machine.file("/etc/shadow", "root:x\n");
  const Copy copy(machine);
  CHECK(Sysfs(copy.folder).text("/proc/cmdline") == "root=/dev/sda1 iommu=on");
  CHECK(fs::file_size(copy.folder / "proc/version") == kMostSavedBytes);
  CHECK_FALSE(fs::exists(copy.folder / "etc/shadow"));
  CHECK_FALSE(fs::exists(copy.folder / "sys/class/net/eth0/address"));
}

TEST_CASE("A file that the process could not open then cannot be opened elsewhere, whoever looks") {
  Machine machine;
  switch_with_acs(machine);
  const Copy copy(machine);
  CHECK(Sysfs(copy.folder).may_open("/dev/ng0n1"));
  std::string rights = Sysfs(copy.folder).content("/rights");
  const size_t line = rights.find(" 1 /dev/ng0n1");
  REQUIRE(line != std::string::npos);
  rights[line + 1] = '0';
  std::ofstream(copy.folder / kRightsFile) << rights;
  CHECK_FALSE(Sysfs(copy.folder).may_open("/dev/ng0n1"));
  CHECK_FALSE(Sysfs(copy.folder).may_open("/dev/nosuch"));
}

TEST_CASE("Links are the machine's own, and lead nowhere outside") {
  Machine machine;
  switch_with_acs(machine);
  Scratch outside;
  const std::string secret = outside.path() + "/secret";
  std::ofstream(secret) << "secret";
  machine.device("/dev/null");
  const Copy copy(machine);
  for (const auto& entry : fs::recursive_directory_iterator(copy.folder)) {
    if (!entry.is_symlink()) continue;
    CAPTURE(entry.path().string());
    CHECK(fs::read_symlink(entry.path()).is_relative());
    CHECK(fs::canonical(entry.path()).string().starts_with(fs::canonical(copy.folder).string() + "/"));
  }
}

TEST_CASE("A file that answers with an error when it is read is empty") {
  CHECK(Sysfs("/").content("/proc/self/mem").empty());
}

TEST_CASE("Files are saved below a new directory only") {
  Machine machine;
  switch_with_acs(machine);
  Scratch scratch;
  std::ofstream(scratch.path() + "/file") << "mine";
  CHECK_THROWS_WITH(save_tree(machine.sysfs(), scratch.path()),
                    (scratch.path() + " is not an empty directory: name a new one").c_str());
  CHECK_THROWS(save_tree(machine.sysfs(), scratch.path() + "/file"));
}

}  // namespace
}  // namespace nvmf::p2p::test
