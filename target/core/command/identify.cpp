// Identify: NVMe Base 2.0, section 5.17; NVM Command Set 1.0, section 4.1.5; Zoned Namespace Command Set 1.1, section
// 4.1.5.
#include <algorithm>
#include <bit>
#include <cstring>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/host_behavior.h"
#include "target/core/command/identify_io_hints.h"
#include "target/core/command/identify_zones.h"
#include "target/core/command/log_page.h"
#include "target/core/datapath/error_log.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/ascii.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {
namespace {

static_assert(sizeof(nvme_id_ctrl) == NVME_IDENTIFY_DATA_SIZE && sizeof(nvme_id_ns) == NVME_IDENTIFY_DATA_SIZE);

constexpr uint8_t kShared = 1 << 0;         // NMIC: controllers of several hosts reach the namespace
constexpr uint8_t kWriteProtectedNow = 1;   // NSATTR
constexpr uint8_t kReady = 1 << 0;          // NSTAT.NRDY of the command set independent structure
constexpr uint8_t kRotational = 1 << 4;     // NSFEAT.RMEDIA of the same
constexpr uint8_t kNoWriteCache = 1 << 5;   // NSFEAT.VWCNP of the same, of revision 2.1
constexpr uint8_t kDirectDiscovery = 1;     // DCTYPE
constexpr uint32_t kSglDataBlocks = 1;      // SGLS bits 1:0: without alignment
constexpr uint8_t kSubmissionSizes = 0x66;  // SQES: 64 bytes, required and maximum
constexpr uint8_t kCompletionSizes = 0x44;  // CQES: 16 bytes

// ONCS. The target makes up for a namespace whose device has no Compare, Verify, Copy, Write Zeroes or Deallocate;
// Write Uncorrectable is Invalid Opcode on a namespace that has none.
constexpr uint16_t kOptionalCommands = NVME_CTRL_ONCS_COMPARE | NVME_CTRL_ONCS_WRITE_UNCORRECTABLE |
                                       NVME_CTRL_ONCS_DSM | NVME_CTRL_ONCS_WRITE_ZEROES | NVME_CTRL_ONCS_SAVE_FEATURES |
                                       NVME_CTRL_ONCS_RESERVATIONS | NVME_CTRL_ONCS_VERIFY | NVME_CTRL_ONCS_COPY;

static_assert(PersistentEvents::kEvents * 80 + 2048 <= kLargestPersistentEventLogBytes);

constexpr uint32_t kMaxBlockBytes = 4096;      // of a namespace
constexpr uint8_t kWriteZeroesSizeLimit = 13;  // WZSL: 32 MiB

// Every state is reported. The operator may move a namespace to another group: NVME_CTRL_ANACAP_GRPID_NO_CHG is clear.
constexpr uint8_t kAnaCapabilities = NVME_CTRL_ANACAP_OPT | NVME_CTRL_ANACAP_NON_OPT | NVME_CTRL_ANACAP_INACCESSIBLE |
                                     NVME_CTRL_ANACAP_PERSISTENT_LOSS | NVME_CTRL_ANACAP_CHANGE;

const TargetOptions& options_of(const Request& request) { return request.queue->target->options(); }
// The command's namespace, if the host sees it.
const NamespaceOptions* find_namespace(const Request& request) {
  return subsystem_of(request).find_namespace(request.sqe->nsid, controller_of(request));
}
uint8_t cns_of(const Request& request) { return static_cast<uint8_t>(request.sqe->cdw10); }
uint16_t cntid_of(const Request& request) { return static_cast<uint16_t>(request.sqe->cdw10 >> 16); }
uint8_t csi_of(const Request& request) { return static_cast<uint8_t>(request.sqe->cdw11 >> 24); }

// Of a limit as MDTS and ZASL count it: 2 to its power, in pages.
uint8_t size_limit(uint32_t bytes) { return static_cast<uint8_t>(std::bit_width(bytes / limits::kPageBytes) - 1); }
uint8_t mdts(const TargetOptions& options) { return size_limit(options.max_transfer_bytes); }

// NWPC. For ever only where the operator allows it.
uint8_t write_protection_states(const Controller& controller) {
  const bool permanent = controller.offers_permanent_write_protection();
  return static_cast<uint8_t>(NVME_CTRL_NWPC_WRITE_PROTECT | NVME_CTRL_NWPC_WRITE_PROTECT_POWER_CYCLE |
                              (permanent ? NVME_CTRL_NWPC_WRITE_PROTECT_PERMANENT : 0));
}

// Where a capsule has room for a block of whatever namespace may come (fused.h). AWUN, AWUPF and ACWU stay 0: one
// block.
bool has_fused_commands(const Request& request) { return options_of(request).in_capsule_bytes >= kMaxBlockBytes; }

// The part of Identify Controller that is common to both kinds of controller.
void fill_common(const Request& request, nvme_id_ctrl& id) {
  const Controller& controller = controller_of(request);
  const Subsystem& subsystem = controller.subsystem();
  const TargetOptions& options = options_of(request);
  set_ascii(id.sn, subsystem.options().serial);
  set_ascii(id.mn, subsystem.options().model);
  set_ascii(id.fr, NVMF_P2P_VERSION);
  id.mdts = mdts(options);
  id.cntlid = controller.cntlid();
  id.ver = Properties::kVersion;
  id.ctratt = NVME_CTRL_CTRATT_128_ID | NVME_CTRL_CTRATT_TBKAS;
  id.aerl = limits::kMaxAsyncEvents - 1;
  id.elpe = ErrorLog::kEntries - 1;
  id.kas = limits::kKeepAliveGranularityMs / 100;
  id.maxcmd = options.max_queue_depth;
  id.sgls = kSglDataBlocks | NVME_CTRL_SGLS_KEYED | NVME_CTRL_SGLS_OVERSIZE | NVME_CTRL_SGLS_OFFSET;
  std::memcpy(id.subnqn, subsystem.nqn().data(), subsystem.nqn().size());
  id.ioccsz = (limits::kSqeBytes + options.in_capsule_bytes) / 16;
  id.iorcsz = limits::kCqeBytes / 16;
  id.msdbd = limits::kMaxSglDescriptors;
}

template <typename Field>
void put(nvme_id_ctrl& id, size_t offset, Field field) {
  std::memcpy(reinterpret_cast<std::byte*>(&id) + offset, &field, sizeof(field));
}

// Hosts read it once, when they enable the controller: nothing here depends on the namespaces and ports of the moment.
// A namespace that lacks an optional command answers for itself.
void fill_io_controller(const Request& request, nvme_id_ctrl& id) {
  const Subsystem& subsystem = subsystem_of(request);
  id.cntrltype = NVME_CTRL_CNTRLTYPE_IO;
  id.cmic = NVME_CTRL_CMIC_MULTI_PORT | NVME_CTRL_CMIC_MULTI_CTRL | NVME_CTRL_CMIC_MULTI_ANA_REPORTING;
  id.rtd3e = limits::kReadyTimeoutMs * 1000;  // microseconds that a shutdown takes at most
  id.oaes =
      NVME_CTRL_OAES_NA | NVME_CTRL_OAES_ANA | nvme::kCrossControllerResetNotices | nvme::kLostHostCommunicationNotices;
  id.acl = limits::kMaxAborts - 1;
  id.frmw = NVME_CTRL_FRMW_1ST_RO | 1 << 1;  // one slot, read only
  id.lpa = NVME_CTRL_LPA_CMD_EFFECTS | NVME_CTRL_LPA_EXTENDED | NVME_CTRL_LPA_PERSETENT_EVENT |
           NVME_CTRL_LPA_LI0_LI5_LI12_LI13;
  id.pels = kPersistentEventLogUnits;
  id.wctemp = kWarningTemperatureKelvin;
  id.cctemp = kCriticalTemperatureKelvin;
  id.crdt1 = kRetryInterrupted100ms;
  id.crdt2 = kRetryNotReady100ms;
  id.anatt = kAnaTransitionSeconds;
  id.anacap = kAnaCapabilities;
  id.anagrpmax = limits::kMaxAnaGroups;
  id.nanagrpid = limits::kMaxAnaGroups;
  id.sqes = kSubmissionSizes;
  id.cqes = kCompletionSizes;
  id.nn = limits::kMaxNamespaces;
  id.mnan = limits::kMaxNamespaces;
  id.oncs = kOptionalCommands;
  if (has_fused_commands(request)) id.fuses = NVME_CTRL_FUSES_COMPARE_AND_WRITE;
  id.ocfs = 1;  // Copy Descriptor Format 0h
  id.vwc = NVME_CTRL_VWC_FLUSH | NVME_CTRL_VWC_PRESENT;
  id.ofcs = NVME_CTRL_OFCS_DISCONNECT;
  if (subsystem.write_protection().is_offered()) id.nwpc = write_protection_states(controller_of(request));
  const ControllerInstance& instance = controller_of(request).instance();
  put(id, nvme::kIdentifyCiu, instance.uniquifier);
  put(id, nvme::kIdentifyCirn, instance.random_number);
  put(id, nvme::kIdentifyCqt, controller_of(request).command_quiesce_ms());
  put(id, nvme::kIdentifyCcrl, static_cast<uint8_t>(limits::kMaxCrossControllerResets));
}

void fill_discovery_controller(nvme_id_ctrl& id) {
  id.cntrltype = NVME_CTRL_CNTRLTYPE_DISCOVERY;
  id.oaes = static_cast<uint32_t>(NVME_CTRL_OAES_DL);
  id.lpa = NVME_CTRL_LPA_EXTENDED;
  id.dctype = kDirectDiscovery;
}

// CNS 01h
void execute_controller(Request& request) {
  nvme_id_ctrl id{};
  fill_common(request, id);
  if (controller_of(request).type() == kIoController) {
    fill_io_controller(request, id);
  } else {
    fill_discovery_controller(id);
  }
  reply(request, id);
}

// RESCAP: every type; persistence when there is a directory for it.
uint8_t reservation_capabilities(const Subsystem& subsystem) {
  constexpr uint8_t kTypes = NVME_NS_RESCAP_WE | NVME_NS_RESCAP_EA | NVME_NS_RESCAP_WERO | NVME_NS_RESCAP_EARO |
                             NVME_NS_RESCAP_WEAR | NVME_NS_RESCAP_EAAR;
  return kTypes | NVME_NS_RESCAP_IEK_13 | (subsystem.reservations().can_persist() ? NVME_NS_RESCAP_PTPL : 0);
}

// NUSE is unknown over a lost path: section 8.1.3.
bool knows_utilization(const Request& request, const NamespaceOptions& ns) {
  const AnaState state = ana_state(controller_of(request), ns);
  return state != AnaState::Inaccessible && state != AnaState::PersistentLoss;
}

// CNS 00h and 11h. An inactive NSID gets zeroes.
void execute_namespace(Request& request) {
  nvme_id_ns id{};
  if (const NamespaceOptions* ns = find_namespace(request)) {
    id.nsze = id.ncap = ns->block_count;
    if (knows_utilization(request, *ns)) id.nuse = ns->block_count;
    id.nmic = kShared;
    id.nsattr = subsystem_of(request).write_protection().is_protected(*ns) ? kWriteProtectedNow : 0;
    id.rescap = reservation_capabilities(subsystem_of(request));
    id.anagrpid = ns->ana_group;
    fill_io_hints(*ns, id);
    id.mssrl = ns->copy.mssrl;
    id.mcl = ns->copy.mcl;
    id.msrc = ns->copy.msrc_z;
    id.lbaf[0].ds = ns->lba_shift;
    std::ranges::copy(ns->nguid, id.nguid);
    std::ranges::copy(ns->eui64, id.eui64);
  }
  reply(request, id);
}

// CNS 08h
void execute_independent_namespace(Request& request) {
  nvme_id_independent_id_ns id{};
  if (const NamespaceOptions* ns = find_namespace(request)) {
    id.nmic = kShared;
    id.nsattr = subsystem_of(request).write_protection().is_protected(*ns) ? kWriteProtectedNow : 0;
    id.rescap = reservation_capabilities(subsystem_of(request));
    id.anagrpid = ns->ana_group;
    id.nsfeat = ns->volatile_write_cache ? 0 : kNoWriteCache;
    id.nstat = kReady;
    if (ns->hints.rotational) id.nsfeat |= kRotational;
  }
  reply(request, id);
}

bool is_any(const NamespaceOptions&, const Request&) { return true; }
bool is_of_csi(const NamespaceOptions& ns, const Request& request) { return csi_of(ns.zones) == csi_of(request); }

// NSIDs greater than the command's.
template <bool (*is_wanted)(const NamespaceOptions&, const Request&)>
void execute_namespace_list(Request& request) {
  nvme_ns_list list{};
  size_t count = 0;
  for (const NamespaceOptions& ns : subsystem_of(request).namespaces()) {
    const bool visible = (controller_of(request).denials(ns.nsid) & kHidden) == 0 && is_wanted(ns, request);
    if (visible && ns.nsid > request.sqe->nsid && count < std::size(list.ns)) list.ns[count++] = ns.nsid;
  }
  reply(request, list);
}

class DescriptorList {
 public:
  template <typename Identifier>
  void add(uint8_t type, const Identifier& identifier) {
    if (std::ranges::all_of(identifier, [](uint8_t byte) { return byte == 0; })) return;
    append(type, identifier.data(), static_cast<uint8_t>(identifier.size()));
  }
  void append(uint8_t type, const uint8_t* identifier, uint8_t size) {
    bytes_[used_] = type;
    bytes_[used_ + 1] = size;
    std::memcpy(&bytes_[used_ + 4], identifier, size);
    used_ += 4 + size;
  }
  const std::array<uint8_t, NVME_IDENTIFY_DATA_SIZE>& bytes() const { return bytes_; }

 private:
  std::array<uint8_t, NVME_IDENTIFY_DATA_SIZE> bytes_{};
  size_t used_ = 0;
};

// CNS 03h
void execute_descriptors(Request& request) {
  const NamespaceOptions& ns = *find_namespace(request);
  const uint8_t csi = csi_of(ns.zones);
  DescriptorList list;
  list.add(NVME_NIDT_EUI64, ns.eui64);
  list.add(NVME_NIDT_NGUID, ns.nguid);
  list.add(NVME_NIDT_UUID, ns.uuid);
  list.append(NVME_NIDT_CSI, &csi, sizeof(csi));
  reply(request, list.bytes());
}

// CNS 05h and 1Bh. Of the NVM command set there is nothing to tell: no namespace has protection information.
void execute_csi_namespace(Request& request) {
  nvme_zns_id_ns zoned{};
  const NamespaceOptions* ns = find_namespace(request);
  if (csi_of(request) == NVME_CSI_ZNS && ns != nullptr) fill_zones(ns->zones, zoned);
  reply(request, zoned);
}

// Longer ranges than these take their time, and are served: ONCS. Linux would take MDTS where WZSL is 0.
void reply_nvm_controller(Request& request) {
  nvme_id_ctrl_nvm id{};
  id.vsl = mdts(options_of(request));
  id.wzsl = kWriteZeroesSizeLimit;
  reply(request, id);
}

// Zoned Namespace Command Set 1.1, section 4.1.5.2. The same whatever devices there are: hosts read it once.
void reply_zoned_controller(Request& request) {
  nvme_zns_id_ctrl id{};
  id.zasl = size_limit(max_zone_append_bytes(options_of(request).max_transfer_bytes));
  reply(request, id);
}

// CNS 06h
void execute_csi_controller(Request& request) {
  if (csi_of(request) == NVME_CSI_ZNS) return reply_zoned_controller(request);
  reply_nvm_controller(request);
}

// CNS 12h and 13h: CNTLIDs from CDW10.CNTID on. Every namespace is attached to every controller.
void execute_controller_list(Request& request) {
  nvme_ctrl_list list{};
  for (const auto& controller : subsystem_of(request).controllers()) {
    if (controller->cntlid() < cntid_of(request) || list.num == std::size(list.identifier)) continue;
    list.identifier[list.num++] = controller->cntlid();
  }
  reply(request, list);
}

// CNS 1Ch: one combination, of all command sets.
void execute_command_sets(Request& request) {
  const uint64_t combination = 1u << NVME_CSI_NVM | 1u << NVME_CSI_ZNS;
  reply(request, combination);
}

Status check_nothing(Request&) { return kSuccess; }

Status check_any_nsid(Request& request) {
  const uint32_t nsid = request.sqe->nsid;
  return nsid >= 1 && nsid <= limits::kMaxNamespaces ? kSuccess : invalid_namespace(request);
}

Status check_active_nsid(Request& request) {
  const bool active = find_namespace(request) != nullptr;
  return active ? kSuccess : invalid_namespace(request);
}

// FFFFFFFEh and FFFFFFFFh do not start a list.
Status check_list_nsid(Request& request) {
  return request.sqe->nsid < NVME_NSID_ALL - 1 ? kSuccess : invalid_namespace(request);
}

Status check_csi(Request& request) {
  return is_served(csi_of(request)) ? kSuccess : invalid_field(request, offsetof(nvme::Sqe, cdw11) + 3);
}

Status check_csi_list(Request& request) {
  const Status status = check_csi(request);
  return status.ok() ? check_list_nsid(request) : status;
}

// What the Zoned Namespace command set has of the NVM command set, zoned namespaces have, too; not the reverse.
Status check_csi_namespace(Request& request) {
  if (const Status status = check_csi(request); !status.ok()) return status;
  if (const Status status = check_any_nsid(request); !status.ok()) return status;
  const NamespaceOptions* ns = find_namespace(request);
  if (csi_of(request) == NVME_CSI_NVM || ns == nullptr || is_zoned(ns->zones)) return kSuccess;
  request.error_location = offsetof(nvme::Sqe, cdw11) + 3;
  return command_specific(NVME_SC_INVALID_IOCS).do_not_retry();
}

// FFFFh means the controller that processes the command.
Status check_cntid(Request& request) {
  const uint16_t cntid = cntid_of(request);
  if (cntid == 0xffff || cntid == controller_of(request).cntlid()) return kSuccess;
  return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 2);
}

struct Structure {
  uint8_t cns;
  uint8_t controllers;
  Status (*check)(Request&);
  Executor execute;
};

constexpr Structure kStructures[] = {
    {NVME_IDENTIFY_CNS_NS, kIoController, check_any_nsid, execute_namespace},
    {NVME_IDENTIFY_CNS_CTRL, kAnyController, check_nothing, execute_controller},
    {NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, kIoController, check_list_nsid, execute_namespace_list<is_any>},
    {NVME_IDENTIFY_CNS_NS_DESC_LIST, kIoController, check_active_nsid, execute_descriptors},
    {NVME_IDENTIFY_CNS_CSI_NS, kIoController, check_csi_namespace, execute_csi_namespace},
    {NVME_IDENTIFY_CNS_CSI_CTRL, kIoController, check_csi, execute_csi_controller},
    {NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST, kIoController, check_csi_list, execute_namespace_list<is_of_csi>},
    {NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, kIoController, check_any_nsid, execute_independent_namespace},
    {NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST, kIoController, check_list_nsid, execute_namespace_list<is_any>},
    {NVME_IDENTIFY_CNS_ALLOCATED_NS, kIoController, check_any_nsid, execute_namespace},
    {NVME_IDENTIFY_CNS_NS_CTRL_LIST, kIoController, check_active_nsid, execute_controller_list},
    {NVME_IDENTIFY_CNS_CTRL_LIST, kIoController, check_nothing, execute_controller_list},
    {NVME_IDENTIFY_CNS_CSI_ALLOCATED_NS_LIST, kIoController, check_csi_list, execute_namespace_list<is_of_csi>},
    {NVME_IDENTIFY_CNS_CSI_ID_NS_DATA_STRUCTURE, kIoController, check_csi_namespace, execute_csi_namespace},
    {NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE, kIoController, check_cntid, execute_command_sets},
};

}  // namespace

Status parse_identify(Request& request) {
  for (const Structure& structure : kStructures) {
    const bool offered = (structure.controllers & controller_of(request).type()) != 0;
    if (structure.cns != cns_of(request) || !offered) continue;
    if (const Status status = structure.check(request); !status.ok()) return status;
    return ready_to_reply(request, NVME_IDENTIFY_DATA_SIZE, structure.execute);
  }
  return invalid_field(request, offsetof(nvme::Sqe, cdw10));
}

}  // namespace nvmf::core
