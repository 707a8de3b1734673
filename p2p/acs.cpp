#include "p2p/acs.h"

#include <set>

namespace nvmf::p2p {

std::vector<std::string> redirecting_functions(const Report& report) {
  std::set<std::string> functions;
  for (const PairReport& pair : report.pairs)
    if (pair.path) functions.insert(pair.path->redirecting.begin(), pair.path->redirecting.end());
  return {functions.begin(), functions.end()};
}

std::string acs_boot_parameter(const std::vector<std::string>& functions) {
  std::string parameter = "pci=disable_acs_redir=";
  for (size_t i = 0; i < functions.size(); ++i) parameter += (i == 0 ? "" : ";") + functions[i];
  return parameter;
}

std::string acs_command(const std::string& function) { return "setpci -s " + function + " ECAP_ACS+6.w=0:2c"; }

// GRUB ends a command at a semicolon, unless it is in quotes.
std::string grub_drop_in(const std::vector<std::string>& functions) {
  return std::string(kGrubDropInMark) +
         " These PCI functions no longer send data between SSDs and RNICs up through\n"
         "# the root complex; the devices below them then reach each other without the IOMMU. Takes effect after\n"
         "# update-grub and a reboot. Without it: remove this file, update-grub, reboot.\n"
         "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT '" +
         acs_boot_parameter(functions) + "'\"\n";
}

}  // namespace nvmf::p2p
