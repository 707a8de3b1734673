// Discovery log page: NVMe Base 2.0, section 5.16.1.23.
#include <algorithm>
#include <bit>
#include <cstring>

#include "target/core/command/controller_of.h"
#include "target/core/command/log_page.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/ascii.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

static_assert(sizeof(nvmf_disc_log_entry) == 1024);

// The log's header, and what the extended format appends to an entry: as TP 8010 defines them, later than libnvme 1.3.
struct Header {
  uint64_t genctr;
  uint64_t numrec;
  uint16_t recfmt;
  uint8_t dlpf;  // Discovery Log Page Flags
  uint8_t reserved19;
  uint32_t tdlpl;  // Total Discovery Log Page Length, with extended entries
  uint8_t reserved24[1000];
};
static_assert(sizeof(Header) == sizeof(nvmf_discovery_log));
constexpr unsigned kAllSubsystemsBit = std::countr_zero(unsigned{NVMF_LOG_DISC_LSP_ALLSUBE});
constexpr uint8_t kExtended = 1 << 0;
constexpr uint8_t kPortLocal = 1 << 1;

// Of the attributes that are defined one is a host's own, and the others are the administrators' label.
struct ExtendedPart {
  uint32_t tel;      // Total Entry Length
  uint16_t numexat;  // Number of Extended Attributes
  uint16_t reserved1030 = 0;
};
static_assert(sizeof(nvmf_disc_log_entry) + sizeof(ExtendedPart) == sizeof(nvmf_ext_die));

// The head of an extended attribute, whose value follows, filled with zeroes to a multiple of 4 bytes.
struct AttributeHead {
  uint16_t exattype;
  uint16_t exatlen;
};
static_assert(sizeof(AttributeHead) == sizeof(nvmf_ext_attr));
constexpr uint16_t kAdminLabelAscii = NVMF_EXATTYPE_SYMNAME;

constexpr uint16_t kDynamicController = 0xffff;

// The contents of an entry.
struct Way {
  nvme_subsys_type subtype;
  const std::string& nqn;
  const Port& port;
  const std::string& address;
  const std::string* label = nullptr;  // null: it can have none

  bool has_label() const { return label != nullptr && !label->empty(); }
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
  // Every port offers the same discovery subsystem, which supports persistent connections and reports changes.
  if (way.subtype == NVME_NQN_CURR) entry.eflags = NVMF_DISC_EFLAGS_EPCSD | NVMF_DISC_EFLAGS_DUPRETINFO;
  set_ascii(entry.trsvcid, std::to_string(way.port.service));
  set_ascii(entry.traddr, way.address);
  std::memcpy(entry.subnqn, way.nqn.data(), way.nqn.size());
  entry.tsas.rdma.qptype = NVMF_RDMA_QPTYPE_CONNECTED;
  entry.tsas.rdma.prtype = NVMF_RDMA_PRTYPE_NOT_SPECIFIED;
  entry.tsas.rdma.cms = NVMF_RDMA_CMS_RDMA_CM;
  return entry;
}

bool has_flag(const Request& request, uint8_t flag) { return (log_specific_field(*request.sqe) & flag) != 0; }

// EXTDLPE: entries that may have extended attributes.
bool extended(const Request& request) { return has_flag(request, NVMF_LOG_DISC_LSP_EXTDLPE); }

// PLEO: only the entries of the port that the host uses.
bool port_local(const Request& request) { return has_flag(request, NVMF_LOG_DISC_LSP_PLEO); }

// The addresses of a port: of a wildcard the one by which the host came, or all when the port is not reached by that
// one.
template <typename Visit>
void for_each_address(const Port& port, const Controller& controller, Visit visit) {
  const std::string& here = controller.local_address();
  if (!port.wildcard) return visit(port.address);
  if (std::ranges::find(port.heard, here) != port.heard.end()) return visit(here);
  std::ranges::for_each(port.heard, visit);
}

// The subsystems that the requesting host may connect to: one entry per subsystem, port and address, the discovery
// subsystem first, the referrals second.
template <typename Visit>
void for_each_entry(const Request& request, Visit visit) {
  const Controller& controller = controller_of(request);
  const Target& target = *request.queue->target;
  const auto visit_ports = [&](const Subsystem& subsystem, nvme_subsys_type subtype) {
    for (const Port& port : target.ports()) {
      const bool asked_for = !port_local(request) || port.id == controller.port_id();
      if (!asked_for || !subsystem.is_on_port(port.id)) continue;
      for_each_address(port, controller, [&](const std::string& address) {
        visit(Way{subtype, subsystem.nqn(), port, address, &subsystem.options().admin_label});
      });
    }
  };
  visit_ports(controller.subsystem(), NVME_NQN_CURR);
  for (const auto& subsystem : target.subsystems()) {
    if (subsystem->allows(controller.host().nqn)) visit_ports(*subsystem, NVME_NQN_NVME);
  }
  if (port_local(request)) return;
  for (const Referral& referral : target.referrals())
    visit(Way{NVME_NQN_DISC, referral.nqn, referral.port, referral.port.address});
}

uint64_t count_entries(const Request& request) {
  uint64_t count = 0;
  for_each_entry(request, [&](const Way&) { ++count; });
  return count;
}

uint16_t label_bytes(const Way& way) { return static_cast<uint16_t>((way.label->size() + 3) & ~size_t{3}); }

uint32_t entry_bytes(const Request& request, const Way& way) {
  if (!extended(request)) return sizeof(nvmf_disc_log_entry);
  const uint32_t attribute = way.has_label() ? uint32_t{sizeof(AttributeHead)} + label_bytes(way) : 0;
  return sizeof(nvmf_disc_log_entry) + sizeof(ExtendedPart) + attribute;
}

void put_extended_part(const Request& request, const Way& way, LogWriter& log) {
  const auto count = static_cast<uint16_t>(way.has_label() ? 1 : 0);
  log.put(ExtendedPart{.tel = entry_bytes(request, way), .numexat = count});
  if (count == 0) return;
  log.put(AttributeHead{.exattype = kAdminLabelAscii, .exatlen = label_bytes(way)});
  std::string value = *way.label;
  value.resize(label_bytes(way));
  log.put(value.data(), value.size());
}

uint64_t discovery_log_size(const Request& request) {
  uint64_t size = sizeof(Header);
  for_each_entry(request, [&](const Way& way) { size += entry_bytes(request, way); });
  return size;
}

Header make_header(const Request& request) {
  Header header{};
  header.genctr = request.queue->target->generation();
  header.numrec = count_entries(request);
  if (port_local(request)) header.dlpf |= kPortLocal;
  if (extended(request)) {
    header.dlpf |= kExtended;
    header.tdlpl = static_cast<uint32_t>(discovery_log_size(request));
  }
  return header;
}

}  // namespace

// No host sees entries for other hosts.
Status check_discovery_log(Request& request) {
  if (!has_flag(request, NVMF_LOG_DISC_LSP_ALLSUBE)) return kSuccess;
  return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 1, kAllSubsystemsBit);
}

uint64_t discovery_log_end(const Request& request) {
  uint64_t& end_bytes = controller_of(request).discovery_log_end_bytes();
  end_bytes = std::max(end_bytes, discovery_log_size(request));
  return end_bytes;
}

void write_discovery_log(Request& request, LogWriter& log) {
  log.put(make_header(request));
  for_each_entry(request, [&](const Way& way) {
    log.put(make_entry(way));
    if (extended(request)) put_extended_part(request, way, log);
  });
}

}  // namespace nvmf::core
