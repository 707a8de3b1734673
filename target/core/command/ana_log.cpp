// Asymmetric Namespace Access log page: NVMe Base 2.0, section 5.16.1.10.
#include <cstring>
#include <map>
#include <vector>

#include "target/core/command/controller_of.h"
#include "target/core/command/log_page.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/ana.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

static_assert(sizeof(nvme_ana_log) == 16 && sizeof(nvme_ana_group_desc) == 32);

// ANAGRPID to NSIDs, both ascending: the groups that have namespaces.
using Groups = std::map<uint32_t, std::vector<uint32_t>>;

Groups groups_of(const Request& request) {
  Groups groups;
  for (const NamespaceOptions& ns : subsystem_of(request).namespaces()) {
    if ((controller_of(request).denials(ns.nsid) & kHidden) != 0) continue;
    groups[ns.ana_group].push_back(ns.nsid);
  }
  return groups;
}

// RGO: descriptors without the namespaces.
bool groups_only(const Request& request) {
  return (log_specific_field(*request.sqe) & NVME_LOG_ANA_LSP_RGO_GROUPS_ONLY) != 0;
}

}  // namespace

void write_ana_log(Request& request, LogWriter& log) {
  Controller& controller = controller_of(request);
  controller.ana_log_read();
  const AnaStates& ana = controller.subsystem().ana();
  const Groups groups = groups_of(request);
  nvme_ana_log header;
  std::memset(&header, 0, sizeof(header));
  header.chgcnt = ana.log_change_count(controller.port_id());
  header.ngrps = static_cast<uint16_t>(groups.size());
  log.put(header);
  for (const auto& [group, nsids] : groups) {
    const size_t listed = groups_only(request) ? 0 : nsids.size();
    nvme_ana_group_desc descriptor{};
    descriptor.grpid = group;
    descriptor.nnsids = static_cast<uint32_t>(listed);
    descriptor.chgcnt = ana.change_count(group, controller.port_id());
    descriptor.state = static_cast<uint8_t>(ana.state(group, controller.port_id()));
    log.put(descriptor);
    log.put(nsids.data(), listed * sizeof(uint32_t));
  }
}

}  // namespace nvmf::core
