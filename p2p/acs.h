// What turns Access Control Services' redirection off in functions on the paths between SSDs and RNICs.
#pragma once

#include <string>
#include <vector>

#include "p2p/doctor.h"

namespace nvmf::p2p {

// The functions that redirect data of any pair of the report, by address.
std::vector<std::string> redirecting_functions(const Report& report);

// For the kernel's command line: "pci=disable_acs_redir=0000:22:00.0;0000:22:01.0".
std::string acs_boot_parameter(const std::vector<std::string>& functions);
// A command that does the same until the next boot: P2P Request Redirect, P2P Completion Redirect and P2P Egress
// Control off (PCI Express Base Specification, 7.7.11.3), the others as they are.
std::string acs_command(const std::string& function);

// A file for /etc/default/grub.d that adds the boot parameter.
std::string grub_drop_in(const std::vector<std::string>& functions);
// How such a file begins: only one that begins so is overwritten.
inline constexpr char kGrubDropInMark[] = "# Written by nvmf-p2p doctor.";

}  // namespace nvmf::p2p
