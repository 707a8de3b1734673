// Discovery log page: NVMe Base 2.0, section 5.16.1.23.
#include <bit>
#include <cstring>

#include "target/core/ascii.h"
#include "target/core/controller.h"
#include "target/core/limits.h"
#include "target/core/log_page.h"
#include "target/core/queue.h"
#include "target/core/subsystem.h"
#include "target/core/target.h"

namespace nvmf::core {
namespace {

static_assert(sizeof(nvmf_discovery_log) == 1024 && sizeof(nvmf_disc_log_entry) == 1024);

constexpr uint16_t kDynamicController = 0xffff;

// What an entry is about.
struct Way {
  nvme_subsys_type subtype;
  const std::string& nqn;
  const Port& port;
};

nvmf_disc_log_entry make_entry(const Way& way) {
  nvmf_disc_log_entry entry{};
  entry.trtype = NVMF_TRTYPE_RDMA;
  entry.adrfam = way.port.ipv6 ? NVMF_ADDR_FAMILY_IP6 : NVMF_ADDR_FAMILY_IP4;
  entry.subtype = static_cast<uint8_t>(way.subtype);
  entry.treq = NVMF_TREQ_NOT_SPECIFIED | NVMF_TREQ_DISABLE_SQFLOW;
  entry.portid = way.port.id;
  entry.cntlid = kDynamicController;
  entry.asqsz = limits::kAdminQueueDepth;
  // Every port leads to the same discovery subsystem, which keeps connections and reports changes.
  if (way.subtype == NVME_NQN_CURR) entry.eflags = NVMF_DISC_EFLAGS_EPCSD | NVMF_DISC_EFLAGS_DUPRETINFO;
  set_ascii(entry.trsvcid, std::to_string(way.port.service));
  set_ascii(entry.traddr, way.port.address);
  std::memcpy(entry.subnqn, way.nqn.data(), way.nqn.size());
  entry.tsas.rdma.qptype = NVMF_RDMA_QPTYPE_CONNECTED;
  entry.tsas.rdma.prtype = NVMF_RDMA_PRTYPE_NOT_SPECIFIED;
  entry.tsas.rdma.cms = NVMF_RDMA_CMS_RDMA_CM;
  return entry;
}

// PLEO: only what the port that the host asked offers.
bool port_local(const Request& request) { return (log_specific_field(*request.sqe) & NVMF_LOG_DISC_LSP_PLEO) != 0; }

// What the requesting host may connect to: one entry per subsystem and port, the discovery subsystem first, then where
// it is referred to.
template <typename Visit>
void for_each_entry(const Request& request, Visit visit) {
  const Controller& controller = *request.queue->controller;
  const Target& target = *request.queue->target;
  const auto visit_ports = [&](const Subsystem& subsystem, nvme_subsys_type subtype) {
    for (const Port& port : target.ports()) {
      const bool asked_for = !port_local(request) || port.id == controller.port_id();
      if (asked_for && subsystem.is_on_port(port.id)) visit(Way{subtype, subsystem.nqn(), port});
    }
  };
  visit_ports(controller.subsystem(), NVME_NQN_CURR);
  for (const auto& subsystem : target.subsystems()) {
    if (subsystem->allows(controller.host().nqn)) visit_ports(*subsystem, NVME_NQN_NVME);
  }
  if (port_local(request)) return;
  for (const Referral& referral : target.referrals()) visit(Way{NVME_NQN_DISC, referral.nqn, referral.port});
}

uint64_t count_entries(const Request& request) {
  uint64_t count = 0;
  for_each_entry(request, [&](const Way&) { ++count; });
  return count;
}

}  // namespace

// Extended entries are not there, and nobody is shown what is another host's.
Status check_discovery_log(Request& request) {
  const uint8_t refused = log_specific_field(*request.sqe) & (NVMF_LOG_DISC_LSP_EXTDLPE | NVMF_LOG_DISC_LSP_ALLSUBE);
  if (refused == 0) return kSuccess;
  return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 1, static_cast<unsigned>(std::countr_zero(refused)));
}

uint64_t discovery_log_size(const Request& request) {
  return sizeof(nvmf_discovery_log) + count_entries(request) * sizeof(nvmf_disc_log_entry);
}

void write_discovery_log(Request& request, LogWriter& log) {
  nvmf_discovery_log header;
  std::memset(&header, 0, sizeof(header));
  header.genctr = request.queue->target->generation();
  header.numrec = count_entries(request);
  log.put(header);
  for_each_entry(request, [&](const Way& way) { log.put(make_entry(way)); });
}

}  // namespace nvmf::core
