// Doctor on the PCI trees of real kinds of machine: what it says, what it draws, what it advises.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "machine.h"
#include "p2p/doctor.h"

namespace nvmf::p2p::test {
namespace {

bool mentions(const std::vector<std::string>& texts, const std::string& what) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.find(what) != std::string::npos; });
}

const PairReport& pair_of(const Report& report, const std::string& ssd, const std::string& rnic) {
  const auto found =
      std::ranges::find_if(report.pairs, [&](const PairReport& pair) { return pair.ssd == ssd && pair.rnic == rnic; });
  REQUIRE(found != report.pairs.end());
  return *found;
}

// A storage shelf: a root port, a switch with the RNIC and two SSDs, one of them without CMB.
void one_switch(Machine& machine, Machine::Acs acs) {
  machine.healthy();
  const std::string up = machine.pci(machine.pci("pci0000:20", "0000:20:01.1"), "0000:21:00.0");
  machine.rnic("mlx5_0", machine.pci(up, "0000:22:00.0", acs), "0000:23:00.0");
  machine.ssd(0, machine.pci(up, "0000:22:01.0", acs), "0000:24:00.0");
  machine.cmb(0, "0000:24:00.0");
  machine.ssd(1, machine.pci(up, "0000:22:02.0", acs), "0000:25:00.0");
}

TEST_CASE("one switch: direct, and the way is marked from the SSD with CMB to the RNIC") {
  Machine machine;
  one_switch(machine, Machine::Acs::Quiet);
  const Report report = diagnose(machine.sysfs());
  CHECK(pair_of(report, "nvme0", "mlx5_0").verdict == PairVerdict::Likely);
  CHECK(pair_of(report, "nvme0", "mlx5_0").provider == "the kernel's p2pmem, registered with on-demand paging");
  CHECK(pair_of(report, "nvme1", "mlx5_0").verdict == PairVerdict::No);
  CHECK(pair_of(report, "nvme1", "mlx5_0").provider.empty());
  CHECK(render_tree(report, 80) == R"(  pci0000:20 host bridge
  └─ 0000:20:01.1 root port
     └─ 0000:21:00.0 switch
        ╠═ 0000:22:00.0 switch port
        ║  ╚═ 0000:23:00.0 mlx5_0, RNIC
        ╠═ 0000:22:01.0 switch port
        │  ╚═ 0000:24:00.0 nvme0, SSD, CMB 64 MiB
        └─ 0000:22:02.0 switch port
           └─ 0000:25:00.0 nvme1, SSD, no CMB
)");
}

TEST_CASE("one switch with ACS on: up through the root port, with the boot parameter that mends it") {
  Machine machine;
  one_switch(machine, Machine::Acs::Redirects);
  const Report report = diagnose(machine.sysfs());
  const PairReport& pair = pair_of(report, "nvme0", "mlx5_0");
  CHECK(pair.verdict == PairVerdict::Depends);
  CHECK(mentions(pair.remedies, "pci=disable_acs_redir=0000:22:01.0;0000:22:00.0 "));
  const std::string tree = render_tree(report, 80);
  CHECK(tree.find("  ╚═ 0000:20:01.1 root port\n") != std::string::npos);
  CHECK(tree.find("╠═ 0000:22:00.0 switch port, ACS redirects\n") != std::string::npos);
}

// A server without switches: a root port for each device.
void two_root_ports(Machine& machine) {
  machine.healthy();
  machine.ssd(0, machine.pci("pci0000:00", "0000:00:1c.0"), "0000:03:00.0");
  machine.cmb(0, "0000:03:00.0");
  machine.rnic("mlx5_0", machine.pci("pci0000:00", "0000:00:1d.0"), "0000:04:00.0");
}

TEST_CASE("two root ports: it depends on the processor") {
  Machine machine;
  two_root_ports(machine);
  SUBCASE("AMD Zen") {
    const Report report = diagnose(machine.sysfs());
    CHECK(pair_of(report, "nvme0", "mlx5_0").verdict == PairVerdict::Depends);
    CHECK(mentions(pair_of(report, "nvme0", "mlx5_0").remedies, "below one PCIe switch"));
    CHECK(render_tree(report, 80) == R"(  pci0000:00 host bridge
  ╠═ 0000:00:1c.0 root port
  ║  ╚═ 0000:03:00.0 nvme0, SSD, CMB 64 MiB
  ╚═ 0000:00:1d.0 root port
     ╚═ 0000:04:00.0 mlx5_0, RNIC
)");
  }
  SUBCASE("an Intel server whose host bridge is on the kernel's list") {
    machine.processor("GenuineIntel", 6, "Intel Xeon Gold 6430");
    machine.host_bridge("pci0000:00", "0x8086", "0x09a2");
    const Report report = diagnose(machine.sysfs());
    CHECK(pair_of(report, "nvme0", "mlx5_0").verdict == PairVerdict::Depends);
    CHECK(mentions(pair_of(report, "nvme0", "mlx5_0").reasons, "the host bridges are on its list"));
  }
  SUBCASE("an Intel desktop whose host bridge is not") {
    machine.processor("GenuineIntel", 6, "Intel Core i7-8700");
    machine.host_bridge("pci0000:00", "0x8086", "0x3ec2");
    const Report report = diagnose(machine.sysfs());
    CHECK(pair_of(report, "nvme0", "mlx5_0").verdict == PairVerdict::No);
    CHECK(mentions(pair_of(report, "nvme0", "mlx5_0").reasons, "the host bridge 8086:3ec2 is not on its list"));
  }
  SUBCASE("a processor that the kernel does not know") {
    machine.processor("CentaurHauls", 6, "VIA");
    CHECK(pair_of(diagnose(machine.sysfs()), "nvme0", "mlx5_0").verdict == PairVerdict::No);
  }
}

// A server with two sockets: the SSD on the first, an RNIC on each.
void two_sockets(Machine& machine, const std::string& host_bridge) {
  machine.healthy();
  machine.processor("GenuineIntel", 6, "Intel Xeon E5-2680");
  machine.host_bridge("pci0000:00", "0x8086", host_bridge);
  machine.host_bridge("pci0000:80", "0x8086", host_bridge);
  machine.ssd(0, machine.pci("pci0000:00", "0000:00:02.0"), "0000:02:00.0", 0);
  machine.cmb(0, "0000:02:00.0");
  machine.rnic("mlx5_0", machine.pci("pci0000:00", "0000:00:03.0"), "0000:03:00.0", "mlx5_core", 0);
  machine.rnic("mlx5_1", machine.pci("pci0000:80", "0000:80:02.0"), "0000:81:00.0", "mlx5_core", 1);
}

TEST_CASE("two sockets: an older Intel server carries data within one host bridge only") {
  Machine machine;
  two_sockets(machine, "0x2f00");
  const Report report = diagnose(machine.sysfs());
  CHECK(pair_of(report, "nvme0", "mlx5_0").verdict == PairVerdict::Depends);
  const PairReport& across = pair_of(report, "nvme0", "mlx5_1");
  CHECK(across.verdict == PairVerdict::No);
  CHECK(mentions(across.reasons, "crosses from one processor socket to the other"));
  CHECK(mentions(across.reasons, "within this host bridge only"));
  CHECK(mentions(across.remedies, "slots of the same processor socket"));
  const std::string tree = render_tree(report, 80);
  CHECK(tree.find("pci0000:00 host bridge, socket 0\n") != std::string::npos);
  CHECK(tree.find("pci0000:80 host bridge, socket 1\n") != std::string::npos);
}

TEST_CASE("two sockets: a newer one may") {
  Machine machine;
  two_sockets(machine, "0x2030");
  CHECK(pair_of(diagnose(machine.sysfs()), "nvme0", "mlx5_1").verdict == PairVerdict::Depends);
}

TEST_CASE("no switch, no IOMMU, Soft-RoCE: there is no way on PCI to draw") {
  Machine machine;
  machine.healthy();
  machine.ssd(0, "pci0000:00", "0000:00:04.0");
  machine.cmb(0, "0000:00:04.0");
  machine.soft_roce("rxe0", "eth0", 9000);
  const Report report = diagnose(machine.sysfs());
  CHECK(pair_of(report, "nvme0", "rxe0").verdict == PairVerdict::Likely);
  CHECK(render_tree(report, 80) == "  pci0000:00 host bridge\n  └─ 0000:00:04.0 nvme0, SSD, CMB 64 MiB\n");
}

TEST_CASE("an RNIC without on-demand paging, and no CMB anywhere") {
  Machine machine;
  machine.healthy();
  machine.ssd(0, machine.pci("pci0000:00", "0000:00:1c.0"), "0000:03:00.0");
  machine.rnic("bnxt_re0", machine.pci("pci0000:00", "0000:00:1d.0"), "0000:04:00.0", "bnxt_en");
  const Report without = diagnose(machine.sysfs());
  CHECK(mentions(pair_of(without, "nvme0", "bnxt_re0").reasons, "has no controller memory buffer"));
  CHECK(render_tree(without, 80).find("═") == std::string::npos);
  machine.cmb(0, "0000:03:00.0");
  CHECK(mentions(pair_of(diagnose(machine.sysfs()), "nvme0", "bnxt_re0").reasons, "no on-demand paging"));
}

TEST_CASE("lines of the tree are cut at the width, between characters") {
  Machine machine;
  one_switch(machine, Machine::Acs::Quiet);
  const std::string tree = render_tree(diagnose(machine.sysfs()), 40);
  CHECK(tree.find("        ║  ╚═ 0000:23:00.0 mlx5_0, RNIC\n") != std::string::npos);
  CHECK(tree.find("        │  ╚═ 0000:24:00.0 nvme0, SSD, C\n") != std::string::npos);
}

TEST_CASE("machines read the same") {
  Machine machine;
  one_switch(machine, Machine::Acs::Redirects);
  const auto json = nlohmann::json::parse(to_json(diagnose(machine.sysfs())));
  CHECK(json["kernel"] == "7.3.4+deb13-amd64");
  REQUIRE(json["pairs"].size() == 2);
  CHECK(json["pairs"][0]["verdict"] == "may work");
  CHECK(json["pairs"][0]["path"]["kind"] == "redirected");
  CHECK(json["pairs"][0]["path"]["redirecting"] == nlohmann::json{"0000:22:01.0", "0000:22:00.0"});
  CHECK(json["pairs"][1]["path"].is_null());
  CHECK(json["ssds"][0]["peer_memory"]["available_bytes"] == 63 << 20);
  CHECK(json["rnics"][0]["ports"][0]["netdevs"] == nlohmann::json{"eth0"});
  CHECK(json["pci"].size() == 3);
}

}  // namespace
}  // namespace nvmf::p2p::test
