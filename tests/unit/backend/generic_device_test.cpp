// Links that outlive a boot lead to disks, while passthrough wants the generic device beside the disk.
#include "target/backend/generic_device.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/backend/fake_sysfs.h"
#include "tests/unit/scratch.h"

namespace nvmf::backend {
namespace {

TEST_CASE("a link to the disk of an SSD leads to the generic device; other paths stay") {
  const Scratch root;
  namespace fs = std::filesystem;
  const std::string by_id = root.path() + "/dev/disk/by-id/";
  fs::create_directories(by_id);
  for (const char* const name : {"nvme0n1", "nvme0n1p1", "ng0n1", "sda"}) std::ofstream(root.path() + "/dev/" + name);
  fs::create_symlink("../../nvme0n1", by_id + "nvme-eui.1");
  fs::create_symlink("../../nvme0n1p1", by_id + "nvme-eui.1-part1");
  fs::create_symlink("../../sda", by_id + "wwn-1");
  fs::create_symlink("../../nvme7n1", by_id + "gone");
  const auto device_of = [&](const std::string& path) { return generic_device_of(path, root.path()); };
  CHECK(device_of("/dev/disk/by-id/nvme-eui.1") == "/dev/ng0n1");
  CHECK(device_of("/dev/disk/by-id/nvme-eui.1-part1") == "/dev/disk/by-id/nvme-eui.1-part1");
  CHECK(device_of("/dev/disk/by-id/wwn-1") == "/dev/disk/by-id/wwn-1");
  CHECK(device_of("/dev/disk/by-id/gone") == "/dev/disk/by-id/gone");
  CHECK(device_of("/dev/ng0n1") == "/dev/ng0n1");
  CHECK(device_of("/dev/nvme0n1") == "/dev/nvme0n1");
}

// SSDs as the kernel shows them: below a controller, or below a subsystem where it knows several paths to the SSD.
struct Ssds {
  void add(const std::string& owner, const std::string& serial, const std::string& instance, const std::string& nsid) {
    sysfs.file("sys/devices/" + owner + "/serial", serial);
    sysfs.file("sys/devices/" + owner + "/nvme" + instance + "/nsid", nsid);
    sysfs.file("sys/devices/" + owner + "/ng" + instance + "/dev", "242:0");
    sysfs.link("sys/class/nvme-generic/ng" + instance, "sys/devices/" + owner + "/ng" + instance);
  }
  SsdSearch find(const std::string& serial, uint32_t nsid = 0) const {
    return find_by_serial(serial, nsid, sysfs.root());
  }

  test::FakeSysfs sysfs;
};

TEST_CASE("an SSD is found by its serial number, whatever its device is called") {
  Ssds ssds;
  ssds.add("pci0000:00/nvme/nvme0", "S1                  ", "0n1", "1");
  ssds.add("virtual/nvme-subsystem/nvme-subsys1", "  S2", "7n1", "1");
  CHECK(ssds.find("S1").path == "/dev/ng0n1");
  CHECK(ssds.find("S2").path == "/dev/ng7n1");
  CHECK(ssds.find("S2", 1).path == "/dev/ng7n1");
}

TEST_CASE("no SSD has the serial number: it may still come, and the message names those that are there") {
  Ssds ssds;
  SsdSearch search = ssds.find("S3");
  CHECK(search.path.empty());
  CHECK(search.is_absent);
  CHECK(search.problem == "the SSD with serial number \"S3\" is not in this machine");
  CHECK(search.remedy == "plug it in, or correct the serial number");
  ssds.add("pci0000:00/nvme/nvme0", "S1", "0n1", "1");
  ssds.add("pci0000:00/nvme/nvme1", "S2", "1n1", "1");
  ssds.add("pci0000:00/nvme/nvme1", "S2", "1n2", "2");
  search = ssds.find("S");
  CHECK(search.is_absent);
  CHECK(search.remedy ==
        "plug it in, or correct the serial number; this machine has: \"S1\" (/dev/ng0n1), \"S2\" (/dev/ng1n1, "
        "/dev/ng1n2)");
}

TEST_CASE("two SSDs with one serial number: the operator has to name a path") {
  Ssds ssds;
  ssds.add("pci0000:00/nvme/nvme0", "S1", "0n1", "1");
  ssds.add("pci0000:00/nvme/nvme1", "S1", "1n1", "2");
  const SsdSearch search = ssds.find("S1", 2);
  CHECK(search.path.empty());
  CHECK_FALSE(search.is_absent);
  CHECK(search.problem == "more than one SSD has the serial number \"S1\": /dev/ng0n1, /dev/ng1n1");
  CHECK(search.remedy.find("/dev/disk/by-id") != std::string::npos);
}

TEST_CASE("an SSD with several namespaces: the operator says which one") {
  Ssds ssds;
  ssds.add("pci0000:00/nvme/nvme0", "S1", "0n1", "5");
  ssds.add("pci0000:00/nvme/nvme0", "S1", "0n2", "1");
  CHECK(ssds.find("S1", 5).path == "/dev/ng0n1");
  CHECK(ssds.find("S1", 1).path == "/dev/ng0n2");
  const SsdSearch any = ssds.find("S1");
  CHECK(any.path.empty());
  CHECK_FALSE(any.is_absent);
  CHECK(any.remedy == "write one of them as \"nsid\": 5 (/dev/ng0n1), 1 (/dev/ng0n2)");
  const SsdSearch third = ssds.find("S1", 3);
  CHECK(third.path.empty());
  CHECK(third.is_absent);
  CHECK(third.problem == "the SSD with serial number \"S1\" has no namespace 3");
}

}  // namespace
}  // namespace nvmf::backend
