#include "target/backend/sysfs.h"

#include <doctest/doctest.h>

#include "tests/unit/backend/fake_sysfs.h"

using namespace nvmf::backend;
using nvmf::backend::test::FakeSysfs;

namespace {

constexpr char kController[] = "devices/pci0000:00/0000:00:1c.0/0000:3b:00.0/nvme/nvme0";

}  // namespace

TEST_CASE("Attributes") {
  FakeSysfs sysfs;
  sysfs.file("queue/max_segments", "127");
  sysfs.file("queue/write_cache", "write back");
  CHECK(sysfs::read_number(sysfs.path("queue/max_segments")) == 127);
  CHECK(sysfs::read_text(sysfs.path("queue/write_cache")) == "write back");
  CHECK(!sysfs::read_number(sysfs.path("queue/write_cache")));
  CHECK(!sysfs::read_number(sysfs.path("queue/none")));
}

TEST_CASE("An I/O scheduler is needless on a disk that does not rotate") {
  FakeSysfs sysfs;
  sysfs.file("queue/rotational", "0");
  CHECK(!sysfs::needless_scheduler(sysfs.path("queue")));
  sysfs.file("queue/scheduler", "none [mq-deadline] kyber");
  CHECK(sysfs::needless_scheduler(sysfs.path("queue")) == "mq-deadline");
  sysfs.file("queue/scheduler", "[none] mq-deadline");
  CHECK(!sysfs::needless_scheduler(sysfs.path("queue")));
  sysfs.file("queue/scheduler", "[mq-deadline] none");
  sysfs.file("queue/rotational", "1");
  CHECK(!sysfs::needless_scheduler(sysfs.path("queue")));
}

TEST_CASE("The SSD's PCI address is the last one on the way to it") {
  FakeSysfs sysfs;
  sysfs.directory(std::string(kController) + "/ng0n1");
  sysfs.link("class/nvme-generic/ng0n1", std::string(kController) + "/ng0n1");
  CHECK(sysfs::pci_address(sysfs.path("class/nvme-generic/ng0n1")) == "0000:3b:00.0");
  CHECK(!sysfs::pci_address(sysfs.path("class/nvme-generic/ng1n1")));
}

TEST_CASE("A multipath namespace has its subsystem's one controller's address") {
  FakeSysfs sysfs;
  const std::string subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
  sysfs.directory(subsystem + "/ng0n1");
  sysfs.file(std::string(kController) + "/address", "0000:3b:00.0");
  sysfs.link(subsystem + "/nvme0", kController);
  CHECK(sysfs::pci_address(sysfs.path(subsystem + "/ng0n1")) == "0000:3b:00.0");

  SUBCASE("but none with two controllers") {
    const std::string other = "devices/pci0000:80/0000:80:01.0/nvme/nvme1";
    sysfs.file(other + "/address", "0000:80:01.0");
    sysfs.link(subsystem + "/nvme1", other);
    CHECK(!sysfs::pci_address(sysfs.path(subsystem + "/ng0n1")));
  }
}

TEST_CASE("The controller of a disk is the one on the way to it; of a multipath disk, its subsystem's first") {
  FakeSysfs sysfs;
  sysfs.directory(std::string(kController) + "/ng0n1");
  sysfs.link("class/nvme-generic/ng0n1", std::string(kController) + "/ng0n1");
  CHECK(sysfs::nvme_controller(sysfs.path("class/nvme-generic/ng0n1")) == "/dev/nvme0");
  CHECK(!sysfs::nvme_controller(sysfs.path("class/nvme-generic/ng1n1")));

  const std::string subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
  sysfs.directory(subsystem + "/ng0n1");
  CHECK(!sysfs::nvme_controller(sysfs.path(subsystem + "/ng0n1")));
  sysfs.link(subsystem + "/nvme3", kController);
  sysfs.link(subsystem + "/nvme2", kController);
  CHECK(sysfs::nvme_controller(sysfs.path(subsystem + "/ng0n1")) == "/dev/nvme2");

  sysfs.directory("devices/virtual/block/nvme");
  CHECK(!sysfs::nvme_controller(sysfs.path("devices/virtual/block/nvme")));
}

TEST_CASE("A fabrics controller's address is not one on PCI") {
  FakeSysfs sysfs;
  const std::string controller = "devices/virtual/nvme-fabrics/ctl/nvme0";
  sysfs.directory(controller + "/ng0n1");
  sysfs.file(controller + "/address", "traddr=192.0.2.1,trsvcid=4420");
  CHECK(!sysfs::pci_address(sysfs.path(controller + "/ng0n1")));
}

TEST_CASE("The request queue of a disk, a partition and a generic device") {
  FakeSysfs sysfs;
  const std::string disk = std::string(kController) + "/nvme0n1";
  sysfs.directory(disk + "/queue");
  sysfs.directory(disk + "/nvme0n1p1");
  sysfs.link("dev/block/259:0", disk);
  sysfs.link("dev/block/259:1", disk + "/nvme0n1p1");
  sysfs.link("class/block/nvme0n1", disk);
  const std::string queue = sysfs.path(disk + "/queue");
  CHECK(sysfs::block_queue(259, 0, sysfs.root()) == queue);
  CHECK(sysfs::block_queue(259, 1, sysfs.root()) == queue);
  CHECK(!sysfs::block_queue(1, 1, sysfs.root()));
  CHECK(sysfs::disk_of_generic("ng0n1", sysfs.root()) == sysfs.path("class/block/nvme0n1"));
  CHECK(!sysfs::disk_of_generic("ng1n1", sysfs.root()));
  CHECK(!sysfs::disk_of_generic("null", sysfs.root()));
}

TEST_CASE("What a disk is known by, whatever its device is called") {
  FakeSysfs sysfs;
  sysfs.file("block/nvme0n1/wwid", "eui.0025385b01234567");
  sysfs.file("block/sda/device/wwid", "naa.5000c500a1b2c3d4");
  sysfs.file("block/dm-0/dm/uuid", "LVM-abcdef");
  sysfs.file("block/loop0/loop/backing_file", "/srv/disk.img");
  sysfs.file("block/dm-1/dm/uuid", "");
  CHECK(sysfs::lasting_name(sysfs.path("block/nvme0n1")) == "eui.0025385b01234567");
  CHECK(sysfs::lasting_name(sysfs.path("block/sda")) == "naa.5000c500a1b2c3d4");
  CHECK(sysfs::lasting_name(sysfs.path("block/dm-0")) == "LVM-abcdef");
  CHECK(sysfs::lasting_name(sysfs.path("block/loop0")) == "/srv/disk.img");
  CHECK(!sysfs::lasting_name(sysfs.path("block/dm-1")));
}

TEST_CASE("A partition is known by its disk, its number and its place") {
  FakeSysfs sysfs;
  sysfs.file("block/sda/device/wwid", "naa.5000c500a1b2c3d4");
  sysfs.file("block/sda/sda2/partition", "2");
  sysfs.file("block/sda/sda2/start", "2048");
  sysfs.link("dev/block/8:2", "block/sda/sda2");
  CHECK(sysfs::lasting_name(sysfs.path("dev/block/8:2")) == "naa.5000c500a1b2c3d4, partition 2 from sector 2048");
  sysfs.file("block/sda/sda2/start", "4096");
  CHECK(sysfs::lasting_name(sysfs.path("dev/block/8:2")) == "naa.5000c500a1b2c3d4, partition 2 from sector 4096");
  sysfs.file("block/zram0/zram0p1/partition", "1");
  sysfs.file("block/zram0/zram0p1/start", "8");
  CHECK(!sysfs::lasting_name(sysfs.path("block/zram0/zram0p1")));
}

TEST_CASE("What virtio disks, arrays, cards and images of Ceph are known by; zeros and nothing are no name") {
  FakeSysfs sysfs;
  sysfs.file("block/vda/serial", "disk-7");
  sysfs.file("block/vdb/serial", "");
  sysfs.file("block/md0/md/uuid", "5b3c1f0e-0001-0002-0003-0123456789ab");
  sysfs.file("block/md1/md/uuid", "00000000-0000-0000-0000-000000000000");
  sysfs.file("block/mmcblk0/device/cid", "150100424a4e4234520745d6b1bc8a00");
  for (const auto& [part, text] : {std::pair{"cluster_fsid", "b5168ed4-a98f"}, {"pool_id", "3"}, {"image_id", "10ab"}})
    sysfs.file(std::string("block/rbd0/device/") + part, text);
  CHECK(!sysfs::lasting_name(sysfs.path("block/rbd0")));
  sysfs.file("block/rbd0/device/snap_id", "head");
  CHECK(sysfs::lasting_name(sysfs.path("block/vda")) == "disk-7");
  CHECK(!sysfs::lasting_name(sysfs.path("block/vdb")));
  CHECK(sysfs::lasting_name(sysfs.path("block/md0")) == "5b3c1f0e-0001-0002-0003-0123456789ab");
  CHECK(!sysfs::lasting_name(sysfs.path("block/md1")));
  CHECK(sysfs::lasting_name(sysfs.path("block/mmcblk0")) == "150100424a4e4234520745d6b1bc8a00");
  CHECK(sysfs::lasting_name(sysfs.path("block/rbd0")) == "rbd b5168ed4-a98f 3 10ab head");
}
