// The reservation on one namespace: NVMe Base 2.0, section 8.19. Which hosts are registered, which one holds it, and
// what it denies to which host. Pure: knows no queues, controllers or disks. SubsystemReservations applies its changes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "target/core/datapath/denial.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

// The 128-bit Host Identifier. Controllers of one host share their registration.
using HostId = std::array<uint8_t, 16>;

struct Registrant {
  HostId host{};
  uint64_t key = 0;
  friend bool operator==(const Registrant&, const Registrant&) = default;
};

// The complete state of a reservation, which survives a power loss while PTPL is set.
struct ReservationState {
  std::vector<Registrant> registrants;  // no two of one host, at most limits::kMaxRegistrants
  uint8_t rtype = 0;                    // NVME_RESERVATION_RTYPE_*; 0: no reservation is held
  std::optional<HostId> holder;  // a registrant; none when no reservation is held, and with the All Registrants types
  uint32_t generation = 0;       // GEN of Reservation Report; wraps
  bool ptpl = false;             // Persist Through Power Loss
  friend bool operator==(const ReservationState&, const ReservationState&) = default;
};

// The contradiction in a state that comes from a file; empty when there is none.
std::string find_fault(const ReservationState& state);

bool is_reservation_type(unsigned rtype);

// The notifications for the controllers of a host: section 8.19.1.
struct ReservationNotice {
  HostId host{};
  nvme_resv_notify_rnlpt type{};
  friend bool operator==(const ReservationNotice&, const ReservationNotice&) = default;
};

class Reservation {
 public:
  explicit Reservation(ReservationState state = {}) : state_(std::move(state)) {}

  const ReservationState& state() const { return state_; }
  const Registrant* find(const HostId& host) const;
  bool is_holder(const HostId& host) const;
  // kReservedFromReads and kReservedFromWrites, as the reservation requires for the host.
  Denials denials(const HostId& host) const;

  // The commands' actions for the host that sends them. With any status but success nothing has changed. A current key
  // (CRKEY) without value is ignored (IEKEY). Key 0 registers nobody: Invalid Field, and as the key to replace with it
  // unregisters.
  Status register_key(const HostId& host, uint64_t nrkey);
  Status unregister_key(const HostId& host, std::optional<uint64_t> crkey);
  Status replace_key(const HostId& host, std::optional<uint64_t> crkey, uint64_t nrkey);
  Status acquire(const HostId& host, uint64_t crkey, uint8_t rtype);
  // Unregisters the hosts with the key `prkey`, and takes the reservation over if that is its holder's key (or if it is
  // 0 and all registrants hold the reservation).
  Status preempt(const HostId& host, uint64_t crkey, uint64_t prkey, uint8_t rtype);
  Status release(const HostId& host, uint64_t crkey, uint8_t rtype);
  // Unregisters all hosts.
  Status clear(const HostId& host, uint64_t crkey);
  // The same by the operator, who is no host: all hosts are told.
  void clear();
  void set_ptpl(bool ptpl) { state_.ptpl = ptpl; }

  // The notifications of the actions since the last call.
  const std::vector<ReservationNotice>& notices() const { return notices_; }

 private:
  bool has_key(const HostId& host, std::optional<uint64_t> key) const;
  bool is_held_with(uint64_t key) const;
  Status add(const HostId& host, uint64_t key);
  template <typename Condition>
  size_t remove_if(Condition condition, const HostId& by);
  void hold(const HostId& host, uint8_t rtype);
  void free();
  void tell_others(const std::optional<HostId>& but, nvme_resv_notify_rnlpt type);
  void clear_and_tell_all_but(const std::optional<HostId>& host);

  ReservationState state_;
  std::vector<ReservationNotice> notices_;
};

}  // namespace nvmf::core
