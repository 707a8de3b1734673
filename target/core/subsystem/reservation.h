// The reservation on one namespace: NVMe Base 2.0, section 8.19. Who is registered, who holds it, what that denies to
// whom. Pure: knows no queues, controllers or disks. SubsystemReservations carries its changes out.
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

// All there is to know of a reservation, and what survives a power loss while PTPL is set.
struct ReservationState {
  std::vector<Registrant> registrants;  // no two of one host, at most limits::kMaxRegistrants
  uint8_t rtype = 0;                    // NVME_RESERVATION_RTYPE_*; 0: no reservation is held
  std::optional<HostId> holder;         // a registrant; none where nothing is held and with the All Registrants types
  uint32_t generation = 0;              // GEN of Reservation Report; wraps
  bool ptpl = false;                    // Persist Through Power Loss
  friend bool operator==(const ReservationState&, const ReservationState&) = default;
};

// What contradicts itself in a state that comes from outside; empty when nothing does.
std::string find_fault(const ReservationState& state);

bool is_reservation_type(unsigned rtype);

// What the controllers of a host are to be told: section 8.19.1.
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
  // kReservedFromReads and kReservedFromWrites, as the host's place in the reservation has it.
  Denials denials(const HostId& host) const;

  // The commands' actions for the host that sends them. Anything but success has changed nothing. A current key
  // (CRKEY) that is no value is one to be ignored (IEKEY). Key 0 registers nobody: Invalid Field, and as the key to
  // replace with it unregisters.
  Status register_key(const HostId& host, uint64_t nrkey);
  Status unregister_key(const HostId& host, std::optional<uint64_t> crkey);
  Status replace_key(const HostId& host, std::optional<uint64_t> crkey, uint64_t nrkey);
  Status acquire(const HostId& host, uint64_t crkey, uint8_t rtype);
  // Unregisters whose key is `prkey`, and takes the reservation over where that is its holder's (or is 0 and all
  // registrants hold it).
  Status preempt(const HostId& host, uint64_t crkey, uint64_t prkey, uint8_t rtype);
  Status release(const HostId& host, uint64_t crkey, uint8_t rtype);
  // Unregisters everybody.
  Status clear(const HostId& host, uint64_t crkey);
  void set_ptpl(bool ptpl) { state_.ptpl = ptpl; }

  // What the actions since have to tell.
  const std::vector<ReservationNotice>& notices() const { return notices_; }

 private:
  bool has_key(const HostId& host, std::optional<uint64_t> key) const;
  bool is_held_with(uint64_t key) const;
  Status add(const HostId& host, uint64_t key);
  template <typename Condition>
  size_t remove_if(Condition condition, const HostId& by);
  void hold(const HostId& host, uint8_t rtype);
  void free();
  void tell_others(const HostId& but, nvme_resv_notify_rnlpt type);

  ReservationState state_;
  std::vector<ReservationNotice> notices_;
};

}  // namespace nvmf::core
