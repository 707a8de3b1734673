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

// An SSD on PCI by its generic device.
struct PassedThrough {
  static constexpr char kDisk[] = "devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1";
  FakeSysfs sysfs;
  PassedThrough() {
    sysfs.directory("devices/pci0000:00/0000:00:04.0/nvme/nvme0/ng0n1");
    sysfs.directory(kDisk);
    sysfs.link("class/nvme-generic/ng0n1", "devices/pci0000:00/0000:00:04.0/nvme/nvme0/ng0n1");
    sysfs.link("class/block/nvme0n1", kDisk);
  }
  void set(const std::string& io_timeout) { sysfs.file(std::string(kDisk) + "/queue/io_timeout", io_timeout); }
  PassthroughTime time() const { return passthrough_time("ng0n1", sysfs.root()); }
};

bool ends_with(const std::string& text, const std::string& end) { return text.ends_with(end); }

}  // namespace

TEST_CASE("A command that is passed through is aborted, then the SSD is reset: two time-outs and 5 s") {
  PassedThrough ssd;
  ssd.set("30000");
  CHECK_MESSAGE(ssd.time().timeout_ms == 0, "the kernel's own one");
  CHECK(ssd.time().quiesce.ms == 65'000);
  CHECK(ssd.time().quiesce.remedy.empty());
  ssd.set("5000");
  CHECK(ssd.time().timeout_ms == 0);
  CHECK(ssd.time().quiesce.ms == 15'000);
}

TEST_CASE("A time-out that the operator has raised stays: the SSD may need it, and the operator is told") {
  PassedThrough ssd;
  ssd.set("120000");
  CHECK(ssd.time().timeout_ms == 0);
  CHECK(ssd.time().quiesce.ms == 245'000);
  CHECK(ends_with(ssd.time().quiesce.remedy,
                  "before the daemon starts: echo 30000 >" + ssd.sysfs.path("class/block/nvme0n1/queue/io_timeout")));
}

TEST_CASE("Where the kernel's time-out is none, or not known, the target sets its own one for changes of the medium") {
  PassedThrough ssd;
  SUBCASE("weeks, as clouds set it: nvme_core.io_timeout=4294967295") { ssd.set("4294966296"); }
  SUBCASE("all that fits") { ssd.set("4294967295"); }
  SUBCASE("0") { ssd.set("0"); }
  SUBCASE("neither the queue nor the driver says it") {}
  CHECK(ssd.time().timeout_ms == 30'000);
  CHECK(ssd.time().quiesce.ms == 65'000);
  CHECK(ssd.time().quiesce.remedy.empty());
}

TEST_CASE("With native multipath the driver's parameter says the time-out, in seconds") {
  PassedThrough ssd;
  ssd.sysfs.file("module/nvme_core/parameters/io_timeout", "20");
  CHECK(ssd.time().timeout_ms == 0);
  CHECK(ssd.time().quiesce.ms == 45'000);
  ssd.sysfs.file("module/nvme_core/parameters/io_timeout", "120");
  CHECK(ssd.time().quiesce.ms == 245'000);
  CHECK(ends_with(ssd.time().quiesce.remedy, "start the kernel with nvme_core.io_timeout=30"));
  ssd.sysfs.file("module/nvme_core/parameters/io_timeout", "4294967295");
  CHECK(ssd.time().timeout_ms == 30'000);
  ssd.set("10000");
  CHECK_MESSAGE(ssd.time().quiesce.ms == 25'000, "a disk with a queue of its own");
}

TEST_CASE("An SSD over fabrics promises nothing, and nobody is advised to serve SSDs") {
  FakeSysfs sysfs;
  const std::string controller = "devices/virtual/nvme-fabrics/ctl/nvme3";
  sysfs.directory(controller + "/ng3n1");
  sysfs.file(controller + "/nvme3n1/queue/io_timeout", "30000");
  sysfs.link("class/nvme-generic/ng3n1", controller + "/ng3n1");
  sysfs.link("class/block/nvme3n1", controller + "/nvme3n1");
  CHECK(passthrough_time("ng3n1", sysfs.root()).timeout_ms == 0);
  for (const QuiesceTime& time : {passthrough_time("ng3n1", sysfs.root()).quiesce,
                                  disk_quiesce_time(sysfs.path("class/block/nvme3n1"), sysfs.root())}) {
    CHECK_FALSE(time.ms);
    CHECK(time.remedy == "where hosts have several paths, use hosts with Cross-Controller Reset");
  }
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

TEST_CASE("An SSD as a block device: the kernel repeats what a reset has ended, unless it is told not to") {
  SsdAsBlockDevice ssd;
  const std::string no_retries = "echo 0 >" + ssd.sysfs.path("module/nvme_core/parameters/max_retries");
  const std::string shorter = "echo 30000 >" + ssd.sysfs.path(SsdAsBlockDevice::kDisk) + "/queue/io_timeout";
  ssd.set("30000");
  CHECK(ssd.time().ms == 365'000);
  CHECK_MESSAGE(ends_with(ssd.time().remedy, no_retries), "a shorter time-out would end good commands, too");
  ssd.set("5000");
  CHECK(ssd.time().ms == 65'000);
  CHECK(ssd.time().remedy.empty());
  SUBCASE("a time-out that is too long without retries") { ssd.set("120000"); }
  SUBCASE("no time-out") { ssd.set("4294966296"); }
  CHECK(ends_with(ssd.time().remedy, no_retries + "; " + shorter));

  ssd.sysfs.file("module/nvme_core/parameters/max_retries", "0");
  ssd.set("30000");
  CHECK(ssd.time().ms == 65'000);
  CHECK(ssd.time().remedy.empty());
  ssd.set("4294966296");
  CHECK_FALSE(ssd.time().ms);
  CHECK(ends_with(ssd.time().remedy, "the daemon starts: " + shorter));
}

TEST_CASE("Devices of which nothing ends a command promise nothing: device mapper, md, DRBD, virtio-blk") {
  FakeSysfs sysfs;
  sysfs.file("dm-0/dm/uuid", "LVM-1");
  CHECK_FALSE(disk_quiesce_time(sysfs.path("dm-0"), sysfs.root()).ms);
  CHECK(disk_quiesce_time(sysfs.path("dm-0"), sysfs.root()).remedy.find("serve SSDs") != std::string::npos);
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
