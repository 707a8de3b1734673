// librdmacm and the kernel's connection manager: ids, their states, the messages between two of them, and the events
// that a channel gives. The functions are in cm_functions.cpp.
#pragma once

#include <rdma/rdma_cma.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tests/rnic/device.h"

namespace nvmf::rnic {

class CmId;

struct CmEvent : rdma_cm_event {
  CmId* counts_for = nullptr;  // must not be destroyed before the event is acknowledged
  std::array<std::byte, 256> private_data{};
};

struct CmChannel : rdma_event_channel {
  CmChannel() : rdma_event_channel{}, records(1) { fd = records.fd(); }
  EventPipe records;
  std::deque<std::unique_ptr<CmEvent>> events;
};

enum class CmState : uint8_t {
  Idle,
  Bound,
  Listening,
  AddressResolved,
  RouteResolved,
  Connecting,  // REQ sent
  Answering,   // REQ received
  Accepted,    // REP sent
  Answered,    // REP received
  Connected,
  Disconnecting,  // DREQ sent
  Ended,
};

class CmId : public rdma_cm_id {
 public:
  CmId(ConnectionManager& manager, CmChannel& of, void* of_owner);
  ~CmId();

  CmChannel& events() const { return *static_cast<CmChannel*>(channel); }
  Device* device() const { return verbs != nullptr ? &Context::of(verbs).device : nullptr; }
  void bind_to(Device& device);

  const uint64_t number;
  CmState state = CmState::Idle;
  uint64_t peer = 0;      // number of the id at the other side
  uint64_t listener = 0;  // of an id that a request made
  int backlog = 0;
  int unread_requests = 0;  // of a listener
  int unacknowledged = 0;   // events that were given
  bool told_of_end = false;

  // What the connection was agreed with.
  uint32_t local_qp = 0;
  uint32_t remote_qp = 0;
  uint8_t responder_resources = 0;
  uint8_t initiator_depth = 0;
  uint8_t retry_count = 7;
  uint8_t rnr_retry_count = 7;

  uint64_t delivered_at_ns = 0;  // the last of its messages

 private:
  ConnectionManager& manager_;
};

class ConnectionManager {
 public:
  explicit ConnectionManager(Fabric& fabric) : fabric_(fabric) {}

  Fabric& fabric() const { return fabric_; }
  uint64_t enter(CmId& id);
  void leave(CmId& id);
  CmId* find(uint64_t number) const;
  uint16_t new_service() { return ++services_; }
  // Null: nobody listens there.
  CmId* listener_at(const sockaddr_in& address) const;

  // An event of `id`; `data` is padded to `padded_bytes`, as InfiniBand's messages have a fixed size.
  void tell(CmId& id, rdma_cm_event_type type, int status = 0, std::span<const std::byte> data = {},
            size_t padded_bytes = 0);
  // The same, a little later.
  void tell_later(CmId& id, rdma_cm_event_type type, int status = 0);

  void connect(CmId& id, const rdma_conn_param& parameters);
  void accept(CmId& id, const rdma_conn_param& parameters);
  void reject(CmId& id, int reason, std::span<const std::byte> data);
  void ready_to_use(CmId& id);
  void disconnect(CmId& id);
  // What the other side hears when an id is destroyed.
  void abandon(CmId& id);
  void device_removed(Device& device);
  // As when a bond moves the device's addresses to another of its devices and back: RDMA_CM_EVENT_ADDR_CHANGE is told
  // to each id of the device (the kernel's cma_netdev_change()). Nothing of what they do changes.
  void address_changed(const Device& device);

 private:
  struct Request;

  // Messages of one id arrive in their order, unless a link is down.
  void send(CmId& from, uint64_t to, std::function<void(CmId&)> arrives);
  void on_request(const Request& request);
  void refuse(const Request& request, int reason);
  void give_up_unless(CmState reached, uint64_t number, CmState from);
  void end(CmId& id, int status);
  static void drop_events(CmId& id);
  void drop_requests(const CmId& listener);

  Fabric& fabric_;
  std::vector<CmId*> ids_;  // by number, which rises
  uint64_t numbers_ = 0;
  uint16_t services_ = 40'000;
  Life life_;
};

}  // namespace nvmf::rnic
