// Connect command: NVMe Base 2.0, section 6.3.
#include <array>
#include <cstring>
#include <optional>

#include "target/core/command/command.h"
#include "target/core/command/fabrics.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/authentication.h"
#include "target/nvme/fabrics.h"

namespace nvmf::core {
namespace {

using nvme::ConnectCommand;

const ConnectCommand& connect_command(const Request& request) {
  return reinterpret_cast<const ConnectCommand&>(*request.sqe);
}

// Connect Invalid Parameters; dword 0 of the completion has the position: IPO, and in IATTR whether it is in the data.
Status invalid_in_command(Request& request, size_t offset) {
  request.cqe.result = offset;
  request.error_location = static_cast<uint16_t>(offset);
  return command_specific(NVME_SC_CONNECT_INVALID_PARAM).do_not_retry();
}

// Not marked Do Not Retry, but for a subsystem that the operator has removed: one that is not there, or a controller,
// may come back, and a host that is told not to retry forgets the target for good.
Status invalid_in_data(Request& request, size_t offset) {
  request.cqe.result = offset | uint64_t{nvme::kIattrInData} << 16;
  return command_specific(NVME_SC_CONNECT_INVALID_PARAM);
}

constexpr Status kControllerBusy = command_specific(NVME_SC_CONNECT_CTRL_BUSY);

// An NQN in Connect data, which ends within its 256 bytes; none when it does not.
template <size_t size>
std::optional<std::string> nqn_from(const char (&field)[size]) {
  const size_t length = strnlen(field, size);
  return length < size ? std::optional(std::string(field, length)) : std::nullopt;
}

bool looks_like_nqn(const std::string& nqn) { return nqn.starts_with("nqn.") && nqn.size() <= limits::kMaxNqnLength; }

}  // namespace

const char* name_of(ConnectRefusal reason) {
  static constexpr std::array<const char*, kConnectRefusals> kNames = {
      "invalid_parameter",  "unknown_subsystem", "host_not_allowed", "unknown_controller",
      "no_controller_free", "sequence",          "failed_attempts"};
  static_assert(kConnectRefusals == static_cast<size_t>(ConnectRefusal::FailedAttempts) + 1 &&
                kNames.back() != nullptr);
  return kNames[static_cast<size_t>(reason)];
}

namespace {

// A Connect on the control thread: the host's request, and why it is refused.
class ConnectAttempt {
 public:
  explicit ConnectAttempt(Request& request) : request_(request), queue_(*request.queue) {
    std::memcpy(&data_, request.data.address, sizeof(data_));
    const auto hostnqn = nqn_from(data_.hostnqn);
    host_.nqn = hostnqn.value_or("");
    ends_ = hostnqn.has_value();
    subsystem_nqn_ = nqn_from(data_.subsysnqn).value_or("");
    std::memcpy(host_.id.data(), data_.hostid, host_.id.size());
  }

  // None: the host's former controller must end first. Not the `last` time.
  std::optional<Status> make(bool last) {
    const Status status = queue_.qid == 0 ? connect_admin() : connect_io();
    if (waits_ && !last) return std::nullopt;
    report(status);
    return status;
  }

 private:
  Status find_subsystem() {
    if (!ends_)
      return refuse_data(offsetof(nvmf_connect_data, hostnqn),
                         "the host NQN does not end within 256 bytes; set it on the host, in /etc/nvme/hostnqn");
    subsystem_ = queue_.target->find_subsystem(subsystem_nqn_);
    if (subsystem_ == nullptr) {
      refusal_ = ConnectRefusal::UnknownSubsystem;
      const Status status =
          refuse_data(offsetof(nvmf_connect_data, subsysnqn),
                      "there is no subsystem with this NQN; `nvme discover` on the host lists those that it may use");
      return queue_.target->was_removed(subsystem_nqn_) ? status.do_not_retry() : status;
    }
    if (!subsystem_->is_on_port(queue_.link->port_id())) {
      refusal_ = ConnectRefusal::UnknownSubsystem;
      return refuse_data(offsetof(nvmf_connect_data, subsysnqn),
                         "the subsystem is not on this port; add the port to its \"ports\", or use another address");
    }
    if (!subsystem_->allows(host_.nqn)) {
      refusal_ = ConnectRefusal::HostNotAllowed;
      reason_ =
          host_.nqn.empty()
              ? "only hosts in \"allowed_hosts\" may connect, and this one has sent no NQN; set it on the host, in "
                "/etc/nvme/hostnqn"
              : "the host may not connect to the subsystem; to allow it, add it to \"allowed_hosts\" (nvmf-p2p add "
                "host SUBSYSTEM HOST)";
      return command_specific(NVME_SC_CONNECT_INVALID_HOST).do_not_retry();
    }
    return subsystem_->requires_authentication(host_.nqn) ? check_authentication() : kSuccess;
  }

  // Before it is known whether the host is who it says that it is.
  Status check_authentication() {
    requires_authentication_ = true;
    if (queue_.target->dhchap_crypto == nullptr)
      return refuse_busy("the target is starting, and cannot authenticate hosts yet");
    return kSuccess;
  }

  // What hosts of its address that have not authenticated have done, and how many there are.
  Status check_address() {
    const std::string address = address_of(queue_.link->peer());
    if (queue_.target->failed_attempts.is_refused(address, Target::Clock::now())) {
      refusal_ = ConnectRefusal::FailedAttempts;
      return refuse_busy("hosts of the address " + address +
                         " have failed to authenticate too often; it may try again in a few seconds");
    }
    if (queue_.target->unauthenticated_controllers(address) >= limits::kMaxUnauthenticatedControllers) {
      refusal_ = ConnectRefusal::NoController;
      return refuse_busy(std::to_string(limits::kMaxUnauthenticatedControllers) +
                         " controllers of hosts of the address " + address +
                         " have not authenticated yet; the host may try again when they have");
    }
    if (!subsystem_->make_room_for_unauthenticated(address)) {
      refusal_ = ConnectRefusal::NoController;
      return refuse_busy("too many hosts that have not authenticated yet connect to subsystem " + subsystem_->nqn() +
                         " at once; the host tries again");
    }
    return kSuccess;
  }

  Status connect_admin() {
    if (const Status status = find_subsystem(); !status.ok()) return status;
    if (data_.cntlid != nvme::kCntlidDynamic) {
      return refuse_data(
          offsetof(nvmf_connect_data, cntlid),
          "controllers are dynamic: CNTLID must be FFFFh; the host must not ask for a certain controller");
    }
    if (host_.id == std::array<uint8_t, 16>{}) {
      return refuse_data(offsetof(nvmf_connect_data, hostid),
                         "the host identifier is zero; set it on the host, in /etc/nvme/hostid");
    }
    if (const auto owner = subsystem_->other_owner_of_id(host_))
      return refuse_data(offsetof(nvmf_connect_data, hostid), id_is_of(*owner));
    if (requires_authentication_) {
      if (const Status status = check_address(); !status.ok()) return status;
    } else if (!subsystem_->is_discovery() && queue_.link->reserve_io_queues(1) == 0) {
      return refuse_busy(kNoRoomForIoQueues);
    }
    controller_ = subsystem_->create_controller(host_, queue_, connect_command(request_).kato_ms, subsystem_nqn_,
                                                requires_authentication_);
    if (controller_ == nullptr) {
      refusal_ = ConnectRefusal::NoController;
      reason_ = subsystem_->reached_limit(host_);
      waits_ = reason_.empty();
      if (waits_)
        reason_ = "the devices have not finished all commands of the host's previous controller; the host tries again";
      return kControllerBusy;
    }
    if (requires_authentication_) controller_->require_authentication(queue_);
    return kSuccess;
  }

  Status connect_io() {
    if (const Status status = find_subsystem(); !status.ok()) return status;
    controller_ = subsystem_->find_controller(data_.cntlid);
    if (controller_ == nullptr) {
      refusal_ = ConnectRefusal::UnknownController;
      return refuse_data(offsetof(nvmf_connect_data, cntlid),
                         "there is no controller " + std::to_string(data_.cntlid) +
                             " any more; the host must connect its admin queue again");
    }
    if (controller_->host().nqn != host_.nqn) {
      return refuse_data(offsetof(nvmf_connect_data, hostnqn),
                         "the controller belongs to another host; the host must connect its admin queue again");
    }
    if (controller_->host().id != host_.id) {
      return refuse_data(offsetof(nvmf_connect_data, hostid),
                         "the controller was created with another host identifier; the host must use the same one "
                         "(/etc/nvme/hostid) for all queues");
    }
    if (requires_authentication_ && address_of(queue_.link->peer()) != address_of(controller_->peer())) {
      return refuse_data(offsetof(nvmf_connect_data, cntlid),
                         "the controller was connected from the address " + address_of(controller_->peer()) +
                             "; a host that must authenticate must use one address for all queues of a controller");
    }
    if (queue_.qid > controller_->granted_io_queues()) {
      return refuse_command(
          offsetof(ConnectCommand, qid),
          "the controller was granted fewer I/O queues (Feature 07h); the host must ask for more first");
    }
    if (controller_->is_closing())
      return refuse_busy("the controller is being disconnected; the host must connect its admin queue again");
    if (!controller_->ready()) return refuse_sequence("the controller is not enabled; the host must set CC.EN first");
    const Queue* const former = controller_->find_io_queue(queue_.qid);
    if (former != nullptr && former->link->is_closing())
      return refuse_busy("the queue's previous connection is still closing; the host must try again");
    // That may be a stranger's: a host that is told not to retry forgets the target for good.
    if (former != nullptr && !controller_->is_admitted(*former))
      return refuse_sequence("another connection has this queue and has not authenticated yet; the host must try again",
                             NVME_SC_CMD_SEQ_ERROR);
    if (former != nullptr)
      return refuse_sequence("the controller already has this queue; the host must disconnect it first");
    if (controller_->io_queue_count() >= io_queues_for(*queue_.target, *controller_)) {
      return refuse_busy(
          "the target, or this host, already has all I/O queues that \"limits\" allows; raise \"max_io_queues\" or "
          "\"max_io_queues_per_host\"");
    }
    queue_.namespaces = queue_.link->io_namespaces(*subsystem_);
    controller_->add_io_queue(queue_);
    if (requires_authentication_) controller_->require_authentication(queue_);
    queue_.target->queue_connected(queue_);
    return kSuccess;
  }

  Status refuse_data(size_t offset, std::string reason) {
    reason_ = std::move(reason);
    return invalid_in_data(request_, offset);
  }
  Status refuse_command(size_t offset, std::string reason) {
    reason_ = std::move(reason);
    return invalid_in_command(request_, offset);
  }
  Status refuse_sequence(std::string reason, Status status = command_sequence_error()) {
    refusal_ = ConnectRefusal::Sequence;
    reason_ = std::move(reason);
    return status;
  }

  // Hosts try again: it is not marked Do Not Retry.
  Status refuse_busy(std::string reason) {
    reason_ = std::move(reason);
    return kControllerBusy;
  }

  void report(Status status) {
    if (status.ok()) request_.cqe.result = controller_->cntlid() | (requires_authentication_ ? nvme::kAuthreqAtr : 0);
    if (!status.ok()) {
      ++queue_.target->counters.refused_connects[static_cast<size_t>(refusal_)];
      queue_.target->event({.severity = Severity::Warning,
                            .kind = EventKind::Refusal,
                            .message = "refused Connect of queue " + std::to_string(queue_.qid) + ", host " +
                                       shown(host_.nqn) + " (" + queue_.link->peer() + "), subsystem " +
                                       shown(subsystem_nqn_) + ", port " + std::to_string(queue_.link->port_id()) +
                                       ": " + reason_,
                            .subsystem = shown(subsystem_nqn_),
                            .host = shown(host_.nqn)});
    } else if (queue_.qid == 0) {
      ++queue_.target->counters.controllers_made;
      if (!requires_authentication_)
        controller_->tell(Severity::Info, EventKind::Connect, "connected " + controller_->description());
      if (!looks_like_nqn(host_.nqn)) report_odd_host();
    }
  }

  // Tools for tests and measurements send none, or what they like. Once: such hosts may come often.
  void report_odd_host() const {
    if (!queue_.target->note_odd_host()) return;
    controller_->tell(Severity::Warning, EventKind::Connect,
                      "host «" + shown(host_.nqn) + "» (" + queue_.link->peer() +
                          ") has sent no valid host NQN. It may connect to subsystems that allow any host; all "
                          "hosts without a valid NQN share the limits of one host. This is logged once");
  }

  Request& request_;
  Queue& queue_;
  nvmf_connect_data data_;
  HostIdentity host_;
  bool ends_ = false;  // the host NQN, within its field
  std::string subsystem_nqn_;
  Subsystem* subsystem_ = nullptr;
  Controller* controller_ = nullptr;
  std::string reason_;
  bool waits_ = false;
  bool requires_authentication_ = false;
  ConnectRefusal refusal_ = ConnectRefusal::InvalidParameter;
};

// Back on the queue's thread. The completion entry, which finish() completes, carries the status.
void finish_connect(Message& message) {
  Request& request = request_of(message);
  Queue& queue = *request.queue;
  const ConnectCommand& command = connect_command(request);
  const Status status(request.cqe.status);
  queue.connect_forwarded = false;
  if (status.ok()) {
    queue.connected = true;
    queue.size = static_cast<uint16_t>(command.sqsize_z + 1);
    queue.flow_control = (command.cattr & nvme::kCattrDisableSqFlowControl) == 0;
  }
  finish(request, status);
}

bool attempt(Request& request, bool last) {
  const std::optional<Status> status = ConnectAttempt(request).make(last);
  if (!status) return false;
  request.cqe.status = status->value();
  hop_back(request, finish_connect);
  return true;
}

void connect_on_control(Message& message) {
  Request& request = request_of(message);
  if (!attempt(request, false)) request.queue->target->wait_to_connect(request, attempt);
}

// A second Connect may have been parsed before the first was executed.
void execute_connect(Request& request) {
  Queue& queue = *request.queue;
  if (queue.connected || queue.connect_forwarded) return finish(request, command_sequence_error());
  queue.connect_forwarded = true;
  hop_to_control(request, connect_on_control);
}

}  // namespace

Status parse_connect(Request& request) {
  const Queue& queue = *request.queue;
  const ConnectCommand& command = connect_command(request);
  if (command.recfmt != 0) return command_specific(NVME_SC_CONNECT_FORMAT).do_not_retry();
  if (command.qid != queue.qid) return invalid_in_command(request, offsetof(ConnectCommand, qid));
  if (command.sqsize_z == 0 || command.sqsize_z >= queue.depth) {
    return invalid_in_command(request, offsetof(ConnectCommand, sqsize_z));
  }
  return ready_to_receive(request, sizeof(nvmf_connect_data), execute_connect);
}

}  // namespace nvmf::core
