#include "target/core/command/write_protection_feature.h"

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

const NamespaceOptions* find_namespace(const Request& request) {
  return subsystem_of(request).find_namespace(request.sqe->nsid, controller_of(request));
}

void end_set(Request& request, Status status) {
  if (!status.ok()) return finish(request, status);
  Subsystem& subsystem = subsystem_of(request);
  subsystem.persistent_events().feature_set(controller_of(request), *request.sqe);
  const auto& flush = request.queue->target->flush_namespace;
  if (static_cast<WriteProtection>(request.sqe->cdw11) == WriteProtection::None || !flush)
    return finish(request, kSuccess);
  flush(subsystem, request.sqe->nsid, [&request](Status flushed) { finish(request, flushed); });
}

void execute_set(Request& request) {
  const auto wanted = static_cast<WriteProtection>(request.sqe->cdw11);
  subsystem_of(request).write_protection().change(request.sqe->nsid, wanted,
                                                  [&request](Status status) { end_set(request, status); });
}

}  // namespace

uint32_t get_write_protection(const Request& request) {
  return static_cast<uint32_t>(subsystem_of(request).write_protection().state(*find_namespace(request)));
}

// CDW11 is the Write Protection State in bits 2:0, and reserved. Nobody can undo the permanent state, so that the
// operator must have allowed it.
Status parse_set_write_protection(Request& request) {
  if (find_namespace(request) == nullptr) return invalid_namespace(request);
  const bool permanent = subsystem_of(request).options().permanent_write_protection;
  const uint32_t most = permanent ? NVME_FEAT_NS_WRITE_PROTECT_PERMANENT : NVME_FEAT_NS_WRITE_PROTECT_PWR_CYCLE;
  if (request.sqe->cdw11 > most) return invalid_field(request, offsetof(nvme::Sqe, cdw11));
  return ready_to_execute(request, execute_set);
}

}  // namespace nvmf::core
