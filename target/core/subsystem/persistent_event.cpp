#include "target/core/subsystem/persistent_event.h"

#include "target/core/subsystem/ascii.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

// Sizes before the field that counts what follows it: Figures 224 and 225.
constexpr uint8_t kHeaderBeforeLength = 3;
constexpr uint8_t kOnPort = 1;    // EHAI, Port Identifier Type: a port of the NVM subsystem
constexpr uint8_t kOnNoPort = 3;  // done by the operator
constexpr uint16_t kNoCntlid = 0xffff;
constexpr uint32_t kCreate = 0;  // SEL of Namespace Management, CDW10
constexpr uint32_t kDelete = 1;

static_assert(sizeof(nvme_persistent_event_entry) == 24);
static_assert(sizeof(nvme_power_on_reset_info_list) == 36 && sizeof(nvme_change_ns_event) == 48);

template <typename Structure>
void append(PersistentEvent& event, const Structure& structure) {
  const auto* begin = reinterpret_cast<const std::byte*>(&structure);
  event.data.insert(event.data.end(), begin, begin + sizeof(structure));
  event.header.el = static_cast<uint16_t>(event.data.size());
}

}  // namespace

uint64_t PersistentEvents::age_ms() const {
  const auto age = std::chrono::steady_clock::now() - power_on_;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(age).count());
}

PersistentEvent PersistentEvents::make(nvme_persistent_event_types type, const Controller* controller) const {
  PersistentEvent event;
  event.header.etype = static_cast<uint8_t>(type);
  event.header.etype_rev = 1;
  event.header.ehl = sizeof(event.header) - kHeaderBeforeLength;
  event.header.ehai = controller != nullptr ? kOnPort : kOnNoPort;
  event.header.cntlid = controller != nullptr ? controller->cntlid() : kNoCntlid;
  event.header.ets = age_ms();
  event.header.pelpid = controller != nullptr ? controller->port_id() : 0;
  return event;
}

void PersistentEvents::add(PersistentEvent event) {
  events_.push_front(std::move(event));
  if (events_.size() > kEvents) events_.pop_back();
}

void PersistentEvents::enabled(const Controller& controller) {
  PersistentEvent event = make(NVME_PEL_POWER_ON_RESET_EVENT, &controller);
  char firmware[sizeof(nvme_id_ctrl::fr)];
  set_ascii(firmware, NVMF_P2P_VERSION);
  append(event, firmware);
  nvme_power_on_reset_info_list reset{};
  reset.cid = controller.cntlid();
  reset.ctrl_power_cycle = 1;
  reset.power_on_ml_seconds = event.header.ets;
  reset.ctrl_time_stamp = event.header.ets;
  append(event, reset);
  add(std::move(event));
}

void PersistentEvents::namespace_added(const NamespaceOptions& ns) { namespace_event(kCreate, ns); }

void PersistentEvents::namespace_removed(const NamespaceOptions& ns) { namespace_event(kDelete, ns); }

void PersistentEvents::namespace_event(uint32_t sel, const NamespaceOptions& ns) {
  PersistentEvent event = make(NVME_PEL_CHANGE_NS_EVENT, nullptr);
  nvme_change_ns_event change{};
  change.nsmgt_cdw10 = sel;
  change.nsze = ns.block_count;
  change.nscap = ns.block_count;
  change.nmic = 1;
  change.ana_grp_id = ns.ana_group;
  change.nsid = ns.nsid;
  append(event, change);
  add(std::move(event));
}

void PersistentEvents::feature_set(const Controller& controller, const nvme::Sqe& sqe) {
  constexpr uint32_t kDwords = 2;  // Set Feature Event Layout: CDW10 and CDW11
  PersistentEvent event = make(NVME_PEL_SET_FEATURE_EVENT, &controller);
  append(event, kDwords);
  append(event, sqe.cdw10);
  append(event, sqe.cdw11);
  add(std::move(event));
}

PersistentEvent PersistentEvents::health(const Controller& controller, const nvme_smart_log& health) const {
  PersistentEvent event = make(NVME_PEL_SMART_HEALTH_EVENT, &controller);
  append(event, health);
  return event;
}

}  // namespace nvmf::core
