#include "p2p/pci_path.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "p2p/acs.h"

namespace nvmf::p2p {
namespace {

constexpr int kZenFamily = 0x17;

constexpr uint16_t kIntel = 0x8086;
// The kernel's list, drivers/pci/p2pdma.c.
constexpr std::array<uint16_t, 4> kWithinOneHostBridge = {0x3c00, 0x3c01, 0x2f00, 0x2f01};
constexpr std::array<uint16_t, 6> kAcrossHostBridges = {0x2030, 0x2031, 0x2032, 0x2033, 0x2020, 0x09a2};

HostBridges look_up(const PciDevice& device) {
  if (device.host_bridge_vendor == 0) return HostBridges::Unknown;
  const auto in = [&](const auto& list) {
    return device.host_bridge_vendor == kIntel && std::ranges::find(list, device.host_bridge_device) != list.end();
  };
  if (in(kAcrossHostBridges)) return HostBridges::Listed;
  return in(kWithinOneHostBridge) ? HostBridges::WithinOne : HostBridges::NotListed;
}

std::string host_bridge_of(const PciDevice& device) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04x:%04x", device.host_bridge_vendor, device.host_bridge_device);
  return text.data();
}

// The worse of both ends decides.
void note_host_bridges(const PciDevice& ssd, const PciDevice& rnic, PciPath& path) {
  const HostBridges a = look_up(ssd);
  const HostBridges b = look_up(rnic);
  const bool seen = a != HostBridges::Unknown && b != HostBridges::Unknown;
  path.host_bridges = seen ? std::max(a, b) : HostBridges::Unknown;
  if (path.host_bridges == HostBridges::NotListed) path.unlisted = host_bridge_of(a >= b ? ssd : rnic);
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

// Notes the ACS state of `functions` from the first to the one before `end`.
void note_acs(const std::vector<PciFunction>& functions, size_t end, PciPath& path) {
  for (size_t i = 0; i < end; ++i) {
    if (functions[i].acs == AcsRedirect::On) path.redirecting.push_back(functions[i].bdf);
    if (functions[i].acs == AcsRedirect::Unknown) path.unknown_acs.push_back(functions[i].bdf);
  }
}

// Where both paths up meet: an index into each, or the sizes when they do not meet.
std::pair<size_t, size_t> meeting(const std::vector<PciFunction>& a, const std::vector<PciFunction>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j)
      if (a[i].bdf == b[j].bdf) return {i, j};
  return {a.size(), b.size()};
}

std::string acs_commands(const std::vector<std::string>& functions) {
  std::vector<std::string> commands;
  for (const std::string& function : functions) commands.push_back(acs_command(function));
  return joined(commands, "; ");
}

std::string through_root_complex(const PciPath& path) {
  if (path.across_sockets) return "the data crosses from one processor socket to the other";
  return path.same_root_bus ? "the data goes up through the root complex"
                            : "the data goes from one host bridge to another";
}

// Whether the kernel's list refuses data that goes up through the root complex.
bool is_refused(const PciPath& path, const Platform& platform) {
  if (platform.root_complex != Platform::RootComplex::Listed) return false;
  return path.host_bridges == HostBridges::NotListed ||
         (path.host_bridges == HostBridges::WithinOne && !path.same_root_bus);
}

std::string opinion(const PciPath& path, const Platform& platform) {
  const std::string processor = platform.processor.empty() ? std::string() : " (" + platform.processor + ")";
  switch (platform.root_complex) {
    case Platform::RootComplex::Allowed:
      return "the kernel allows that on AMD processors since Zen" + processor;
    case Platform::RootComplex::Listed:
      if (path.host_bridges == HostBridges::NotListed)
        return "the kernel refuses that, because the host bridge " + path.unlisted + " is not on its list" + processor +
               " (a newer kernel may have it on its list: the self-test shows it)";
      if (path.host_bridges == HostBridges::WithinOne)
        return std::string("the kernel ") + (path.same_root_bus ? "allows" : "refuses") +
               " that: it allows data within this host bridge only" + processor;
      if (path.host_bridges == HostBridges::Listed)
        return "the kernel allows that, because the host bridges are on its list" + processor;
      return "the kernel allows that on the Intel server processors that it lists" + processor +
             ", on older ones only within one host bridge";
    case Platform::RootComplex::Unknown:
      break;
  }
  return "the kernel allows that only for AMD processors since Zen and listed Intel server processors" + processor;
}

}  // namespace

Platform read_platform(const Sysfs& sysfs) {
  Platform platform;
  std::istringstream lines(sysfs.content("/proc/cpuinfo"));
  std::string vendor;
  int family = 0;
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    const auto colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(colon + 2);
    if (line.starts_with("vendor_id")) vendor = value;
    if (line.starts_with("cpu family")) family = std::atoi(value.c_str());
    if (line.starts_with("model name")) platform.processor = value;
  }
  if (vendor == "AuthenticAMD" && family >= kZenFamily) platform.root_complex = Platform::RootComplex::Allowed;
  if (vendor == "GenuineIntel") platform.root_complex = Platform::RootComplex::Listed;
  return platform;
}

PciPath find_path(const PciDevice& ssd, const PciDevice& rnic) {
  PciPath path;
  note_host_bridges(ssd, rnic, path);
  const auto [from_ssd, from_rnic] = meeting(ssd.upward, rnic.upward);
  path.distance = static_cast<unsigned>(from_ssd + from_rnic);
  path.same_root_bus = ssd.root_bus == rnic.root_bus;
  path.across_sockets = ssd.numa_node >= 0 && rnic.numa_node >= 0 && ssd.numa_node != rnic.numa_node;
  if (from_ssd == ssd.upward.size()) {
    path.kind = PathKind::RootComplex;
    return path;
  }
  path.shared_bridge = ssd.upward[from_ssd].bdf;
  note_acs(ssd.upward, from_ssd + 1, path);
  note_acs(rnic.upward, from_rnic, path);
  path.kind = path.redirecting.empty() ? PathKind::SharedBridge : PathKind::Redirected;
  return path;
}

PciPath software_path() { return {}; }

PathVerdict judge(const PciPath& path, const Platform& platform) {
  switch (path.kind) {
    case PathKind::NotPci:
      return PathVerdict::Good;
    case PathKind::SharedBridge:
      return path.unknown_acs.empty() ? PathVerdict::Good : PathVerdict::Depends;
    case PathKind::Redirected:
    case PathKind::RootComplex:
      break;
  }
  if (platform.root_complex == Platform::RootComplex::Unknown || is_refused(path, platform)) return PathVerdict::Bad;
  return PathVerdict::Depends;
}

std::string explain(const PciPath& path, const Platform& platform) {
  switch (path.kind) {
    case PathKind::NotPci:
      return "the RNIC is software: the CPU copies data to and from the CMB, which is good enough to try things out";
    case PathKind::SharedBridge:
      if (path.unknown_acs.empty())
        return "SSD and RNIC are below the same bridge " + path.shared_bridge + ": the path is direct";
      return "SSD and RNIC are below the same bridge " + path.shared_bridge +
             ": the path is direct, unless ACS redirection is on in " + joined(path.unknown_acs, ", ") +
             ", whose state only root can read";
    case PathKind::Redirected:
      return "SSD and RNIC are below the same bridge " + path.shared_bridge + ", but ACS redirection in " +
             joined(path.redirecting, ", ") + " sends the data up through the root complex; " + opinion(path, platform);
    case PathKind::RootComplex:
      break;
  }
  return "SSD and RNIC have no bridge in common: " + through_root_complex(path) + "; " + opinion(path, platform) +
         ", and on some platforms only one direction works: the self-test shows it";
}

std::vector<std::string> remedies(const PciPath& path, const Platform& platform) {
  if (path.kind == PathKind::Redirected)
    return {"boot with the kernel parameter " + acs_boot_parameter(path.redirecting) +
                " (these devices then reach each other without the IOMMU)",
            "or until the next boot: " + acs_commands(path.redirecting), "or turn ACS off in the firmware setup"};
  if (path.kind == PathKind::SharedBridge && !path.unknown_acs.empty())
    return {"run nvmf-p2p doctor as root to see the ACS state"};
  if (path.kind != PathKind::RootComplex) return {};
  std::vector<std::string> advice = {"move SSD and RNIC below one PCIe switch"};
  if (path.across_sockets) advice.emplace_back("or at least put both into PCIe slots of the same processor socket");
  if (platform.root_complex != Platform::RootComplex::Allowed)
    advice.emplace_back("the kernel log has the refusals: dmesg | grep -i p2pdma");
  return advice;
}

}  // namespace nvmf::p2p
