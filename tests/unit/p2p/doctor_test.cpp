#include "p2p/doctor.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "machine.h"

namespace nvmf::p2p::test {
namespace {

constexpr const char* kSsd = "0000:04:00.0";
constexpr const char* kRnic = "0000:05:00.0";

bool mentions(const std::vector<std::string>& texts, const std::string& what) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.find(what) != std::string::npos; });
}

std::vector<std::string> missing(const Report& report) {
  std::vector<std::string> texts;
  for (const Requirement& requirement : report.requirements)
    if (!requirement.met) texts.push_back(requirement.what + ": " + requirement.remedy);
  return texts;
}

// Characters of a UTF-8 text.
size_t columns_of(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// Everything right: SSD with CMB and ConnectX below one switch.
void build(Machine& machine, Machine::Acs acs = Machine::Acs::Quiet, const std::string& driver = "mlx5_core") {
  machine.healthy();
  const std::string up = machine.pci(machine.pci("pci0000:00", "0000:00:01.0"), "0000:01:00.0");
  machine.ssd(0, machine.pci(up, "0000:02:00.0", acs), kSsd);
  machine.cmb(0, kSsd);
  machine.rnic("mlx5_0", machine.pci(up, "0000:02:01.0", acs), kRnic, driver);
}

PairReport only_pair(const Machine& machine) {
  const Report report = diagnose(machine.sysfs());
  REQUIRE(report.pairs.size() == 1);
  return report.pairs.front();
}

TEST_CASE("SSD and RNIC below one switch should work") {
  Machine machine;
  build(machine);
  const Report report = diagnose(machine.sysfs());
  CHECK(missing(report).empty());
  CHECK(only_pair(machine).verdict == PairVerdict::Likely);
  CHECK(only_pair(machine).remedies.empty());
}

TEST_CASE("ACS redirection: maybe, with the boot parameter") {
  Machine machine;
  build(machine, Machine::Acs::Redirects);
  CHECK(only_pair(machine).verdict == PairVerdict::Depends);
  CHECK(mentions(only_pair(machine).remedies, "pci=disable_acs_redir="));
}

TEST_CASE("an SSD without a CMB: no, and nothing else is said of the pair") {
  Machine machine;
  build(machine);
  machine.remove(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem");
  machine.remove("/sys/class/nvme/nvme0/cmbsz");
  const PairReport pair = only_pair(machine);
  CHECK(pair.verdict == PairVerdict::No);
  CHECK(pair.reasons.size() == 1);
  CHECK(mentions(pair.reasons, "has no controller memory buffer"));
}

TEST_CASE("a CMB that the kernel does not offer: why") {
  Machine machine;
  build(machine);
  machine.remove(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem");
  SUBCASE("it could hold data") { CHECK(mentions(only_pair(machine).remedies, "CONFIG_PCI_P2PDMA")); }
  SUBCASE("it is too small: one unit of 1 MiB") {
    machine.file("/sys/class/nvme/nvme0/cmbsz", "0x0000121d\n");
    CHECK(mentions(only_pair(machine).reasons, "of 1048576 bytes is too small"));
  }
  SUBCASE("it begins 1 MiB into its BAR") {
    machine.file("/sys/class/nvme/nvme0/cmbloc", "0x00001002\n");
    CHECK(mentions(only_pair(machine).reasons, "begins 1048576 bytes into its BAR"));
  }
  SUBCASE("it takes no data of writes") {
    machine.file("/sys/class/nvme/nvme0/cmbsz", "0x0004020d\n");
    CHECK(mentions(only_pair(machine).reasons, "does not support data of writes"));
  }
  CHECK(only_pair(machine).verdict == PairVerdict::No);
}

TEST_CASE("a CMB that is not published, not mappable, or taken") {
  Machine machine;
  build(machine);
  SUBCASE("not published") {
    machine.cmb(0, kSsd, 1 << 20, false);
    CHECK(mentions(only_pair(machine).reasons, "does not offer its controller memory buffer"));
  }
  SUBCASE("not mappable") {
    machine.remove(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem/allocate");
    CHECK(mentions(only_pair(machine).remedies, "6.17"));
  }
  SUBCASE("taken") {
    machine.cmb(0, kSsd, 0);
    CHECK(mentions(only_pair(machine).remedies, "use_cmb_sqes=0"));
  }
  CHECK(only_pair(machine).verdict == PairVerdict::No);
}

TEST_CASE("an RNIC whose driver has no on-demand paging") {
  Machine machine;
  build(machine, Machine::Acs::Quiet, "bnxt_en");
  CHECK(only_pair(machine).verdict == PairVerdict::No);
  CHECK(mentions(only_pair(machine).reasons, "bnxt_en"));
}

TEST_CASE("an RNIC that has dma-buf instead: why that does not help") {
  Machine machine;
  SUBCASE("it may be asked to let go: only vfio-pci exports, which the target does not use") {
    build(machine, Machine::Acs::Quiet, "ice");
    CHECK(mentions(only_pair(machine).reasons, "only vfio-pci (Linux 6.19) offers controller memory buffers"));
  }
  SUBCASE("it pins: the kernel gives it none") {
    build(machine, Machine::Acs::Quiet, "bnxt_en");
    CHECK(mentions(only_pair(machine).reasons, "but pins them"));
  }
  SUBCASE("it has neither") {
    build(machine, Machine::Acs::Quiet, "hns3");
    CHECK_FALSE(mentions(only_pair(machine).reasons, "dma-buf"));
  }
  CHECK(only_pair(machine).verdict == PairVerdict::No);
  CHECK(mentions(only_pair(machine).remedies, "ConnectX-5"));
}

TEST_CASE("an SSD that another driver has: who, and the commands that give it back") {
  Machine machine;
  machine.healthy();
  machine.rnic("mlx5_0", "pci0000:00", kRnic, "mlx5_core");
  SUBCASE("vfio-pci") {
    machine.other_ssd("pci0000:00", kSsd, "vfio-pci");
    CHECK(mentions(missing(diagnose(machine.sysfs())), "modprobe nvme"));
    CHECK(mentions(only_pair(machine).reasons, "0000:04:00.0 is bound to vfio-pci"));
    CHECK(mentions(only_pair(machine).reasons, "only as dma-bufs, which this target does not use"));
    CHECK(mentions(only_pair(machine).remedies,
                   "echo nvme > /sys/bus/pci/devices/0000:04:00.0/driver_override; "
                   "echo 0000:04:00.0 > /sys/bus/pci/devices/0000:04:00.0/driver/unbind; "
                   "echo 0000:04:00.0 > /sys/bus/pci/drivers_probe"));
    CHECK(render_tree(diagnose(machine.sysfs()), 80).find("0000:04:00.0 SSD, vfio-pci\n") != std::string::npos);
    CHECK(to_json(diagnose(machine.sysfs())).find("\"other_driver\": \"vfio-pci\"") != std::string::npos);
  }
  SUBCASE("none") {
    machine.other_ssd("pci0000:00", kSsd, "");
    CHECK(mentions(only_pair(machine).reasons, "0000:04:00.0 has no driver"));
    CHECK(only_pair(machine).remedies.front().find("unbind") == std::string::npos);
  }
  CHECK(only_pair(machine).verdict == PairVerdict::No);
  CHECK(only_pair(machine).provider.empty());
}

TEST_CASE("RNICs whose drivers have no shared receive queues: which, and what to do") {
  for (const char* driver : {"ice", "i40e", "efa", "erdma", "ionic", "mana"}) {
    CAPTURE(driver);
    Machine machine;
    build(machine, Machine::Acs::Quiet, driver);
    CHECK(mentions(missing(diagnose(machine.sysfs())),
                   "the RNICs have shared receive queues, but not mlx5_0 (" + std::string(driver) +
                       "): serve other RNICs: the config's README names the families that nvmf-p2p can use"));
  }
  for (const char* driver : {"mlx5_core", "bnxt_en", "idpf"}) {
    Machine machine;
    build(machine, Machine::Acs::Quiet, driver);
    CHECK_FALSE(mentions(missing(diagnose(machine.sysfs())), "shared receive queues"));
  }
}

TEST_CASE("a kernel that is too old") {
  Machine machine;
  build(machine);
  machine.kernel("6.12.9-amd64");
  CHECK(only_pair(machine).verdict == PairVerdict::No);
  CHECK(mentions(missing(diagnose(machine.sysfs())), "Linux 6.17"));
  CHECK_FALSE(mentions(missing(diagnose(machine.sysfs())), "Linux 6.2 "));
}

TEST_CASE("Soft-RoCE: fine with jumbo frames, no with plain ones") {
  Machine machine;
  machine.healthy();
  machine.ssd(0, "pci0000:00", kSsd);
  machine.cmb(0, kSsd);
  SUBCASE("jumbo frames") {
    machine.soft_roce("rxe0", "eth0", 9000);
    CHECK(only_pair(machine).verdict == PairVerdict::Likely);
    CHECK(mentions(only_pair(machine).reasons, "the CPU copies"));
  }
  SUBCASE("plain frames") {
    machine.soft_roce("rxe0", "eth0", 1500);
    CHECK(only_pair(machine).verdict == PairVerdict::No);
    CHECK(mentions(only_pair(machine).remedies, "ip link set dev eth0 mtu 9000"));
  }
  SUBCASE("a port that is down") {
    machine.soft_roce("rxe0", "eth0", 9000);
    machine.port_state("rxe0", "1: DOWN");
    CHECK(mentions(only_pair(machine).remedies, "ip link set dev eth0 up"));
  }
}

TEST_CASE("a machine with nothing hears what to install") {
  Machine machine;
  const Report report = diagnose(machine.sysfs());
  CHECK(report.pairs.empty());
  CHECK(mentions(missing(report), "rdma-core"));
  CHECK(mentions(missing(report), "modprobe nvme"));
  CHECK(mentions(missing(report), "modprobe rdma_ucm"));
  CHECK(mentions(missing(report), "ulimit -l unlimited"));
  CHECK(render(report, 80).find("there is no pair") != std::string::npos);
}

TEST_CASE("an SSD behind another target is no SSD of this machine") {
  Machine machine;
  build(machine);
  machine.file("/sys/class/nvme/nvme7/transport", "rdma\n");
  CHECK(diagnose(machine.sysfs()).controllers.size() == 1);
}

TEST_CASE("modules and limits that are missing") {
  Machine machine;
  build(machine);
  machine.remove("/sys/class/infiniband_verbs");
  machine.file("/proc/self/status", "CapEff:\t0000000000000000\n");
  const auto wanted = missing(diagnose(machine.sysfs()));
  CHECK(mentions(wanted, "modprobe ib_uverbs"));
  CHECK(mentions(wanted, "LimitMEMLOCK=infinity"));
  machine.file("/proc/self/limits", "Max locked memory         unlimited            unlimited            bytes     \n");
  CHECK_FALSE(mentions(missing(diagnose(machine.sysfs())), "LimitMEMLOCK"));
}

TEST_CASE("the text shows devices, verdict, reason and remedy") {
  Machine machine;
  build(machine, Machine::Acs::Redirects);
  const std::string text = render(diagnose(machine.sysfs()), 400);
  CHECK(text.find("nvme0 with mlx5_0: may work") != std::string::npos);
  CHECK(text.find("Example SSD, serial S0; CMB 64 MiB, 63 MiB of it free; nvme0n1 1 MiB") != std::string::npos);
  CHECK(text.find("0000:05:00.0 (mlx5_core); port 1 ACTIVE on eth0, MTU 9000 (path MTU up to 4096)") !=
        std::string::npos);
  CHECK(text.find("-> boot with the kernel parameter pci=disable_acs_redir=") != std::string::npos);
}

TEST_CASE("the text keeps to its width") {
  Machine machine;
  build(machine, Machine::Acs::Redirects);
  const std::string text = render(diagnose(machine.sysfs()), 72);
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; start = end + 1, end = text.find('\n', start))
    CHECK(columns_of(text.substr(start, end - start)) <= 72);
  CHECK(start == text.size());
}

}  // namespace
}  // namespace nvmf::p2p::test
