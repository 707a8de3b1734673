// Get Features and Set Features: NVMe Base 2.0, sections 5.15 and 5.27.
#include "target/core/command/features.h"

#include <algorithm>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/host_behavior.h"
#include "target/core/command/reservation_feature.h"
#include "target/core/command/write_protection_feature.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

constexpr size_t kCdw11 = offsetof(nvme::Sqe, cdw11);

Status feature_not_changeable() { return command_specific(NVME_SC_FEATURE_NOT_CHANGEABLE).do_not_retry(); }

// Features whose only valid value is zero.
uint32_t get_zero(const Request&) { return 0; }
Status set_only_zero(Request& request) { return request.sqe->cdw11 == 0 ? kSuccess : invalid_field(request, kCdw11); }

// 01h Arbitration, section 5.27.1.1. Kept for the host; queues are served round robin.
uint32_t get_arbitration(const Request& request) { return controller_of(request).features().arbitration; }
Status set_arbitration(Request& request) {
  constexpr uint32_t kFields = 0xffffff07;
  controller_of(request).features().arbitration = request.sqe->cdw11 & kFields;
  return kSuccess;
}

// 04h Temperature Threshold, section 5.27.1.3. THSEL in bits 21:20, TMPSEL (0: composite) in 19:16.
constexpr uint32_t kTmpsel = 0xf;
uint32_t thsel_of(const Request& request) { return request.sqe->cdw11 >> 20 & 0x3; }
uint32_t tmpsel_of(const Request& request) { return request.sqe->cdw11 >> 16 & kTmpsel; }

uint32_t get_temperature(const Request& request) {
  return controller_of(request).features().temperature_threshold[thsel_of(request) & 1];
}
uint32_t default_temperature(const Request& request) {
  return FeatureValues{}.temperature_threshold[thsel_of(request) & 1];
}
// TMPSEL Fh is every sensor to Set Features, and reserved to Get Features.
Status check_temperature(Request& request, bool every_sensor) {
  if (thsel_of(request) > 1) return invalid_field(request, kCdw11 + 2, 4);
  const bool known = tmpsel_of(request) == 0 || (every_sensor && tmpsel_of(request) == kTmpsel);
  return known ? kSuccess : invalid_field(request, kCdw11 + 2);
}
Status set_temperature(Request& request) {
  if (const Status status = check_temperature(request, true); !status.ok()) return status;
  controller_of(request).features().temperature_threshold[thsel_of(request)] =
      static_cast<uint16_t>(request.sqe->cdw11);
  controller_of(request).report_warnings();
  return kSuccess;
}

// 05h Error Recovery, section 5.27.1.4: no time limit, no errors for deallocated blocks.
Status set_error_recovery(Request& request) {
  constexpr uint32_t kDulbe = 1 << 16;
  if ((request.sqe->cdw11 & kDulbe) != 0) return invalid_field(request, kCdw11 + 2);
  return (request.sqe->cdw11 & 0xffff) == 0 ? kSuccess : feature_not_changeable();
}

// 06h Volatile Write Cache, section 5.27.1.5. On whatever namespaces there are, as Identify says once and for all
// (VWC); the devices' caches are not the host's to turn off.
uint32_t get_write_cache(const Request&) { return 1; }
Status set_write_cache(Request& request) { return (request.sqe->cdw11 & 1) != 0 ? kSuccess : feature_not_changeable(); }

// 07h Number of Queues, section 5.27.1.6. Counts are 0-based, submission queues in bits 15:0, completion queues above.
uint32_t queues_dword(uint16_t count) {
  const uint32_t count_z = count - 1u;
  return count_z | count_z << 16;
}
uint32_t get_queues(const Request& request) { return queues_dword(controller_of(request).granted_io_queues()); }
uint32_t default_queues(const Request& request) { return queues_dword(request.queue->target->options().max_io_queues); }
Status set_queues(Request& request) {
  constexpr uint32_t kReserved = 0xffff;
  Controller& controller = controller_of(request);
  const uint32_t submission_z = request.sqe->cdw11 & 0xffff;
  const uint32_t completion_z = request.sqe->cdw11 >> 16;
  if (submission_z == kReserved) return invalid_field(request, kCdw11);
  if (completion_z == kReserved) return invalid_field(request, kCdw11 + 2);
  if (controller.io_queue_count() > 0) return command_sequence_error();
  const Target& target = *request.queue->target;
  const uint32_t allowed = std::min<uint32_t>(target.options().max_io_queues, io_queues_for(target, controller));
  const uint32_t room = request.queue->link->reserve_io_queues(std::min({submission_z + 1, completion_z + 1, allowed}));
  // At least one: the value is 0-based, and Connect has seen that there is room for it.
  controller.grant_io_queues(static_cast<uint16_t>(std::max(room, 1u)));
  request.cqe.result = get_queues(request);
  return kSuccess;
}

// 0Ah Write Atomicity Normal, section 5.27.1.8. Kept; atomicity beyond one block is never promised.
uint32_t get_write_atomicity(const Request& request) { return controller_of(request).features().write_atomicity; }
Status set_write_atomicity(Request& request) {
  controller_of(request).features().write_atomicity = request.sqe->cdw11 & 1;
  return kSuccess;
}

// 0Bh Asynchronous Event Configuration, section 5.27.1.9
uint32_t get_async_events(const Request& request) { return controller_of(request).events().configuration(); }
Status set_async_events(Request& request) {
  AsyncEvents& events = controller_of(request).events();
  if ((request.sqe->cdw11 & ~events.supported()) != 0) return invalid_field(request, kCdw11);
  events.configure(request.sqe->cdw11);
  controller_of(request).report_warnings();
  return kSuccess;
}

// 0Fh Keep Alive Timer, section 5.27.1.12, milliseconds
uint32_t get_keep_alive(const Request& request) { return controller_of(request).keep_alive().timeout_ms(); }
Status set_keep_alive(Request& request) {
  controller_of(request).set_keep_alive(request.sqe->cdw11, KeepAlive::Clock::now());
  return kSuccess;
}

// 19h I/O Command Set Profile, section 5.27.1.21: the index of one of the combinations of Identify's CNS 1Ch, of which
// there is one.
Status set_command_set_profile(Request& request) {
  constexpr uint32_t kIocsci = 0x1ff;
  if ((request.sqe->cdw11 & kIocsci) == 0) return kSuccess;
  request.error_location = kCdw11;
  return command_specific(NVME_SC_IOCS_COMBINATION_REJECTED).do_not_retry();
}

// 81h Host Identifier, section 5.27.1.25: over fabrics only Connect sets it.
Status set_host_identifier(Request&) { return command_sequence_error(); }

struct Feature {
  uint8_t fid;
  uint8_t controllers;
  bool changeable;
  bool namespace_specific;
  uint32_t (*current)(const Request&);
  uint32_t (*initial)(const Request&);
  Status (*set)(Request&);
  // For a feature with data, or one that takes time: called instead of the above when the command is valid.
  Status (*parse_get)(Request&) = nullptr;  // not for the capabilities
  Status (*parse_set)(Request&) = nullptr;
};
Status parse_get_host_identifier(Request& request);

constexpr Feature kFeatures[] = {
    {NVME_FEAT_FID_ARBITRATION, kIoController, true, false, get_arbitration, get_zero, set_arbitration},
    {NVME_FEAT_FID_POWER_MGMT, kIoController, true, false, get_zero, get_zero, set_only_zero},
    {NVME_FEAT_FID_TEMP_THRESH, kIoController, true, false, get_temperature, default_temperature, set_temperature},
    {NVME_FEAT_FID_ERR_RECOVERY, kIoController, false, true, get_zero, get_zero, set_error_recovery},
    {NVME_FEAT_FID_VOLATILE_WC, kIoController, false, false, get_write_cache, get_write_cache, set_write_cache},
    {NVME_FEAT_FID_NUM_QUEUES, kIoController, true, false, get_queues, default_queues, set_queues},
    {NVME_FEAT_FID_WRITE_ATOMIC, kIoController, true, false, get_write_atomicity, get_zero, set_write_atomicity},
    {NVME_FEAT_FID_ASYNC_EVENT, kAnyController, true, false, get_async_events, get_zero, set_async_events},
    {NVME_FEAT_FID_KATO, kAnyController, true, false, get_keep_alive, get_zero, set_keep_alive},
    {NVME_FEAT_FID_HOST_BEHAVIOR, kIoController, true, false, nullptr, nullptr, nullptr, parse_get_host_behavior,
     parse_set_host_behavior},
    {NVME_FEAT_FID_IOCS_PROFILE, kIoController, true, false, get_zero, get_zero, set_command_set_profile},
    {NVME_FEAT_FID_HOST_ID, kIoController, false, false, get_zero, get_zero, set_host_identifier,
     parse_get_host_identifier},
    {NVME_FEAT_FID_RESV_MASK, kIoController, true, true, get_notification_mask, get_zero, set_notification_mask},
    {NVME_FEAT_FID_RESV_PERSIST, kIoController, true, true, get_persistence, get_zero, nullptr, nullptr,
     parse_set_persistence},
    {NVME_FEAT_FID_WRITE_PROTECT, kIoController, true, true, get_write_protection, get_zero, nullptr, nullptr,
     parse_set_write_protection},
};

const Feature* find_feature(uint8_t fid, const Controller& controller) {
  if (fid == NVME_FEAT_FID_WRITE_PROTECT && !controller.subsystem().write_protection().is_offered()) return nullptr;
  for (const Feature& feature : kFeatures) {
    if (feature.fid == fid && (feature.controllers & controller.type()) != 0) return &feature;
  }
  return nullptr;
}

const Feature* find_feature(const Request& request) {
  return find_feature(static_cast<uint8_t>(request.sqe->cdw10), controller_of(request));
}

uint32_t sel_of(const Request& request) { return request.sqe->cdw10 >> 8 & 0x7; }

// Completion dword 0 for SEL 3: saveable, namespace specific, changeable. Nothing is saved.
uint32_t capabilities(const Feature& feature) {
  return (feature.namespace_specific ? 1u << 1 : 0) | (feature.changeable ? 1u << 2 : 0);
}

void execute_get_features(Request& request) {
  const Feature& feature = *find_feature(request);
  switch (sel_of(request)) {
    case NVME_GET_FEATURES_SEL_CURRENT:
      return finish(request, kSuccess, feature.current(request));
    case NVME_GET_FEATURES_SEL_SUPPORTED:
      return finish(request, kSuccess, capabilities(feature));
    default:  // not saveable: the saved value is the default
      return finish(request, kSuccess, feature.initial(request));
  }
}

void execute_get_host_identifier(Request& request) { reply(request, controller_of(request).host().id); }

// The extended (128-bit) identifier only: EXHID in CDW11 bit 0. Connect's is the current value and the default as well:
// nothing over fabrics changes it.
Status parse_get_host_identifier(Request& request) {
  if ((request.sqe->cdw11 & 1) == 0) return invalid_field(request, kCdw11);
  return ready_to_reply(request, sizeof(HostIdentity::id), execute_get_host_identifier);
}

// What the Persistent Event log keeps: not what drivers set as they come up.
bool is_logged(uint8_t fid) {
  return fid != NVME_FEAT_FID_NUM_QUEUES && fid != NVME_FEAT_FID_ASYNC_EVENT && fid != NVME_FEAT_FID_KATO;
}

void log_change(const Request& request) {
  const Controller& controller = controller_of(request);
  if (is_logged(static_cast<uint8_t>(request.sqe->cdw10))) {
    controller.subsystem().persistent_events().feature_set(controller, *request.sqe);
  }
}

void execute_set_features(Request& request) {
  const Status status = find_feature(request)->set(request);
  if (status.ok()) log_change(request);
  finish(request, status);
}

bool names_namespace(const Request& request) {
  return controller_of(request).subsystem().find_namespace(request.sqe->nsid, controller_of(request)) != nullptr;
}

// Get Features needs the NSID of one namespace. (Error Recovery is the same for all.)
bool is_of_one_namespace(const Feature& feature) {
  return feature.namespace_specific && feature.fid != NVME_FEAT_FID_ERR_RECOVERY;
}

// What belongs to a namespace cannot be reached where the namespace cannot: section 8.1.3.
Status check_access(const Request& request, const Feature& feature) {
  const uint32_t nsid = request.sqe->nsid;
  if (!feature.namespace_specific || !names_namespace(request)) return kSuccess;
  const auto denied = static_cast<Denials>(controller_of(request).denials(nsid) & kAnaDenials);
  return denied == 0 ? kSuccess : denial_status(denied);
}

// Whether Set Features of this feature may have `nsid`.
Status check_scope(Request& request, const Feature& feature) {
  const uint32_t nsid = request.sqe->nsid;
  if (nsid == 0 || nsid == NVME_NSID_ALL) return kSuccess;
  if (!names_namespace(request)) return invalid_namespace(request);
  if (feature.namespace_specific) return check_access(request, feature);
  return command_specific(NVME_SC_FEATURE_NOT_PER_NS).do_not_retry();
}

}  // namespace

Status parse_get_features(Request& request) {
  const Feature* feature = find_feature(request);
  if (feature == nullptr) return invalid_field(request, offsetof(nvme::Sqe, cdw10));
  const uint32_t sel = sel_of(request);
  if (sel > NVME_GET_FEATURES_SEL_SUPPORTED) return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 1);
  if (feature->fid == NVME_FEAT_FID_TEMP_THRESH && sel != NVME_GET_FEATURES_SEL_SUPPORTED) {
    if (const Status status = check_temperature(request, false); !status.ok()) return status;
  }
  if (is_of_one_namespace(*feature) && sel != NVME_GET_FEATURES_SEL_SUPPORTED) {
    if (!names_namespace(request)) return invalid_namespace(request);
  }
  if (sel == NVME_GET_FEATURES_SEL_CURRENT) {
    if (const Status status = check_access(request, *feature); !status.ok()) return status;
  }
  if (feature->parse_get != nullptr && sel != NVME_GET_FEATURES_SEL_SUPPORTED) return feature->parse_get(request);
  return ready_to_execute(request, execute_get_features);
}

Status parse_set_features(Request& request) {
  constexpr uint32_t kSave = 1u << 31;
  const Feature* feature = find_feature(request);
  if (feature == nullptr) return invalid_field(request, offsetof(nvme::Sqe, cdw10));
  if ((request.sqe->cdw10 & kSave) != 0) {
    request.error_location = (offsetof(nvme::Sqe, cdw10) + 3) | 7 << 8;
    return command_specific(NVME_SC_FEATURE_NOT_SAVEABLE).do_not_retry();
  }
  if (const Status status = check_scope(request, *feature); !status.ok()) return status;
  if (feature->parse_set != nullptr) return feature->parse_set(request);
  return ready_to_execute(request, execute_set_features);
}

uint32_t feature_effects(uint8_t fid, const Controller& controller) {
  const Feature* feature = find_feature(fid, controller);
  if (feature == nullptr) return 0;
  const uint32_t scope =
      feature->namespace_specific ? NVME_FID_SUPPORTED_EFFECTS_SCOPE_NS : NVME_FID_SUPPORTED_EFFECTS_SCOPE_CTRL;
  return NVME_FID_SUPPORTED_EFFECTS_FSUPP | scope << NVME_FID_SUPPORTED_EFFECTS_SCOPE_SHIFT;
}

}  // namespace nvmf::core
