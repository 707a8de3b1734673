// Reservation Register, Acquire, Release and Report: NVMe Base 2.0, sections 7.2 to 7.5. They are parsed on the I/O
// queue's thread and executed on the control thread, which alone changes reservations. What persists through power loss
// is answered when it has been saved.
//
// Preempt and Abort (section 8.19.7) aborts the commands of the preempted hosts on the namespace like the Abort command
// (abort.h), and is answered when all others have ended: after that answer no command of theirs changes the namespace.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/fabrics.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/fabrics.h"

namespace nvmf::core {
namespace {

constexpr size_t kCdw10 = offsetof(nvme::Sqe, cdw10);
constexpr unsigned kIekeyBit = 3;
constexpr unsigned kCptplBit = 30;

// The data that the host sends with the commands.
struct RegisterData {
  uint64_t crkey;
  uint64_t nrkey;
};
struct AcquireData {
  uint64_t crkey;
  uint64_t prkey;
};
struct ReleaseData {
  uint64_t crkey;
};
static_assert(sizeof(RegisterData) == 16 && sizeof(AcquireData) == 16 && sizeof(ReleaseData) == 8);
static_assert(sizeof(nvme_resv_status) == 64 && sizeof(nvme_registered_ctrl_ext) == 64);

// CDW10
unsigned action_of(const Request& request) { return request.sqe->cdw10 & 0x7; }
bool iekey_of(const Request& request) { return (request.sqe->cdw10 >> kIekeyBit & 1) != 0; }
uint8_t rtype_of(const Request& request) { return static_cast<uint8_t>(request.sqe->cdw10 >> 8); }
unsigned cptpl_of(const Request& request) { return request.sqe->cdw10 >> kCptplBit; }

// The host chose the place of the data in its capsule, so it need not be aligned.
template <typename Data>
Data data_of(const Request& request) {
  Data data;
  std::memcpy(&data, request.data.address, sizeof(data));
  return data;
}

// A reservation does not deny reservation commands; everything else that denies all commands does.
Status check_namespace(Request& request) {
  const uint32_t nsid = request.sqe->nsid;
  if (request.queue->namespaces->find(nsid) == nullptr) return invalid_namespace(request);
  const auto denied =
      static_cast<Denials>(request.queue->denied[nsid - 1].load(std::memory_order_relaxed) & kDeniesAll);
  if ((denied & kHidden) != 0) return invalid_namespace(request);
  return denied == 0 ? kSuccess : denial_status(denied);
}

// On the control thread: controller or namespace may have been removed meanwhile.
Status check_on_control(Request& request) {
  const Controller* controller = request.queue->controller;
  if (controller == nullptr || is_dropped(*request.queue)) return NVME_SC_ABORT_QUEUE;
  const NamespaceOptions* ns = controller->subsystem().find_namespace(request.sqe->nsid, *controller);
  return ns != nullptr ? kSuccess : invalid_namespace(request);
}

using Action = Status (*)(Request&, const HostId&, Reservation&);

// Changes the reservation in its turn, and calls `done` when that is saved.
void change(Request& request, std::function<Status(Reservation&)> action, std::function<void(Status)> done) {
  if (const Status status = check_on_control(request); !status.ok()) return done(status);
  const auto in_turn = [&request, action = std::move(action)](Reservation& reservation) {
    const Status status = check_on_control(request);
    return status.ok() ? action(reservation) : status;
  };
  subsystem_of(request).reservations().change(request.sqe->nsid, in_turn, std::move(done));
}

template <Action act>
void change_on_control(Message& message) {
  Request& request = request_of(message);
  const auto action = [&request](Reservation& reservation) {
    return act(request, controller_of(request).host().id, reservation);
  };
  change(request, action, [&request](Status status) { end_from_control(request, status); });
}
template <Action act>
void execute(Request& request) {
  hop_to_control(request, change_on_control<act>);
}

// Section 7.3
Status act_on_registration(Request& request, const HostId& host, Reservation& reservation) {
  const auto data = data_of<RegisterData>(request);
  const auto crkey = iekey_of(request) ? std::nullopt : std::optional<uint64_t>(data.crkey);
  switch (action_of(request)) {
    case NVME_RESERVATION_RREGA_REGISTER_KEY:
      return reservation.register_key(host, data.nrkey);
    case NVME_RESERVATION_RREGA_UNREGISTER_KEY:
      return reservation.unregister_key(host, crkey);
    default:
      return reservation.replace_key(host, crkey, data.nrkey);
  }
}

Status register_host(Request& request, const HostId& host, Reservation& reservation) {
  const unsigned cptpl = cptpl_of(request);
  if (cptpl == NVME_RESERVATION_CPTPL_PERSIST && !subsystem_of(request).reservations().can_persist())
    return invalid_field(request, kCdw10 + kCptplBit / 8, kCptplBit % 8);
  const Status status = act_on_registration(request, host, reservation);
  if (cptpl != NVME_RESERVATION_CPTPL_NO_CHANGE) reservation.set_ptpl(cptpl == NVME_RESERVATION_CPTPL_PERSIST);
  return status;
}

// Section 7.2
Status acquire(Request& request, const HostId& host, Reservation& reservation) {
  const auto data = data_of<AcquireData>(request);
  const uint8_t rtype = rtype_of(request);
  if (action_of(request) == NVME_RESERVATION_RACQA_ACQUIRE) return reservation.acquire(host, data.crkey, rtype);
  return reservation.preempt(host, data.crkey, data.prkey, rtype);
}

// On the control thread, while controller and namespace exist.
const DispersedNamespace& dispersed_namespace(const Request& request) {
  return subsystem_of(request).dispersed_namespace(request.sqe->nsid);
}

bool has(const std::vector<Registrant>& registrants, const HostId& host) {
  return std::ranges::any_of(registrants, [&](const Registrant& one) { return one.host == host; });
}

// Section 8.19.7. Closing connections count: their commands may still be with the disks. The namespace may have been
// removed while the change was saved: then its commands have ended.
void abort_preempted(Request& request, const std::vector<Registrant>& before) {
  // Returns to the queue's thread when the last queue below has finished.
  const std::shared_ptr<Request> answer(&request,
                                        [](Request* ended) { end_from_control(*ended, Status(ended->cqe.status)); });
  if (subsystem_of(request).find_namespace(request.sqe->nsid) == nullptr) return;
  const DispersedNamespace& ns = dispersed_namespace(request);
  const std::vector<Registrant>& after = ns.reservation.state().registrants;
  for (Queue* queue : request.queue->target->io_queues()) {
    if (!has(before, queue->hostid) || has(after, queue->hostid)) continue;
    for (const auto& place : ns.places) {
      if (queue->subsystem == place.subsystem) queue->link->abort_all(place.nsid, [answer] {});
    }
  }
}

void preempt_and_abort_on_control(Message& message) {
  Request& request = request_of(message);
  const auto before = std::make_shared<std::vector<Registrant>>();
  const auto action = [&request, before](Reservation& reservation) {
    *before = reservation.state().registrants;
    return acquire(request, controller_of(request).host().id, reservation);
  };
  change(request, action, [&request, before](Status status) {
    if (!status.ok()) return end_from_control(request, status);
    request.cqe.status = status.value();
    abort_preempted(request, *before);
  });
}

void execute_preempt_and_abort(Request& request) { hop_to_control(request, preempt_and_abort_on_control); }

// Section 7.4
Status release(Request& request, const HostId& host, Reservation& reservation) {
  const auto data = data_of<ReleaseData>(request);
  if (action_of(request) == NVME_RESERVATION_RRELA_CLEAR) return reservation.clear(host, data.crkey);
  const Status status = reservation.release(host, data.crkey, rtype_of(request));
  const bool wrong_type = status == Status(NVME_SC_INVALID_FIELD).do_not_retry();
  return wrong_type ? invalid_field(request, kCdw10 + 1) : status;
}

nvme_registered_ctrl_ext describe(const Reservation& reservation, const Registrant& registrant, uint16_t cntlid) {
  nvme_registered_ctrl_ext entry{};
  entry.cntlid = cntlid;
  entry.rcsts = reservation.is_holder(registrant.host) ? 1 : 0;
  entry.rkey = registrant.key;
  std::ranges::copy(registrant.host, entry.hostid);
  return entry;
}

// Entries of the report: as many as the host has room for, and how many there are.
class RegisteredControllers {
 public:
  explicit RegisteredControllers(std::span<std::byte> room) : room_(room) {}
  void put(const nvme_registered_ctrl_ext& entry) {
    const size_t written = std::min(sizeof(entry), room_.size());
    if (written != 0) std::memcpy(room_.data(), &entry, written);
    room_ = room_.subspan(written);
    ++count_;
  }
  size_t count() const { return count_; }

 private:
  std::span<std::byte> room_;
  size_t count_ = 0;
};

// One for each controller of a registered host, of other subsystems without their CNTLID; one with CNTLID FFFFh for a
// host that has none at the moment, because it is registered all the same.
void put_registered_controllers(const Subsystem& asked, const DispersedNamespace& ns, RegisteredControllers& entries) {
  for (const Registrant& registrant : ns.reservation.state().registrants) {
    const size_t before = entries.count();
    for (const auto& place : ns.places) {
      for (const auto& controller : place.subsystem->controllers()) {
        if (controller->host().id != registrant.host || controller->is_closing()) continue;
        const uint16_t cntlid = place.subsystem == &asked ? controller->cntlid() : nvme::kCntlidOtherSubsystem;
        entries.put(describe(ns.reservation, registrant, cntlid));
      }
    }
    if (entries.count() == before) entries.put(describe(ns.reservation, registrant, nvme::kCntlidDynamic));
  }
}

// Section 7.5. Entries beyond the host's buffer are cut off, but REGCTL counts them.
Status report(Request& request, const Controller& controller) {
  const DispersedNamespace& ns = dispersed_namespace(request);
  const Reservation& reservation = ns.reservation;
  nvme_resv_status head{};
  const std::span data(request.data.address, request.length_bytes);
  const size_t head_bytes = std::min<size_t>(sizeof(head), data.size());
  RegisteredControllers entries(data.subspan(head_bytes));
  put_registered_controllers(controller.subsystem(), ns, entries);

  const auto count = static_cast<uint16_t>(std::min<size_t>(entries.count(), UINT16_MAX));
  head.gen = reservation.state().generation;
  head.rtype = reservation.state().rtype;
  std::memcpy(head.regctl, &count, sizeof(count));
  head.ptpls = reservation.state().ptpl ? 1 : 0;
  std::memcpy(data.data(), &head, head_bytes);
  return kSuccess;
}

void report_on_control(Message& message) {
  Request& request = request_of(message);
  const Status status = check_on_control(request);
  end_from_control(request, status.ok() ? report(request, controller_of(request)) : status);
}

// However much a host asks for, the control thread writes only what there is: the zeroes behind it are the reactor's
// work.
void execute_report(Request& request) {
  std::memset(request.data.address, 0, request.length_bytes);
  hop_to_control(request, report_on_control);
}

}  // namespace

Status parse_reservation_register(Request& request) {
  constexpr unsigned kReservedCptpl = 1;
  if (const Status status = check_namespace(request); !status.ok()) return status;
  if (action_of(request) > NVME_RESERVATION_RREGA_REPLACE_KEY) return invalid_field(request, kCdw10);
  if (cptpl_of(request) == kReservedCptpl) return invalid_field(request, kCdw10 + kCptplBit / 8, kCptplBit % 8);
  return ready_to_receive(request, sizeof(RegisterData), execute<register_host>);
}

// Only Register has IEKEY: RESCAP says that it is used as in revision 1.3 and later.
Status parse_reservation_acquire(Request& request) {
  if (const Status status = check_namespace(request); !status.ok()) return status;
  if (action_of(request) > NVME_RESERVATION_RACQA_PREEMPT_AND_ABORT) return invalid_field(request, kCdw10);
  if (iekey_of(request)) return invalid_field(request, kCdw10, kIekeyBit);
  if (!is_reservation_type(rtype_of(request))) return invalid_field(request, kCdw10 + 1);
  const bool aborts = action_of(request) == NVME_RESERVATION_RACQA_PREEMPT_AND_ABORT;
  return ready_to_receive(request, sizeof(AcquireData), aborts ? execute_preempt_and_abort : execute<acquire>);
}

Status parse_reservation_release(Request& request) {
  if (const Status status = check_namespace(request); !status.ok()) return status;
  if (action_of(request) > NVME_RESERVATION_RRELA_CLEAR) return invalid_field(request, kCdw10);
  if (iekey_of(request)) return invalid_field(request, kCdw10, kIekeyBit);
  return ready_to_receive(request, sizeof(ReleaseData), execute<release>);
}

// Hosts have 128-bit identifiers here, for which only the extended data structure (EDS) has room.
Status parse_reservation_report(Request& request) {
  constexpr uint32_t kEds = 1;
  if (const Status status = check_namespace(request); !status.ok()) return status;
  if ((request.sqe->cdw11 & kEds) == 0) {
    request.error_location = offsetof(nvme::Sqe, cdw11);
    return Status(NVME_SC_HOSTID_FORMAT).do_not_retry();
  }
  const uint64_t length_bytes = (uint64_t{request.sqe->cdw10} + 1) * 4;
  if (length_bytes > request.queue->namespaces->max_transfer_bytes) return invalid_field(request, kCdw10);
  return ready_to_reply(request, static_cast<uint32_t>(length_bytes), execute_report);
}

}  // namespace nvmf::core
