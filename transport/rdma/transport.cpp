#include "transport/rdma/transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::rdma {
namespace {

using core::EventKind;
using core::Severity;

constexpr int kListenBacklog = 1024;  // the most that the kernel takes
constexpr unsigned kCmEventsPerTurn = 16;

sockaddr_storage socket_address(const core::Port& port) {
  sockaddr_storage storage{};
  bool good = false;
  if (port.ipv6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port.service);
    good = inet_pton(AF_INET6, port.address.c_str(), &address.sin6_addr) == 1;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(port.service);
    good = inet_pton(AF_INET, port.address.c_str(), &address.sin_addr) == 1;
  }
  if (!good)
    throw std::invalid_argument("port " + std::to_string(port.id) + ": " + port.address + " is not an IP address");
  return storage;
}

bool is_of_listener(const rdma_cm_event& event) { return event.id->context == nullptr; }

// Null for a listener's event, too.
Connection* connection_of(const rdma_cm_event& event) { return Connection::unless_dismissed(event.id->context); }

PollGroupOptions among(size_t reactors, PollGroupOptions options) {
  options.wake_on_reads_in_place = reactors > 1;
  return options;
}

}  // namespace

Transport::Transport(boost::asio::io_context& io, core::Target& target, core::Mailbox& control,
                     std::vector<ReactorSeat> reactors, const PollGroupOptions& options)
    : io_(io),
      target_(target),
      control_(control),
      reactors_(std::move(reactors)),
      options_(among(reactors_.size(), options)),
      more_cm_events_(io),
      next_request_(io),
      more_endings_(io),
      stalled_hosts_(io) {
  verbs::let_go_of_gone_devices();
}

Transport::~Transport() = default;

rdma_event_channel* Transport::channel() {
  if (!channel_) {
    channel_ = verbs::create_cm_channel();
    cm_events_.emplace(io_, channel_->fd);
    wait_for_cm_event();
  }
  return channel_.get();
}

// A device that comes back is opened only after the former one has been closed, so that all resources are free. While
// its last commands are with a disk, librdmacm may still give the former one's context. Other devices do not wait.
verbs::CmId Transport::device_at(const sockaddr_storage& address) {
  verbs::CmId device = verbs::open_device(channel(), address);
  const std::string name = device_name(device->verbs);
  if (is_leaving(name))
    throw verbs::VerbsError(EBUSY, "the RNIC " + name + " was removed, and its last commands have not ended yet");
  return device;
}

verbs::CmId Transport::device_of(const core::Port& port) { return device_at(socket_address(port)); }

boost::asio::awaitable<Rnic*> Transport::open_device_of(core::Port port, Elsewhere elsewhere) {
  verbs::CmId device = device_of(port);
  if (find(device->verbs)) co_return nullptr;
  ibv_context* const context = device->verbs;
  if (const std::string refusal = why_not_served(*context->device); !refusal.empty())
    throw verbs::VerbsError(EACCES, refusal);
  opening_ = {.device = std::move(device), .context = context};
  std::function<void()> make = [this] {
    QueuePairOwner& owner = *this;
    opening_.rnic = std::make_unique<Rnic>(io_, std::move(opening_.device), control_, reactors_, options_, owner);
  };
  co_await elsewhere(std::move(make));
  if (opening_.context) co_await settle_remote_invalidate(elsewhere);
  std::unique_ptr<Rnic> made = std::move(opening_.rnic);
  if (!std::exchange(opening_.context, nullptr))
    throw verbs::VerbsError(ENODEV, "the RNIC was removed while it was being opened");
  rnics_.push_back(std::move(made));
  Rnic& rnic = *rnics_.back();
  rnic.watch_events([this, &rnic](const ibv_async_event& event) { on_device_event(rnic, event); });
  co_return &rnic;
}

// Empty: it may serve.
std::string Transport::why_not_served(const ibv_device& device) const {
  if (device.transport_type != IBV_TRANSPORT_IWARP || iwarp_.contains(device.name)) return {};
  return std::string(device.name) +
         ": this RNIC's transport is iWARP, where a host that knows or guesses a memory key can overwrite the data of "
         "other hosts, so it is not served; \"iwarp\": true for it in \"rdma\".\"devices\" of the config takes that "
         "risk";
}

// One line where it is not used although the device claims it: hosts are slower then.
boost::asio::awaitable<void> Transport::settle_remote_invalidate(const Elsewhere& elsewhere) {
  Rnic& rnic = *opening_.rnic;
  const auto said = remote_invalidate_.find(rnic.name());
  const RemoteInvalidate wanted = said == remote_invalidate_.end() ? RemoteInvalidate::Proved : said->second;
  if (wanted == RemoteInvalidate::On) rnic.set_remote_invalidate(true);
  if (wanted != RemoteInvalidate::Proved || !rnic.claims_remote_invalidate()) co_return;
  std::string failure = known_liar(rnic.device());
  if (failure.empty()) failure = co_await try_remote_invalidate(elsewhere);
  if (failure.empty()) co_return rnic.set_remote_invalidate(true);
  tell_of_device(Severity::Warning,
                 rnic.name() +
                     ": SEND with invalidate is not used, so hosts invalidate their keys themselves: " + failure +
                     "; \"rdma\".\"devices\" in the config can say \"remote_invalidate\": \"on\", or \"off\", which "
                     "ends this message");
}

// Empty, or why it is not used.
boost::asio::awaitable<std::string> Transport::try_remote_invalidate(const Elsewhere& elsewhere) {
  constexpr uint32_t kPauseMs = 1;
  const Rnic& rnic = *opening_.rnic;
  try {
    opening_.trial = std::make_unique<RemoteInvalidateTrial>(rnic.domain(), rnic.port());
  } catch (const std::exception& error) {
    co_return std::string("it could not be tried: ") + error.what();
  }
  std::optional<std::string> verdict = opening_.trial->look();
  boost::asio::steady_timer pause(io_);
  for (uint32_t waited_ms = 0; !verdict && opening_.context && waited_ms < RemoteInvalidateTrial::kTimeoutMs;
       waited_ms += kPauseMs) {
    pause.expires_after(std::chrono::milliseconds(kPauseMs));
    co_await pause.async_wait(boost::asio::use_awaitable);
    verdict = opening_.trial->look();
  }
  std::function<void()> destroy = [this] { opening_.trial.reset(); };
  co_await elsewhere(std::move(destroy));
  co_return verdict.value_or("a trial did not end within " + std::to_string(RemoteInvalidateTrial::kTimeoutMs) + " ms");
}

std::string Transport::device_name(ibv_context* context) {
  return context != nullptr ? ibv_get_device_name(context->device) : "an unknown device";
}

bool Transport::has_device_for(const core::Port& port) {
  try {
    return device_of(port) != nullptr;
  } catch (const verbs::VerbsError&) {
    return false;
  }
}

void Transport::put_in_service(Rnic& rnic) {
  if (!rnic.is_leaving()) in_service_.insert(&rnic);
}

// Its queues and its memory take the kernel as long as there are many of them.
void Transport::close(Rnic& rnic) {
  NVMF_INVARIANT(!rnic.has_queue_pairs() && !rnic.is_changing());
  const auto place = std::ranges::find_if(rnics_, [&](const auto& one) { return one.get() == &rnic; });
  const auto closed = std::make_shared<std::unique_ptr<Rnic>>(std::move(*place));
  rnics_.erase(place);
  rnic.stop_watching();
  if (!destroy_elsewhere) return;
  const auto name = closing_.insert(rnic.name());
  destroy_elsewhere([closed] { closed->reset(); }, [this, name] { closing_.erase(name); });
}

void Transport::listen(const core::Port& port) {
  const sockaddr_storage address = socket_address(port);
  verbs::CmId id = verbs::listen(channel(), reinterpret_cast<const sockaddr*>(&address), kListenBacklog);
  const Rnic* const rnic = find(id->verbs);
  if (!rnic || !in_service_.contains(rnic))
    throw verbs::VerbsError(ENODEV, device_name(id->verbs) + " is not in service yet");
  listeners_.push_back({port.id, port.address, std::move(id)});
}

// librdmacm tells the device of an address by binding to it.
void Transport::close_moved_listeners() {
  lose_listeners([this](const Listener& listener) {
    sockaddr_storage address{};
    const sockaddr* const local = rdma_get_local_addr(listener.id.get());
    std::memcpy(&address, local, local->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    try {
      return device_at(address)->verbs != listener.id->verbs;
    } catch (const verbs::VerbsError&) {
      return false;  // no device that can be opened has the address: it may come back
    }
  });
}

void Transport::stop_listening(uint16_t port_id) {
  std::erase_if(listeners_, [port_id](const Listener& listener) { return listener.port_id == port_id; });
  refuse_waiting([port_id](const Request& request) { return request.port_id == port_id; }, "the port was closed");
}

void Transport::stop_listening(uint16_t port_id, const std::string& address) {
  std::erase_if(listeners_, [&](const Listener& one) { return one.port_id == port_id && one.address == address; });
}

std::vector<std::string> Transport::addresses_of(uint16_t port_id) const {
  std::vector<std::string> addresses;
  for (const Listener& listener : listeners_)
    if (listener.port_id == port_id) addresses.push_back(listener.address);
  return addresses;
}

std::vector<const Rnic*> Transport::rnics_of(uint16_t port_id) const {
  std::vector<const Rnic*> devices;
  for (const auto& rnic : rnics_) {
    const auto is_on_it = [&](const Listener& one) {
      return one.port_id == port_id && one.id->verbs == rnic->context();
    };
    if (std::ranges::any_of(listeners_, is_on_it)) devices.push_back(rnic.get());
  }
  return devices;
}

void Transport::visit(const std::function<void(const Connection&)>& visitor) const {
  for (const auto& [number, connection] : connections_) visitor(*connection);
}

bool Transport::uses(const core::IoNamespaceTable& table) const {
  return std::ranges::any_of(connections_, [&](const auto& one) { return one.second->queue().namespaces == &table; });
}

void Transport::stop(std::function<void()> drained) {
  stopping_ = true;
  drained_ = std::move(drained);
  listeners_.clear();
  const std::string reason = "the target is shutting down";
  refuse_waiting([](const Request&) { return true; }, reason);
  const auto end = [reason](Connection& connection) {
    core::Controller* const controller = connection.queue().controller;
    controller != nullptr ? controller->fail(reason) : connection.disconnect(reason);
  };
  end_connections({.rnic = nullptr, .end = end, .then = nullptr});
}

// Not before each connection has been told to end. Whoever hears it may destroy the transport, but not before the
// present turn of the control thread is over.
void Transport::tell_if_stopped() {
  if (!stopping_ || connections() != 0 || !endings_.empty() || !drained_) return;
  std::exchange(drained_, nullptr)();
}

// Devices that have gone meanwhile were kept.
void Transport::resume() {
  stopping_ = false;
  drained_ = {};
  const std::vector<Rnic*> gone(draining_.begin(), draining_.end());
  for (Rnic* const rnic : gone) report_if_drained(*rnic);
}

bool Transport::has_commands() const {
  return std::ranges::any_of(connections_, [](const auto& one) { return !one.second->is_drained(); });
}

void Transport::turn_admin() {
  if (turning_) return;
  turning_ = true;
  for (const auto& rnic : rnics_) rnic->turn_admin();
  turning_ = false;
}

Rnic* Transport::find(ibv_context* context) {
  const auto found = std::ranges::find_if(rnics_, [context](const auto& rnic) { return rnic->context() == context; });
  return found == rnics_.end() ? nullptr : found->get();
}

HandshakeLimits Transport::limits_of(const Rnic& rnic) const {
  const core::TargetOptions& options = target_.options();
  return {.max_io_queues = options.max_io_queues,
          .admin_queue_depth = core::limits::kAdminQueueDepth,
          .max_queue_depth = options.max_queue_depth,
          .max_read_depth = static_cast<uint8_t>(std::clamp(rnic.device().max_qp_init_rd_atom, 0, 255))};
}

void Transport::tell_of_device(Severity severity, std::string message) {
  target_.event({.severity = severity, .kind = EventKind::Device, .message = std::move(message)});
}

// Connection manager events ------------------------------------------------------------------------------------------

void Transport::wait_for_cm_event() {
  cm_events_->when_readable([this] { take_cm_events(); });
}

// A bounded number each time: however many hosts come, timers and the API have their turns in between.
void Transport::take_cm_events() {
  for (unsigned taken = 0; taken < kCmEventsPerTurn; ++taken) {
    const verbs::CmEvent event = verbs::next_event(channel_.get());
    if (!event) {
      turn_admin();
      return wait_for_cm_event();
    }
    on_cm_event(*event);
  }
  turn_admin();
  more_cm_events_.post([this] { take_cm_events(); });
}

void Transport::on_cm_event(const rdma_cm_event& event) {
  if (event.event == RDMA_CM_EVENT_CONNECT_REQUEST) return on_connect_request(event);
  if (event.event == RDMA_CM_EVENT_DEVICE_REMOVAL) {
    if (Rnic* const rnic = find(event.id->verbs)) on_device_gone(*rnic);
    if (event.id->verbs == opening_.context) opening_.context = nullptr;
    return;
  }
  // A bond has moved the address to another of its devices. Not before the event has been acknowledged.
  if (event.event == RDMA_CM_EVENT_ADDR_CHANGE && is_of_listener(event))
    return boost::asio::post(io_, [this, id = event.id] {
      lose_listeners([id](const Listener& listener) { return listener.id.get() == id; });
    });
  Connection* connection = connection_of(event);
  if (!connection) return withdraw(event.id);
  switch (event.event) {
    case RDMA_CM_EVENT_ESTABLISHED:
    case RDMA_CM_EVENT_ADDR_CHANGE:
      return;
    case RDMA_CM_EVENT_DISCONNECTED:
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
      return connection->lost("the host disconnected");
    default:
      return on_failed(*connection, std::string("connection manager event ") + rdma_event_str(event.event));
  }
}

}  // namespace nvmf::rdma
