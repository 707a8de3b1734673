// Persistent Event log page: NVMe Base 2.0, section 5.16.1.14. A host establishes a context, reads it in as many pieces
// as it likes, and releases it; a reset of its controller does, too. Each controller has one of its own.
#include <cstring>
#include <vector>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/log_page.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/ascii.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

static_assert(sizeof(nvme_persistent_event_log) == 512);

constexpr uint8_t kRevision = 3;
constexpr uint16_t kHeaderBeforeLength = 20;  // LHL counts from there

// LSP: Action
uint8_t action_of(const Request& request) { return log_specific_field(*request.sqe) & 0x3; }

nvme_persistent_event_log make_header(const Controller& controller) {
  const Subsystem& subsystem = controller.subsystem();
  nvme_persistent_event_log header{};
  header.lid = NVME_LOG_LID_PERSISTENT_EVENT;
  header.rv = kRevision;
  header.lhl = sizeof(header) - kHeaderBeforeLength;
  header.ts = subsystem.persistent_events().age_ms();
  const uint64_t hours = header.ts / 3600000;
  std::memcpy(header.poh, &hours, sizeof(hours));
  header.pcc = 1;
  set_ascii(header.sn, subsystem.options().serial);
  set_ascii(header.mn, subsystem.options().model);
  std::memcpy(header.subnqn, subsystem.nqn().data(), subsystem.nqn().size());
  for (const int event : {NVME_PEL_SMART_HEALTH_EVENT, NVME_PEL_POWER_ON_RESET_EVENT, NVME_PEL_CHANGE_NS_EVENT,
                          NVME_PEL_SET_FEATURE_EVENT}) {
    header.seb[event / 8] = static_cast<uint8_t>(header.seb[event / 8] | 1u << event % 8);
  }
  return header;
}

void append(std::vector<std::byte>& log, const void* data, size_t size_bytes) {
  const auto* begin = static_cast<const std::byte*>(data);
  log.insert(log.end(), begin, begin + size_bytes);
}

// All present events, the newest first.
std::vector<std::byte> make_log(Controller& controller) {
  const PersistentEvents& events = controller.subsystem().persistent_events();
  std::vector<std::byte> log(sizeof(nvme_persistent_event_log));
  uint32_t count = 0;
  const auto append_event = [&](const PersistentEvent& event) {
    append(log, &event.header, sizeof(event.header));
    append(log, event.data.data(), event.data.size());
    ++count;
  };
  append_event(events.health(controller, controller.health()));
  for (const PersistentEvent& event : events.newest_first()) append_event(event);
  nvme_persistent_event_log header = make_header(controller);
  header.tnev = count;
  header.tll = log.size();
  std::memcpy(log.data(), &header, sizeof(header));
  return log;
}

}  // namespace

Status check_persistent_event_log(Request& request) {
  const bool established = controller_of(request).persistent_event_context().has_value();
  switch (action_of(request)) {
    case NVME_PEVENT_LOG_READ:
      return established ? kSuccess : command_sequence_error();
    case NVME_PEVENT_LOG_EST_CTX_AND_READ:
      return established ? command_sequence_error() : kSuccess;
    case NVME_PEVENT_LOG_RELEASE_CTX:
      return kSuccess;
    default:
      return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 1);
  }
}

void write_persistent_event_log(Request& request, LogWriter& log) {
  auto& context = controller_of(request).persistent_event_context();
  if (action_of(request) == NVME_PEVENT_LOG_RELEASE_CTX) return context.reset();
  if (!context) context = make_log(controller_of(request));
  log.put(context->data(), context->size());
}

}  // namespace nvmf::core
