#include "target/core/subsystem/reservation.h"

#include <algorithm>

#include "target/core/datapath/limits.h"

namespace nvmf::core {
namespace {

// «Command Behavior in the Presence of a Reservation», section 8.19; nothing is denied to the holder.
struct Exclusion {
  Denials others;       // hosts that are not registered
  Denials registrants;  // except the holder
  bool all_registrants_hold;
  bool release_is_told;  // Reservation Released, to the other registrants
};

constexpr Denials kWrites = kReservedFromWrites;
constexpr Denials kReadsAndWrites = kReservedFromReads | kReservedFromWrites;

// By RTYPE.
constexpr std::array<Exclusion, 7> kExclusions = {{
    {0, 0, false, false},
    {kWrites, kWrites, false, false},                  // Write Exclusive
    {kReadsAndWrites, kReadsAndWrites, false, false},  // Exclusive Access
    {kWrites, 0, false, true},                         // Write Exclusive - Registrants Only
    {kReadsAndWrites, 0, false, true},                 // Exclusive Access - Registrants Only
    {kWrites, 0, true, true},                          // Write Exclusive - All Registrants
    {kReadsAndWrites, 0, true, true},                  // Exclusive Access - All Registrants
}};

constexpr Status kConflict = Status(NVME_SC_RESERVATION_CONFLICT).do_not_retry();
constexpr Status kInvalidField = Status(NVME_SC_INVALID_FIELD).do_not_retry();

const Exclusion& exclusion(const ReservationState& state) { return kExclusions[state.rtype]; }

const Registrant* find_registrant(const ReservationState& state, const HostId& host) {
  const auto& all = state.registrants;
  const auto place = std::ranges::find_if(all, [&](const Registrant& one) { return one.host == host; });
  return place != all.end() ? &*place : nullptr;
}

bool names_a_host_twice(const ReservationState& state) {
  return std::ranges::any_of(state.registrants,
                             [&](const Registrant& one) { return find_registrant(state, one.host) != &one; });
}

}  // namespace

bool is_reservation_type(unsigned rtype) { return rtype >= 1 && rtype < kExclusions.size(); }

std::string find_fault(const ReservationState& state) {
  if (state.rtype != 0 && !is_reservation_type(state.rtype)) return "the reservation type does not exist";
  if (state.registrants.size() > limits::kMaxRegistrants) return "it has too many registrants";
  if (names_a_host_twice(state)) return "a host is registered twice";
  const bool one_holds = state.rtype != 0 && !exclusion(state).all_registrants_hold;
  if (one_holds != state.holder.has_value()) return "holder and reservation type contradict each other";
  if (state.holder && find_registrant(state, *state.holder) == nullptr) return "the holder is not registered";
  if (state.rtype != 0 && state.registrants.empty()) return "a reservation is held, but no host is registered";
  return {};
}

const Registrant* Reservation::find(const HostId& host) const { return find_registrant(state_, host); }

bool Reservation::is_holder(const HostId& host) const {
  return exclusion(state_).all_registrants_hold ? find(host) != nullptr : state_.holder == host;
}

Denials Reservation::denials(const HostId& host) const {
  if (is_holder(host)) return 0;
  return find(host) != nullptr ? exclusion(state_).registrants : exclusion(state_).others;
}

// Section 8.19.2. No host is registered with key 0: preempting it names no registrant (section 8.19.7, where PRKEY 0
// means all of them or nobody), so such a host could not be fenced.
Status Reservation::register_key(const HostId& host, uint64_t nrkey) {
  if (nrkey == 0) return kInvalidField;
  const Registrant* registrant = find(host);
  if (registrant == nullptr) return add(host, nrkey);
  if (registrant->key != nrkey) return kConflict;
  ++state_.generation;
  return kSuccess;
}

// Section 8.19.4
Status Reservation::unregister_key(const HostId& host, std::optional<uint64_t> crkey) {
  if (!has_key(host, crkey)) return kConflict;
  const bool released = is_holder(host) && !exclusion(state_).all_registrants_hold;
  const bool told = released && exclusion(state_).release_is_told;
  if (released) free();
  remove_if([&](const Registrant& one) { return one.host == host; }, host);
  if (told) tell_others(host, NVME_RESV_NOTIFY_RNLPT_RESERVATION_RELEASED);
  ++state_.generation;
  return kSuccess;
}

// With IEKEY a host that is not registered becomes so: section 8.19.2. With a new key of 0, Linux's pr_register() means
// that the host is registered no more, as with SCSI's REGISTER: unregistering (section 8.19.4) is what fencing needs.
Status Reservation::replace_key(const HostId& host, std::optional<uint64_t> crkey, uint64_t nrkey) {
  if (nrkey == 0) return unregister_key(host, crkey);
  if (!crkey && find(host) == nullptr) return add(host, nrkey);
  if (!has_key(host, crkey)) return kConflict;
  for (Registrant& one : state_.registrants) {
    if (one.host == host) one.key = nrkey;
  }
  ++state_.generation;
  return kSuccess;
}

// Section 8.19.5
Status Reservation::acquire(const HostId& host, uint64_t crkey, uint8_t rtype) {
  if (!has_key(host, crkey)) return kConflict;
  if (state_.rtype == 0) {
    hold(host, rtype);
    return kSuccess;
  }
  return is_holder(host) && state_.rtype == rtype ? kSuccess : kConflict;
}

// Section 8.19.7
Status Reservation::preempt(const HostId& host, uint64_t crkey, uint64_t prkey, uint8_t rtype) {
  if (!has_key(host, crkey)) return kConflict;
  const bool from_all = exclusion(state_).all_registrants_hold && prkey == 0;
  if (from_all || is_held_with(prkey)) {
    const uint8_t former = state_.rtype;
    hold(host, rtype);
    remove_if([&](const Registrant& one) { return one.host != host && (from_all || one.key == prkey); }, host);
    if (former != rtype) tell_others(host, NVME_RESV_NOTIFY_RNLPT_RESERVATION_RELEASED);
  } else if (state_.holder && prkey == 0) {
    return kInvalidField;
  } else if (remove_if([&](const Registrant& one) { return one.key == prkey; }, host) == 0) {
    return kConflict;
  }
  ++state_.generation;
  return kSuccess;
}

// Section 8.19.6. It is no error when a registrant that holds no reservation releases it.
Status Reservation::release(const HostId& host, uint64_t crkey, uint8_t rtype) {
  if (!has_key(host, crkey)) return kConflict;
  if (state_.rtype == 0 || !is_holder(host)) return kSuccess;
  if (state_.rtype != rtype) return kInvalidField;
  if (exclusion(state_).release_is_told) tell_others(host, NVME_RESV_NOTIFY_RNLPT_RESERVATION_RELEASED);
  free();
  return kSuccess;
}

// Section 8.19.8
Status Reservation::clear(const HostId& host, uint64_t crkey) {
  if (!has_key(host, crkey)) return kConflict;
  clear_and_tell_all_but(host);
  return kSuccess;
}

void Reservation::clear() { clear_and_tell_all_but(std::nullopt); }

void Reservation::clear_and_tell_all_but(const std::optional<HostId>& host) {
  tell_others(host, NVME_RESV_NOTIFY_RNLPT_RESERVATION_PREEMPTED);
  free();
  state_.registrants.clear();
  ++state_.generation;
}

// Whether the host is registered, with this key if one is given.
bool Reservation::has_key(const HostId& host, std::optional<uint64_t> key) const {
  const Registrant* registrant = find(host);
  return registrant != nullptr && (!key || registrant->key == *key);
}

bool Reservation::is_held_with(uint64_t key) const { return state_.holder && has_key(*state_.holder, key); }

Status Reservation::add(const HostId& host, uint64_t key) {
  if (state_.registrants.size() == limits::kMaxRegistrants) return Status(NVME_SC_INTERNAL).do_not_retry();
  state_.registrants.push_back({host, key});
  ++state_.generation;
  return kSuccess;
}

// Unregisters all hosts that meet the condition except the single holder of a reservation, notifies them except the
// host that sent the command, and returns their number. A reservation of all registrants ends with the last one.
template <typename Condition>
size_t Reservation::remove_if(Condition condition, const HostId& by) {
  for (const Registrant& one : state_.registrants) {
    if (condition(one) && one.host != by) {
      notices_.push_back({one.host, NVME_RESV_NOTIFY_RNLPT_REGISTRATION_PREEMPTED});
    }
  }
  const size_t removed = std::erase_if(state_.registrants, condition);
  if (state_.registrants.empty()) free();
  return removed;
}

void Reservation::hold(const HostId& host, uint8_t rtype) {
  state_.rtype = rtype;
  state_.holder.reset();
  if (!exclusion(state_).all_registrants_hold) state_.holder = host;
}

void Reservation::free() {
  state_.rtype = 0;
  state_.holder.reset();
}

void Reservation::tell_others(const std::optional<HostId>& but, nvme_resv_notify_rnlpt type) {
  for (const Registrant& one : state_.registrants) {
    if (one.host != but) notices_.push_back({one.host, type});
  }
}

}  // namespace nvmf::core
