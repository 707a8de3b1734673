// render(): doctor's report as text.
#include <algorithm>
#include <array>
#include <sstream>

#include "p2p/acs.h"
#include "p2p/doctor.h"

namespace nvmf::p2p {
namespace {

constexpr size_t kNarrowest = 40;

// Text with a hanging indent, broken at blanks.
class Page {
 public:
  explicit Page(size_t width) : width_(std::max(width, kNarrowest)) {}

  void heading(const std::string& text) { out_ << (out_.tellp() > 0 ? "\n" : "") << text << "\n"; }

  // `lead` starts the first line, as many blanks the others.
  void paragraph(const std::string& lead, const std::string& text) {
    std::istringstream words(text);
    std::string line = lead;
    bool fresh = true;
    for (std::string word; words >> word;) {
      if (!fresh && line.size() + 1 + word.size() > width_) {
        out_ << line << "\n";
        line = std::string(lead.size(), ' ');
        fresh = true;
      }
      line += (fresh ? "" : " ") + word;
      fresh = false;
    }
    out_ << line << "\n";
  }

  // To be copied, so never broken.
  void line(const std::string& text) { out_ << text << "\n"; }

  // Lines that already fit the width.
  void picture(const std::string& caption, const std::string& lines) {
    heading(caption);
    out_ << lines;
  }

  std::string text() const { return out_.str(); }

 private:
  size_t width_;
  std::ostringstream out_;
};

std::string size_text(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (unit + 1 < kUnits.size() && bytes >= 1024 && (bytes % 1024 == 0 || bytes >= uint64_t{10} * 1024)) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + " " + kUnits[unit];
}

std::string padded(std::string text, size_t columns) {
  text.resize(std::max(text.size(), columns), ' ');
  return text;
}

std::string describe(const NvmeController& controller) {
  if (controller.other_driver)
    return controller.other_driver->empty() ? "no driver" : "bound to " + *controller.other_driver;
  std::string text = controller.bdf + "  " + controller.model + ", serial " + controller.serial;
  if (controller.state != "live") text += ", " + controller.state;
  if (controller.peer_memory)
    text += "; CMB " + size_text(controller.peer_memory->size_bytes) + ", " +
            size_text(controller.peer_memory->available_bytes) + " of it free";
  else
    text += controller.cmb ? "; CMB " + size_text(controller.cmb->size_bytes) + ", not offered" : "; no CMB";
  for (const NvmeNamespace& one : controller.namespaces) text += "; " + one.block + " " + size_text(one.size_bytes);
  return text;
}

std::string describe(const RdmaDevice& rnic) {
  std::string text = rnic.software() ? std::string("software") : rnic.bdf;
  if (!rnic.driver.empty()) text += " (" + rnic.driver + ")";
  for (const RdmaPort& port : rnic.ports) {
    text += "; port " + std::to_string(port.number) + " " + port.state;
    if (port.netdev.empty()) continue;
    text += " on " + port.netdev + ", MTU " + std::to_string(port.netdev_mtu);
    if (port.ethernet) text += " (path MTU up to " + std::to_string(roce_path_mtu(port.netdev_mtu)) + ")";
  }
  return text;
}

void print_requirements(const Report& report, Page& page) {
  page.heading("Requirements");
  for (const Requirement& requirement : report.requirements) {
    page.paragraph(requirement.met ? "  ok       " : "  MISSING  ", requirement.what);
    if (!requirement.met && !requirement.remedy.empty()) page.paragraph("           -> ", requirement.remedy);
  }
}

template <class Device>
void print_devices(const std::string& heading, const std::vector<Device>& devices, Page& page) {
  page.heading(heading);
  for (const Device& device : devices) page.paragraph("  " + padded(device.name, 8) + " ", describe(device));
  if (devices.empty()) page.paragraph("  ", "none");
}

void print_pairs(const Report& report, Page& page) {
  page.heading("Peer-to-peer between SSD and RNIC");
  for (const PairReport& pair : report.pairs) {
    page.paragraph("  ", pair.ssd + " with " + pair.rnic + ": " + name_of(pair.verdict));
    if (!pair.provider.empty()) page.paragraph("    - ", "through " + pair.provider);
    for (const std::string& reason : pair.reasons) page.paragraph("    - ", reason);
    for (const std::string& remedy : pair.remedies) page.paragraph("    -> ", remedy);
  }
  if (report.pairs.empty()) page.paragraph("  ", "there is no pair: peer-to-peer needs an NVMe SSD and an RNIC");
}

void print_acs(const Report& report, Page& page) {
  const std::vector<std::string> functions = redirecting_functions(report);
  if (functions.empty()) return;
  page.heading("What turns ACS redirection off for all pairs");
  page.paragraph("  - ", "at each boot, a kernel parameter (nvmf-p2p doctor --grub-drop-in FILE writes it for GRUB):");
  page.line("    " + acs_boot_parameter(functions));
  page.paragraph("  - ", "until the next boot, as root:");
  for (const std::string& function : functions) page.line("    " + acs_command(function));
}

}  // namespace

std::string render(const Report& report, size_t width) {
  Page page(width);
  page.paragraph("", "Linux " + (report.kernel.release.empty() ? "(unknown)" : report.kernel.release) +
                         (report.platform.processor.empty() ? "" : " on " + report.platform.processor) +
                         (report.iommus.empty() ? ", IOMMU off" : ", IOMMU on"));
  print_requirements(report, page);
  print_devices("RNICs", report.rnics, page);
  print_devices("NVMe SSDs", report.controllers, page);
  const std::string tree = render_tree(report, width);
  if (!tree.empty()) page.picture("PCI tree (═ is the path between an SSD's CMB and an RNIC)", tree);
  print_pairs(report, page);
  print_acs(report, page);
  return page.text();
}

}  // namespace nvmf::p2p
