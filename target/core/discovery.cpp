// Discovery log page: NVMe Base 2.0, section 5.16.1.23.
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

nvmf_disc_log_entry make_entry(const Subsystem& subsystem, const Port& port) {
  nvmf_disc_log_entry entry{};
  entry.trtype = NVMF_TRTYPE_RDMA;
  entry.adrfam = port.ipv6 ? NVMF_ADDR_FAMILY_IP6 : NVMF_ADDR_FAMILY_IP4;
  entry.subtype = subsystem.is_discovery() ? NVME_NQN_CURR : NVME_NQN_NVME;
  entry.treq = NVMF_TREQ_NOT_SPECIFIED | NVMF_TREQ_DISABLE_SQFLOW;
  entry.portid = port.id;
  entry.cntlid = kDynamicController;
  entry.asqsz = limits::kAdminQueueDepth;
  // Every port leads to the same discovery subsystem, which keeps connections and reports changes.
  if (subsystem.is_discovery()) entry.eflags = NVMF_DISC_EFLAGS_EPCSD | NVMF_DISC_EFLAGS_DUPRETINFO;
  set_ascii(entry.trsvcid, std::to_string(port.service));
  set_ascii(entry.traddr, port.address);
  std::memcpy(entry.subnqn, subsystem.nqn().data(), subsystem.nqn().size());
  entry.tsas.rdma.qptype = NVMF_RDMA_QPTYPE_CONNECTED;
  entry.tsas.rdma.prtype = NVMF_RDMA_PRTYPE_NOT_SPECIFIED;
  entry.tsas.rdma.cms = NVMF_RDMA_CMS_RDMA_CM;
  return entry;
}

// What the requesting host may connect to: one entry per subsystem and port, the discovery subsystem first.
template <typename Visit>
void for_each_entry(const Request& request, Visit visit) {
  const Controller& controller = *request.queue->controller;
  const Target& target = *request.queue->target;
  for (const Port& port : target.ports()) visit(controller.subsystem(), port);
  for (const auto& subsystem : target.subsystems()) {
    if (!subsystem->allows(controller.host().nqn)) continue;
    for (const Port& port : target.ports()) {
      if (subsystem->is_on_port(port.id)) visit(*subsystem, port);
    }
  }
}

uint64_t count_entries(const Request& request) {
  uint64_t count = 0;
  for_each_entry(request, [&](const Subsystem&, const Port&) { ++count; });
  return count;
}

}  // namespace

uint64_t discovery_log_size(const Request& request) {
  return sizeof(nvmf_discovery_log) + count_entries(request) * sizeof(nvmf_disc_log_entry);
}

void write_discovery_log(Request& request, LogWriter& log) {
  nvmf_discovery_log header;
  std::memset(&header, 0, sizeof(header));
  header.genctr = request.queue->target->generation();
  header.numrec = count_entries(request);
  log.put(header);
  for_each_entry(request, [&](const Subsystem& subsystem, const Port& port) { log.put(make_entry(subsystem, port)); });
}

}  // namespace nvmf::core
