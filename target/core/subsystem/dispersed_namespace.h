// Namespaces by storage: one storage may be a namespace of several NVM subsystems (NVMe Base 2.0, Dispersed
// Namespaces). Its reservation and its write protection by hosts hold in all of them, and are changed one change after
// the other, because each is saved before it holds. Control thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "target/core/datapath/status.h"
#include "target/core/subsystem/reservation.h"
#include "target/core/subsystem/write_protection.h"

namespace nvmf::core {

class Subsystem;
struct NamespaceOptions;

struct DispersedNamespace {
  // Where hosts find it: a subsystem, and its NSID there.
  struct Place {
    Subsystem* subsystem;
    uint32_t nsid;
    friend bool operator==(const Place&, const Place&) = default;
  };

  std::vector<Place> places;  // usually one
  Reservation reservation;
  WriteProtection write_protection = WriteProtection::None;  // by hosts
  // The last change could not be saved: a restart may find it, or not. The next change is saved in any case.
  bool saved_reservation_is_unknown = false;
  bool saved_protection_is_unknown = false;
};

class DispersedNamespaces {
 public:
  // A namespace is added: one with the storage (NamespaceOptions) of another is the same. Its saved state is used when
  // no other place has it already.
  void add(Subsystem& subsystem, const NamespaceOptions& ns, const ReservationState& saved_reservation,
           WriteProtection saved_protection);
  // A namespace is removed. With its last place, state that was not saved is lost.
  void remove(const Subsystem& subsystem, uint32_t nsid);
  // It is there.
  DispersedNamespace& find(const Subsystem& subsystem, uint32_t nsid) { return *by_place_.at({&subsystem, nsid}); }
  // Names the storage of a namespace.
  static std::string storage_of(const Subsystem& subsystem, const NamespaceOptions& ns);
  // Null: it is no namespace any more.
  DispersedNamespace* find(const std::string& storage);

  using End = std::function<void(Status)>;
  // A change of a namespace's state. It calls `end` once, at once or later: when the new state has been saved and
  // holds, or when the change has failed.
  using Change = std::function<void(const NamespaceOptions& ns, End end)>;
  // Makes the change when all earlier ones of that storage have ended, at once when there is none; then calls `done`,
  // before the next one begins. Invalid Namespace, without making it: the namespace has been removed. The subsystem
  // lives until then.
  void change_in_turn(const Subsystem& subsystem, uint32_t nsid, Change change, End done);

 private:
  struct Changes {
    std::deque<std::function<void()>> waiting;
    bool under_way = false;
    bool is_looping = false;  // next_change() begins the next one
  };

  void next_change(const std::string& storage);

  std::map<std::string, DispersedNamespace> by_storage_;
  std::map<std::string, Changes> changes_;  // of storages with one under way, whether it is a namespace or not
  std::map<std::pair<const Subsystem*, uint32_t>, DispersedNamespace*> by_place_;
};

}  // namespace nvmf::core
