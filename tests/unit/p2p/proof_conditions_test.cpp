// A proof is for one machine as it was: whatever is another one later is noticed.
#include "p2p/proof_conditions.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "machine.h"

namespace nvmf::p2p::test {
namespace {

constexpr char kSsd[] = "0000:03:00.0";
constexpr char kRnic[] = "0000:04:00.0";
constexpr char kWay[] = "pci0000:00/0000:00:01.0";
constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";

struct World : Machine {
  World() {
    unsetenv("NVMF_P2P_BOOT_ID");
    file(kBootId, "9a3c0c1e-0000-4000-8000-000000000001\n");
    pci("pci0000:00", "0000:00:01.0", Acs::Quiet);
    ssd(0, kWay, kSsd);
    cmb(0, kSsd);
    nvme("firmware_rev", "1.0\n");
    rnic("mlx5_0", kWay, kRnic);
    verbs("fw_ver", "16.35.2000\n");
    verbs("node_guid", "b8ce:f603:0012:3456\n");
    soft_roce("rxe0", "eth1", 9000);
  }
  void nvme(const std::string& name, const std::string& content) { file("/sys/class/nvme/nvme0/" + name, content); }
  void verbs(const std::string& name, const std::string& content) {
    file("/sys/class/infiniband/mlx5_0/" + name, content);
  }
  // Another folder in the place of this one, with the same content.
  void renew(const std::string& path) {
    const std::filesystem::path folder = sysfs().where(sysfs().resolve(path));
    const std::filesystem::path former = folder.string() + ".former";
    std::filesystem::rename(folder, former);
    std::filesystem::copy(former, folder,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    std::filesystem::remove_all(former);
  }
  ProofConditions conditions() const { return read_conditions(sysfs(), subject); }

  ProofSubject subject{.bdf = kSsd,
                       .rnic = "mlx5_0",
                       .active_mtu = 4096,
                       .mapping_bytes = 63 << 20,
                       .max_transfer_bytes = 1 << 20,
                       .probe_paths = "/dev/ng0n1"};
};

void check_noticed(const World& world, const ProofConditions& then, const std::string& what) {
  const std::string found = difference(then, world.conditions());
  CAPTURE(found);
  CHECK(found.find(what) != std::string::npos);
}

TEST_CASE("nothing differs on a machine that stays as it is") {
  const World world;
  CHECK_FALSE(world.conditions().empty());
  CHECK(difference(world.conditions(), world.conditions()).empty());
}

TEST_CASE("each thing that a proof depends on is noticed when it is another one") {
  World world;
  const ProofConditions then = world.conditions();
  SUBCASE("the boot") {
    world.file(kBootId, "9a3c0c1e-0000-4000-8000-000000000002\n");
    check_noticed(world, then, "the boot was");
  }
  SUBCASE("the SSD: its serial number") {
    world.nvme("serial", "S9\n");
    check_noticed(world, then, "the serial number of the SSD was \"S0\" and is \"S9\"");
  }
  SUBCASE("the SSD: its model") {
    world.nvme("model", "Other SSD\n");
    check_noticed(world, then, "the model of the SSD");
  }
  SUBCASE("the SSD: its firmware") {
    world.nvme("firmware_rev", "1.1\n");
    check_noticed(world, then, "the firmware of the SSD was \"1.0\" and is \"1.1\"");
  }
  SUBCASE("the SSD: its CMB's registers") {
    world.nvme("cmbsz", "0x0008021d\n");
    check_noticed(world, then, "the CMB registers of the SSD");
  }
  SUBCASE("the SSD: its CMB's size") {
    world.file(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem/size", "1048576\n");
    check_noticed(world, then, "the size of the CMB");
  }
  SUBCASE("the SSD: its PCI identity") {
    world.file(std::string("/sys/bus/pci/devices/") + kSsd + "/revision", "0x02\n");
    check_noticed(world, then, "the PCI identity of the SSD");
  }
  SUBCASE("the SSD was plugged in again") {
    world.renew(std::string("/sys/bus/pci/devices/") + kSsd);
    check_noticed(world, then, "the kernel's object of the");
  }
  SUBCASE("the SSD's driver was loaded again") {
    world.renew(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem");
    check_noticed(world, then, "the kernel's object of the CMB");
  }
  SUBCASE("the NVMe controller was made again") {
    world.renew("/sys/class/nvme/nvme0");
    check_noticed(world, then, "the kernel's object of the NVMe controller");
  }
  SUBCASE("the RNIC: its firmware") {
    world.verbs("fw_ver", "16.35.3000\n");
    check_noticed(world, then, "the firmware of the RNIC");
  }
  SUBCASE("the RNIC: another one of the same name") {
    world.verbs("node_guid", "b8ce:f603:0012:3457\n");
    check_noticed(world, then, "the identity of the RNIC");
  }
  SUBCASE("the RNIC was made again") {
    world.renew("/sys/class/infiniband/mlx5_0");
    check_noticed(world, then, "the kernel's object of the RNIC");
  }
  SUBCASE("the RNIC: its IOMMU group") {
    world.file("/sys/kernel/iommu_groups/7/type", "identity\n");
    world.link(std::string("/sys/devices/") + kWay + "/" + kRnic + "/iommu_group", "/sys/kernel/iommu_groups/7");
    check_noticed(world, then, "the IOMMU group of the RNIC");
  }
  SUBCASE("the path: ACS redirection in a bridge") {
    world.file("/sys/devices/pci0000:00/0000:00:01.0/config", std::string(64, '\0'));
    check_noticed(world, then, "the PCI path of the RNIC");
    CHECK(then.at("the PCI path of the SSD") != world.conditions().at("the PCI path of the SSD"));
  }
}

TEST_CASE("each thing that was tested is noticed when it is another one") {
  World world;
  const ProofConditions then = world.conditions();
  SUBCASE("the RNIC") {
    world.subject.rnic = "rxe0";
    check_noticed(world, then, "the RNIC was \"mlx5_0 port 1\" and is \"rxe0 port 1\"");
    CHECK(world.conditions().at("the network interface of the RNIC") == "eth1");
  }
  SUBCASE("its port") {
    world.subject.port = 2;
    check_noticed(world, then, "the RNIC was \"mlx5_0 port 1\" and is \"mlx5_0 port 2\"");
  }
  SUBCASE("its path MTU") {
    world.subject.active_mtu = 1024;
    check_noticed(world, then, "the path MTU of the RNIC was \"4096\" and is \"1024\"");
  }
  SUBCASE("the part of the CMB that was mapped") {
    world.subject.mapping_bytes = 31 << 20;
    check_noticed(world, then, "the tested part of the CMB");
  }
  SUBCASE("the share of the CMB that was tested") {
    world.subject.range = {.offset_bytes = 1 << 20, .length_bytes = 1 << 20};
    check_noticed(world, then, "the tested part of the CMB");
  }
  SUBCASE("the longest transfer") {
    world.subject.max_transfer_bytes = 2 << 20;
    check_noticed(world, then, "the longest transfer");
  }
  SUBCASE("whether the SSD took part") {
    world.subject.probe_paths.clear();
    check_noticed(world, then, "the SSD's devices for the self-test was \"/dev/ng0n1\" and is \"\"");
  }
}

TEST_CASE("a condition that only one side knows differs") {
  CHECK(difference({{"the boot", "1"}}, {}) == "the boot was \"1\" and is unknown");
  CHECK(difference({}, {{"the boot", "1"}}) == "the boot was unknown and is \"1\"");
}

TEST_CASE("without a boot that can be told there are no conditions; the unit may tell it") {
  World world;
  world.remove(kBootId);
  CHECK(world.conditions().empty());
  setenv("NVMF_P2P_BOOT_ID", "9a3c0c1e000040008000000000000001", 1);
  CHECK(world.conditions().at("the boot") == "9a3c0c1e000040008000000000000001");
  unsetenv("NVMF_P2P_BOOT_ID");
}

}  // namespace
}  // namespace nvmf::p2p::test
