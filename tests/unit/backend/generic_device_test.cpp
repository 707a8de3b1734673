// Links that outlive a boot lead to disks, while passthrough wants the generic device beside the disk.
#include "target/backend/generic_device.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

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

}  // namespace
}  // namespace nvmf::backend
