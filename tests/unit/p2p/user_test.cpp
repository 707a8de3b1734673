// Doctor with the rights of another user.
#include "p2p/user.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "machine.h"
#include "p2p/doctor.h"
#include "p2p/requirements.h"

namespace nvmf::p2p::test {
namespace {

constexpr uint32_t kDisk = 6;

TEST_CASE("The owner's rights come before the group's, these before the others'") {
  const FileRights file{.mode = 0660, .uid = 1, .gid = kDisk};
  CHECK(may_open({.uid = 1}, file));
  CHECK(may_open({.uid = 2, .gids = {100, kDisk}}, file));
  CHECK_FALSE(may_open({.uid = 2, .gids = {100}}, file));
  CHECK(may_open({.uid = 2, .gids = {100}}, {.mode = 0606, .uid = 1, .gid = kDisk}));
  CHECK_FALSE(may_open({.uid = 2, .gids = {kDisk}}, {.mode = 0606, .uid = 1, .gid = kDisk}));
  CHECK_FALSE(may_open({.uid = 1, .gids = {kDisk}}, {.mode = 0466, .uid = 1, .gid = kDisk}));
  CHECK_FALSE(may_open({.uid = 1}, {.mode = 0400, .uid = 1, .gid = kDisk}));
  CHECK(may_open({.uid = 9, .capabilities = kMayOverrideRights}, {.mode = 0, .uid = 1, .gid = kDisk}));
}

// One SSD and one RNIC; the SSD's device belongs to this process.
struct Usual : Machine {
  Usual() {
    healthy();
    ssd(0, pci("pci0000:00", "0000:00:01.0"), "0000:01:00.0");
    rnic("mlx5_0", pci("pci0000:00", "0000:00:02.0"), "0000:02:00.0");
  }
};

Requirement about(const Sysfs& sysfs, const std::string& what) {
  const auto all = diagnose(sysfs).requirements;
  const auto found =
      std::ranges::find_if(all, [&](const Requirement& one) { return one.what.find(what) != std::string::npos; });
  REQUIRE(found != all.end());
  return *found;
}

Identity stranger() { return {.name = "stranger", .uid = 4242, .gids = {4242}}; }

TEST_CASE("A user who may not open the device nodes: the group that may is named, and what it means") {
  Usual machine;
  Sysfs sysfs = machine.sysfs();
  chmod(sysfs.where("/dev/ng0n1").c_str(), 0660);
  sysfs.judge_as(stranger());
  const Requirement refused = about(sysfs, "SSDs' namespaces");
  CHECK_FALSE(refused.met);
  CHECK(refused.what == "user stranger may use the SSDs' namespaces");
  CHECK(refused.remedy.starts_with("usermod -aG " + name_of_group(getgid()) + " stranger"));
  Identity member = stranger();
  member.gids.push_back(getgid());
  sysfs.judge_as(member);
  CHECK(about(sysfs, "SSDs' namespaces").met);
}

TEST_CASE("Linux 6.1 allows passthrough only with CAP_SYS_ADMIN, later ones without") {
  Usual machine;
  machine.kernel("6.1.0-28-amd64");
  Sysfs sysfs = machine.sysfs();
  CHECK(about(sysfs, "NVMe passthrough").met);  // this process has all capabilities there
  sysfs.judge_as(stranger());
  const Requirement refused = about(sysfs, "NVMe passthrough");
  CHECK_FALSE(refused.met);
  CHECK(refused.remedy.find("CAP_SYS_ADMIN") != std::string::npos);
  Identity admin = stranger();
  admin.capabilities = kMayAdminister;
  sysfs.judge_as(admin);
  CHECK(about(sysfs, "NVMe passthrough").met);
  machine.kernel("6.2.1");
  Sysfs later = machine.sysfs();
  later.judge_as(stranger());
  CHECK(about(later, "NVMe passthrough").met);
}

TEST_CASE("The limit of locked memory is the unit's, where a unit runs as the user; else it is unknown") {
  Usual machine;
  Sysfs sysfs = machine.sysfs();
  Identity who = stranger();
  sysfs.judge_as(who);
  CHECK_FALSE(about(sysfs, "lock memory").met);
  CHECK(about(sysfs, "lock memory").remedy.find("ulimit -l") != std::string::npos);
  who.limit_from = "/lib/systemd/system/nvmf-p2p.service";
  sysfs.judge_as(who);
  CHECK_FALSE(about(sysfs, "lock memory").met);
  CHECK(about(sysfs, "lock memory").remedy == "LimitMEMLOCK=infinity in a drop-in of " + who.limit_from);
  who.locks_without_limit = true;
  sysfs.judge_as(who);
  CHECK(about(sysfs, "lock memory").met);
}

TEST_CASE("A unit is read as systemd reads it: /etc before /lib, drop-ins by name, an empty value takes back") {
  Machine machine;
  CHECK(read_unit(machine.sysfs()).path.empty());
  machine.file("/lib/systemd/system/nvmf-p2p.service",
               "[Service]\nUser=nvmf-p2p\nSupplementaryGroups=disk\n# LimitMEMLOCK=1\nLimitMEMLOCK=infinity\n");
  UnitRights unit = read_unit(machine.sysfs());
  CHECK(unit.user == "nvmf-p2p");
  CHECK(unit.groups == std::vector<std::string>{"disk"});
  CHECK(unit.locks_without_limit);
  CHECK(unit.capabilities == 0);
  machine.file("/etc/systemd/system/nvmf-p2p.service.d/b.conf",
               "[Service]\nSupplementaryGroups=\nSupplementaryGroups=ssds more\nAmbientCapabilities=CAP_SYS_ADMIN\n");
  machine.file("/lib/systemd/system/nvmf-p2p.service.d/b.conf", "[Service]\nUser=hidden\n");
  machine.file("/lib/systemd/system/nvmf-p2p.service.d/a.conf", "[Service]\nLimitMEMLOCK=8M\n");
  unit = read_unit(machine.sysfs());
  CHECK(unit.user == "nvmf-p2p");
  CHECK(unit.groups == std::vector<std::string>{"ssds", "more"});
  CHECK(unit.capabilities == kMayAdminister);
  CHECK_FALSE(unit.locks_without_limit);
  machine.file("/etc/systemd/system/nvmf-p2p.service", "[Service]\nUser=other\n");
  CHECK(read_unit(machine.sysfs()).user == "other");
}

TEST_CASE("root may everything; a user who does not exist is an error") {
  Usual machine;
  const Sysfs sysfs = machine.sysfs();
  CHECK(identity_of("root", sysfs).capabilities == kAllCapabilities);
  CHECK(identity_of("root", sysfs).uid == 0);
  CHECK_THROWS_WITH(identity_of("no-such-user", sysfs), "there is no user \"no-such-user\"");
}

TEST_CASE("The user of the unit has the unit's capabilities and groups besides its own") {
  Usual machine;
  machine.file(
      "/lib/systemd/system/nvmf-p2p.service",
      "[Service]\nUser=daemon\nSupplementaryGroups=disk\nLimitMEMLOCK=infinity\nAmbientCapabilities=CAP_IPC_LOCK\n");
  const Identity unit_user = identity_of("daemon", machine.sysfs());
  CHECK(unit_user.capabilities == kMayLockMemory);
  CHECK(unit_user.locks_without_limit);
  CHECK(std::ranges::find(unit_user.gids, kDisk) != unit_user.gids.end());
  const Identity other = identity_of("nobody", machine.sysfs());
  CHECK(other.capabilities == 0);
  CHECK(other.limit_from.empty());
}

}  // namespace
}  // namespace nvmf::p2p::test
