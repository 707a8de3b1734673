// Cross-Controller Reset: NVMe Base 2.3, section 5.4.3, and its log page, section 5.2.12.3.1. The log page of Lost Host
// Communication, of the same technical proposal.
#include "target/core/subsystem/cross_controller_reset.h"

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/log_page.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {
namespace {

using nvme::CrossControllerResetLogEntry;
using nvme::CrossControllerResetLogHeader;

ControllerInstance instance_of(const nvme::Sqe& sqe) {
  return {.uniquifier = nvme::impacted_uniquifier(sqe.cdw10), .random_number = uint64_t{sqe.cdw13} << 32 | sqe.cdw12};
}

// A host may end its own controllers only; another host's is for it one that has gone.
bool is_named(const Controller& controller, const ControllerInstance& instance, const HostIdentity& host) {
  return controller.instance() == instance && controller.host() == host;
}

// A controller with the identifier may be there, but in a later life: what was sent to the former one has ended. Of a
// controller of another target, or of this one's former process, nobody here knows that: the host has to wait (CQT).
void execute_cross_controller_reset(Request& request) {
  Controller& asked = controller_of(request);
  const uint16_t cntlid = nvme::impacted_controller(request.sqe->cdw10);
  const ControllerInstance instance = instance_of(*request.sqe);
  const bool is_known = instance.is_of(asked.subsystem().target().mark());
  if (cntlid == asked.cntlid() || !is_known) return finish(request, invalid_field(request, offsetof(nvme::Sqe, cdw10)));
  Controller* const impacted = asked.subsystem().find_controller(cntlid);
  if (impacted == nullptr || !is_named(*impacted, instance, asked.host()))
    return finish(request, kSuccess, nvme::kImmediateResetSuccessful);
  constexpr uint32_t kFound = nvme::kImmediateResetSuccessful | nvme::kImmediateResetValidated;
  if (impacted->is_quiet()) return finish(request, kSuccess, kFound);
  CrossControllerResets& resets = asked.cross_controller_resets();
  if (const Status status = resets.check(cntlid, instance); !status.ok()) return finish(request, status);
  const bool initiates = !impacted->has_begun_to_end();
  impacted->fail("its host asked controller " + std::to_string(asked.cntlid()) + " for its reset");
  if (impacted->is_quiet())
    return finish(request, kSuccess, initiates ? kFound | nvme::kImmediateResetInitiated : kFound);
  resets.begin(cntlid, instance, initiates);
  finish(request, kSuccess);
}

uint8_t flags_of(const CrossControllerResets::Entry& entry) {
  return entry.initiated ? nvme::kResetValidated | nvme::kResetInitiated : nvme::kResetValidated;
}

}  // namespace

Status parse_cross_controller_reset(Request& request) {
  return ready_to_execute(request, execute_cross_controller_reset);
}

// 1Eh
void write_cross_controller_resets(Request& request, LogWriter& log) {
  Controller& controller = controller_of(request);
  CrossControllerResets& resets = controller.cross_controller_resets();
  const auto count = static_cast<uint16_t>(resets.entries().size());
  log.put(CrossControllerResetLogHeader{.entries = count, .reserved2 = {}});
  for (const CrossControllerResets::Entry& entry : resets.entries()) {
    using Progress = nvme::CrossControllerResetStatus;
    log.put(CrossControllerResetLogEntry{.impacted = entry.cntlid,
                                         .uniquifier = entry.instance.uniquifier,
                                         .reserved3 = 0,
                                         .alternate = controller.cntlid(),
                                         .status = entry.is_completed ? Progress::Successful : Progress::InProgress,
                                         .flags = flags_of(entry)});
  }
  if ((log_specific_field(*request.sqe) & nvme::kRemoveCompleted) == 0) return;
  // Those of which the host gets every byte.
  constexpr uint64_t kHeader = sizeof(CrossControllerResetLogHeader);
  constexpr uint64_t kEntry = sizeof(CrossControllerResetLogEntry);
  const uint64_t begin = log_page_offset(*request.sqe);
  const uint64_t end = begin + request.length_bytes;
  const uint64_t first = begin <= kHeader ? 0 : (begin - kHeader + kEntry - 1) / kEntry;
  resets.remove_completed(first, end < kHeader ? 0 : (end - kHeader) / kEntry);
}

// 1Fh. Reading it to the end of the last entry clears it, unless the host wants the event retained: hosts read the
// header first.
void write_lost_host_communications(Request& request, LogWriter& log) {
  LostHostCommunications& lost = controller_of(request).lost_host_communications();
  const size_t count = lost.entries().size();
  log.put(nvme::LostHostCommunicationLogHeader{.entries = static_cast<uint16_t>(count), .reserved2 = {}});
  for (const LostHostCommunications::Entry& entry : lost.entries())
    log.put(nvme::LostHostCommunicationLogEntry{
        .cntlid = entry.cntlid, .count = entry.count, .uniquifier = entry.uniquifier, .reserved4 = {}});
  const size_t page_bytes =
      sizeof(nvme::LostHostCommunicationLogHeader) + count * sizeof(nvme::LostHostCommunicationLogEntry);
  const bool reads_all = log_page_offset(*request.sqe) + request.length_bytes >= page_bytes;
  if (reads_all && !retains_event(*request.sqe)) lost.clear();
}

}  // namespace nvmf::core
