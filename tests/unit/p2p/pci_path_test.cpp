#include "p2p/pci_path.h"

#include <doctest/doctest.h>

#include <utility>

#include "machine.h"

namespace nvmf::p2p::test {
namespace {

constexpr const char* kSsd = "0000:04:00.0";
constexpr const char* kRnic = "0000:05:00.0";

// A switch with the SSD below one port and the RNIC below another.
void build_switch(Machine& machine, Machine::Acs ssd_side, Machine::Acs rnic_side,
                  Machine::Acs upstream = Machine::Acs::None) {
  const std::string root_port = machine.pci("pci0000:00", "0000:00:01.0", Machine::Acs::Redirects);
  const std::string up = machine.pci(root_port, "0000:01:00.0", upstream);
  machine.pci(machine.pci(up, "0000:02:00.0", ssd_side), kSsd);
  machine.pci(machine.pci(up, "0000:02:01.0", rnic_side), kRnic);
}

PciPath path_of(const Machine& machine) {
  return find_path(*read_pci_device(machine.sysfs(), kSsd), *read_pci_device(machine.sysfs(), kRnic));
}

Platform platform(const char* vendor, int family) {
  Machine machine;
  machine.processor(vendor, family, "Model");
  return read_platform(machine.sysfs());
}

const Platform kAmd = {Platform::RootComplex::Allowed, "AMD EPYC"};
const Platform kIntel = {Platform::RootComplex::Listed, "Intel Xeon"};
const Platform kOther = {};

TEST_CASE("below one switch: direct, whatever the root port above does") {
  Machine machine;
  build_switch(machine, Machine::Acs::Quiet, Machine::Acs::None);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::SharedBridge);
  CHECK(path.shared_bridge == "0000:01:00.0");
  CHECK(path.distance == 4);
  CHECK(judge(path, kOther) == PathVerdict::Good);
  CHECK(remedies(path, kOther).empty());
  CHECK(explain(path, kOther) == "SSD and RNIC are below the same bridge 0000:01:00.0: the path is direct");
}

TEST_CASE("below one switch with ACS redirection: the kernel's own parameter is the remedy") {
  Machine machine;
  build_switch(machine, Machine::Acs::Redirects, Machine::Acs::Redirects);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::Redirected);
  CHECK(path.redirecting == std::vector<std::string>{"0000:02:00.0", "0000:02:01.0"});
  CHECK(judge(path, kOther) == PathVerdict::Bad);
  CHECK(judge(path, kAmd) == PathVerdict::Depends);
  CHECK(remedies(path, kAmd).front().find("pci=disable_acs_redir=0000:02:00.0;0000:02:01.0 ") != std::string::npos);
}

TEST_CASE("below one switch whose upstream port redirects: the kernel looks at the shared bridge, too") {
  Machine machine;
  build_switch(machine, Machine::Acs::None, Machine::Acs::None, Machine::Acs::Redirects);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::Redirected);
  CHECK(path.redirecting == std::vector<std::string>{"0000:01:00.0"});
}

TEST_CASE("ACS that only root can read is a maybe") {
  Machine machine;
  build_switch(machine, Machine::Acs::Unreadable, Machine::Acs::None);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::SharedBridge);
  CHECK(judge(path, kAmd) == PathVerdict::Depends);
  CHECK(explain(path, kAmd).find("0000:02:00.0") != std::string::npos);
  CHECK(remedies(path, kAmd).front().find("as root") != std::string::npos);
}

TEST_CASE("two root ports of one host bridge") {
  Machine machine;
  machine.pci(machine.pci("pci0000:00", "0000:00:01.0"), kSsd, Machine::Acs::None, 0);
  machine.pci(machine.pci("pci0000:00", "0000:00:02.0"), kRnic, Machine::Acs::None, 0);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::RootComplex);
  CHECK(path.same_root_bus);
  CHECK(judge(path, kAmd) == PathVerdict::Depends);
  CHECK(judge(path, kIntel) == PathVerdict::Depends);
  CHECK(judge(path, kOther) == PathVerdict::Bad);
  CHECK(explain(path, kAmd).find("AMD EPYC") != std::string::npos);
  CHECK(explain(path, kIntel).find("processors that it lists") != std::string::npos);
  CHECK(remedies(path, kAmd).front() == "move SSD and RNIC below one PCIe switch");
}

TEST_CASE("two sockets") {
  Machine machine;
  machine.pci(machine.pci("pci0000:00", "0000:00:01.0"), kSsd, Machine::Acs::None, 0);
  machine.pci(machine.pci("pci0000:80", "0000:80:01.0"), kRnic, Machine::Acs::None, 1);
  const PciPath path = path_of(machine);
  CHECK(path.kind == PathKind::RootComplex);
  CHECK_FALSE(path.same_root_bus);
  CHECK(path.across_sockets);
  CHECK(explain(path, kIntel).find("socket") != std::string::npos);
  CHECK(remedies(path, kIntel).size() == 3);
}

TEST_CASE("a NUMA node that is known of one side only is no other socket") {
  for (const auto& [of_ssd, of_rnic] : {std::pair{0, -1}, std::pair{-1, 1}}) {
    Machine machine;
    machine.pci(machine.pci("pci0000:00", "0000:00:01.0"), kSsd, Machine::Acs::None, of_ssd);
    machine.pci(machine.pci("pci0000:80", "0000:80:01.0"), kRnic, Machine::Acs::None, of_rnic);
    CHECK_FALSE(path_of(machine).across_sockets);
  }
}

TEST_CASE("Soft-RoCE is no PCI device, and says so") {
  CHECK(judge(software_path(), kOther) == PathVerdict::Good);
  CHECK(explain(software_path(), kOther).find("the CPU copies") != std::string::npos);
}

TEST_CASE("platforms") {
  CHECK(platform("AuthenticAMD", 0x17).root_complex == Platform::RootComplex::Allowed);
  CHECK(platform("AuthenticAMD", 0x15).root_complex == Platform::RootComplex::Unknown);
  CHECK(platform("GenuineIntel", 6).root_complex == Platform::RootComplex::Listed);
  CHECK(platform("Other", 1).root_complex == Platform::RootComplex::Unknown);
}

}  // namespace
}  // namespace nvmf::p2p::test
