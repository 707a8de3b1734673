// Which pairs of SSD and RNIC on this machine can do peer-to-peer, the obstacles and their remedies. For `nvmf-p2p
// doctor`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "p2p/nvme_inventory.h"
#include "p2p/pci_path.h"
#include "p2p/rdma_inventory.h"
#include "p2p/requirements.h"
#include "p2p/self_test.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

enum class PairVerdict : uint8_t {
  Works,    // the self-test has proved at least one direction
  Likely,   // no obstacle is known
  Depends,  // on the platform, or on something that only the self-test can show
  No,
};
const char* name_of(PairVerdict verdict);

// One SSD with one RNIC.
struct PairReport {
  std::string ssd;   // "nvme0"
  std::string rnic;  // "mlx5_0"
  PairVerdict verdict = PairVerdict::No;
  std::vector<std::string> reasons;   // sentences
  std::vector<std::string> remedies;  // commands and actions, best first
  std::string provider;               // how the RNIC reaches the CMB; empty: it cannot
  std::optional<PciPath> path;        // none: the PCI devices could not be read
};

struct Report {
  KernelVersion kernel;
  Platform platform;
  std::string user = "this user";   // whose rights are judged: user_of()
  std::vector<std::string> iommus;  // that translate the devices' addresses, "dmar0"; empty: none is on
  std::vector<Requirement> requirements;
  std::vector<NvmeController> controllers;  // local SSDs only
  std::vector<RdmaDevice> rnics;
  std::vector<PciDevice> pci;     // the PCI devices of the SSDs and RNICs
  std::vector<PairReport> pairs;  // every SSD with every RNIC
};

// Reads sysfs only; changes nothing, opens no device. Works on machines without RNIC or SSD. Never throws.
Report diagnose(const Sysfs& sysfs);

// Runs the self-test of every pair with a CMB, and puts the result into the pair's report. Meanwhile it holds all free
// memory of each CMB; it only reads the SSDs' media. A CMB that a running target uses is reported as such.
void run_self_tests(const Sysfs& sysfs, Report& report);

// For a terminal of `width` columns (at least 40); ends with a line feed.
std::string render(const Report& report, size_t width);

// The part of the PCI tree with SSDs and RNICs, and the paths between them, no line longer than `width` columns. UTF-8;
// empty when there is nothing to draw.
std::string render_tree(const Report& report, size_t width);

// The whole report as one JSON object, for machines.
std::string to_json(const Report& report);

}  // namespace nvmf::p2p
