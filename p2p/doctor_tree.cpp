// render_tree(): where SSDs and RNICs sit on PCI Express.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "p2p/doctor.h"

namespace nvmf::p2p {
namespace {

// A function, or at the top a root bus, with what is below it in the order of the addresses.
struct Node {
  std::string label;
  bool on_way = false;  // on the path between an SSD with peer memory and an RNIC
  std::map<std::string, Node> below;
};

// From the root port down: root port, then each switch as its upstream port and one of its downstream ports.
std::string kind_of_bridge(size_t level) {
  if (level == 0) return "root port";
  return level % 2 == 1 ? "switch" : "switch port";
}

std::string acs_of(const PciFunction& function) {
  switch (function.acs) {
    case AcsRedirect::On:
      return ", ACS redirects";
    case AcsRedirect::Unknown:
      return ", ACS unknown";
    case AcsRedirect::Off:
      break;
  }
  return {};
}

std::string label_of_device(const Report& report, const PciDevice& device) {
  for (const NvmeController& ssd : report.controllers) {
    if (ssd.bdf != device.bdf) continue;
    if (ssd.other_driver) return "SSD, " + (ssd.other_driver->empty() ? "no driver" : *ssd.other_driver);
    const uint64_t mib = ssd.peer_memory ? ssd.peer_memory->size_bytes >> 20U : 0;
    return ssd.name + ", SSD, " + (ssd.peer_memory ? "CMB " + std::to_string(mib) + " MiB" : "no CMB");
  }
  std::string label;
  for (const RdmaDevice& rnic : report.rnics)
    if (rnic.bdf == device.bdf) label += (label.empty() ? "" : ", ") + rnic.name;
  return label + ", RNIC";
}

class Tree {
 public:
  explicit Tree(const Report& report) : report_(report) {
    for (const PairReport& pair : report.pairs) mark_way(pair);
    for (const PciDevice& device : report.pci) add(device);
  }

  std::string text(size_t width) const {
    std::string out;
    for (const auto& [bus, node] : roots_) {
      out += cut("  " + bus + " " + node.label, width) + "\n";
      append(node, "  ", width, out);
    }
    return out;
  }

 private:
  const PciDevice* device_at(const std::string& bdf) const {
    const auto found = std::ranges::find_if(report_.pci, [&](const PciDevice& device) { return device.bdf == bdf; });
    return found != report_.pci.end() ? &*found : nullptr;
  }

  void mark_way(const PairReport& pair) {
    if (!pair.path || pair.path->kind == PathKind::NotPci) return;
    for (const NvmeController& ssd : report_.controllers)
      if (ssd.name == pair.ssd) mark_up(ssd.bdf, *pair.path);
    for (const RdmaDevice& rnic : report_.rnics)
      if (rnic.name == pair.rnic) mark_up(rnic.bdf, *pair.path);
  }

  // Marks the path from a device up to the common bridge, or up to the root when ACS redirects the data or no bridge is
  // common.
  void mark_up(const std::string& bdf, const PciPath& path) {
    const PciDevice* device = device_at(bdf);
    if (device == nullptr) return;
    for (const PciFunction& function : device->upward) {
      if (path.kind == PathKind::SharedBridge && function.bdf == path.shared_bridge) return;
      on_way_.insert(function.bdf);
    }
  }

  void add(const PciDevice& device) {
    Node& root = roots_[device.root_bus];
    root.label = "host bridge";
    if (device.numa_node >= 0) root.label += ", socket " + std::to_string(device.numa_node);
    Node* node = &root;
    for (size_t i = device.upward.size(); i-- > 0;) {
      const PciFunction& function = device.upward[i];
      node = &node->below[function.bdf];
      node->on_way = on_way_.contains(function.bdf);
      const bool is_device = i == 0;
      const std::string label =
          is_device ? label_of_device(report_, device) : kind_of_bridge(device.upward.size() - 1 - i);
      node->label = label + acs_of(function);
    }
  }

  static void append(const Node& parent, const std::string& indent, size_t width, std::string& out) {
    size_t left = parent.below.size();
    for (const auto& [bdf, node] : parent.below) {
      const bool last = --left == 0;
      const std::string corner = last ? (node.on_way ? "╚═ " : "└─ ") : (node.on_way ? "╠═ " : "├─ ");
      std::string line = indent;
      line.append(corner).append(bdf).append(" ").append(node.label);
      out.append(cut(std::move(line), width)).append("\n");
      append(node, indent + stem(parent, bdf, last), width, out);
    }
  }

  // The column below a function's corner: the path or a plain line continues down to a later sibling, or it is empty.
  static std::string stem(const Node& parent, const std::string& bdf, bool last) {
    if (last) return "   ";
    const auto later = std::find_if(parent.below.upper_bound(bdf), parent.below.end(),
                                    [](const auto& entry) { return entry.second.on_way; });
    return later != parent.below.end() ? "║  " : "│  ";
  }

  static std::string cut(std::string line, size_t width) {
    size_t columns = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      const bool begins_character = (static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U;
      if (begins_character && ++columns > width) return line.substr(0, i);
    }
    return line;
  }

  const Report& report_;
  std::set<std::string> on_way_;
  std::map<std::string, Node> roots_;
};

}  // namespace

std::string render_tree(const Report& report, size_t width) { return Tree(report).text(width); }

}  // namespace nvmf::p2p
