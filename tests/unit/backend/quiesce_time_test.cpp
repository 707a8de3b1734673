#include "target/backend/quiesce_time.h"

#include <doctest/doctest.h>

#include "tests/unit/backend/fake_sysfs.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;

namespace {

struct ScsiDisk {
  FakeSysfs sysfs;
  ScsiDisk() {
    sysfs.file("disk/device/timeout", "30");
    sysfs.file("disk/device/eh_timeout", "10");
    sysfs.file("disk/device/scsi_disk/0:0:0:0/max_retries", "5");
  }
  QuiesceTime time() const { return disk_quiesce_time(sysfs.path("disk"), sysfs.root()); }
};

struct SsdAsBlockDevice {
  static constexpr char kDisk[] = "devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1";
  FakeSysfs sysfs;
  void set(const std::string& io_timeout) { sysfs.file(std::string(kDisk) + "/queue/io_timeout", io_timeout); }
  QuiesceTime time() const { return disk_quiesce_time(sysfs.path(kDisk), sysfs.root()); }
};

bool ends_with(const std::string& text, const std::string& end) { return text.ends_with(end); }

}  // namespace

TEST_CASE("A command that is passed through is aborted, then the SSD is reset: two time-outs and 5 s") {
  CHECK(passthrough_timeout_ms(10'000) == 10'000);
  CHECK(passthrough_quiesce_time(10'000).ms == 25'000);
  CHECK_MESSAGE(passthrough_timeout_ms(0) == 30'000, "not known");
  CHECK_MESSAGE(passthrough_timeout_ms(UINT32_MAX) == 30'000, "as clouds set it: the target's own one");
  CHECK(passthrough_quiesce_time(30'000).ms == 65'000);
  CHECK(passthrough_quiesce_time(30'000).remedy.empty());
}

TEST_CASE("A SCSI disk repeats a command five times: longer than hosts can be told, unless its time-out is shorter") {
  ScsiDisk disk;
  CHECK(disk.time().ms == 190'000);
  CHECK(ends_with(disk.time().remedy, "echo 9 >" + disk.sysfs.path("disk/device/timeout")));
  disk.sysfs.file("disk/device/timeout", "9");
  CHECK(disk.time().ms == 64'000);
  CHECK(disk.time().remedy.empty());

  SUBCASE("with other retries and error handling") {
    disk.sysfs.file("disk/device/scsi_disk/0:0:0:0/max_retries", "1");
    disk.sysfs.file("disk/device/eh_timeout", "20");
    CHECK(disk.time().ms == 38'000);
  }
  SUBCASE("that has no time-out, or repeats for ever") {
    SUBCASE("0") { disk.sysfs.file("disk/device/timeout", "0"); }
    SUBCASE("retries -1") { disk.sysfs.file("disk/device/scsi_disk/0:0:0:0/max_retries", "-1"); }
    CHECK_FALSE(disk.time().ms);
    CHECK_FALSE(disk.time().remedy.empty());
  }
  SUBCASE("whose attempts are too many for any time-out") {
    disk.sysfs.file("disk/device/scsi_disk/0:0:0:0/max_retries", "100");
    CHECK(disk.time().ms == 919'000);
    CHECK(disk.time().remedy.find("echo") == std::string::npos);
  }
}

TEST_CASE("An SSD as a block device: the kernel repeats what a reset has ended") {
  SsdAsBlockDevice ssd;
  ssd.set("30000");
  CHECK(ssd.time().ms == 365'000);
  CHECK(ends_with(ssd.time().remedy, "echo 5000 >" + ssd.sysfs.path(SsdAsBlockDevice::kDisk) + "/queue/io_timeout"));
  ssd.set("5000");
  CHECK(ssd.time().ms == 65'000);
  CHECK(ssd.time().remedy.empty());
  ssd.set("30000");
  ssd.sysfs.file("module/nvme_core/parameters/max_retries", "0");
  CHECK(ssd.time().ms == 65'000);
  ssd.set("4294967295");
  CHECK_FALSE(ssd.time().ms);
  CHECK(ends_with(ssd.time().remedy, "echo 30000 >" + ssd.sysfs.path(SsdAsBlockDevice::kDisk) + "/queue/io_timeout"));
}

TEST_CASE("Devices of which nothing ends a command promise nothing: device mapper, md, DRBD, virtio-blk, fabrics") {
  FakeSysfs sysfs;
  sysfs.file("dm-0/dm/uuid", "LVM-1");
  sysfs.file("devices/virtual/nvme-fabrics/ctl/nvme3/nvme3n1/queue/io_timeout", "30000");
  for (const char* disk : {"dm-0", "devices/virtual/nvme-fabrics/ctl/nvme3/nvme3n1"}) {
    CHECK_FALSE(disk_quiesce_time(sysfs.path(disk), sysfs.root()).ms);
    CHECK_FALSE(disk_quiesce_time(sysfs.path(disk), sysfs.root()).remedy.empty());
  }
}

TEST_CASE("Of two ways to a device the longer time counts, and the one without end before all") {
  CHECK(longer({.ms = 1, .remedy = {}}, {.ms = 2, .remedy = "b"}).ms == 2);
  CHECK(longer({.ms = 2, .remedy = "a"}, {.ms = 1, .remedy = {}}).remedy == "a");
  CHECK_FALSE(longer({.ms = std::nullopt, .remedy = {}}, {.ms = 1, .remedy = {}}).ms);
  CHECK_FALSE(longer({.ms = 1, .remedy = {}}, {.ms = std::nullopt, .remedy = {}}).ms);
}

TEST_CASE("The operator is told of a device that may keep commands longer than hosts wait, and of no other one") {
  CHECK(quiesce_note("block device /dev/sda", {.ms = 190'000, .remedy = "set a shorter one"}) ==
        "block device /dev/sda: the kernel may keep a command for 190 s, but a host that has lost a path waits 65 s at "
        "most before it repeats its commands by another path (Command Quiesce Time); set a shorter one");
  CHECK(quiesce_note("file /f", unbounded_quiesce_time())->find("for any time") != std::string::npos);
  CHECK_FALSE(quiesce_note("block device /dev/sda", {.ms = 64'000, .remedy = {}}));
}
