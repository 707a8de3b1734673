// Namespaces by what they lie on: one storage may be a namespace of several NVM subsystems (NVMe Base 2.0, Dispersed
// Namespaces). What hosts make of it there holds in all of them: who has reserved it, and whether it is protected
// against writing. Control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

  std::vector<Place> places;  // mostly one
  Reservation reservation;
  WriteProtection write_protection = WriteProtection::None;  // by hosts
};

class DispersedNamespaces {
 public:
  // A namespace comes: one with the storage (NamespaceOptions) of another is the same. What was saved of it counts
  // where nothing else is known.
  void add(Subsystem& subsystem, const NamespaceOptions& ns, const ReservationState& saved_reservation,
           WriteProtection saved_protection);
  // It goes. With its last place, what was not saved is forgotten.
  void remove(const Subsystem& subsystem, uint32_t nsid);
  // It is there.
  DispersedNamespace& find(const Subsystem& subsystem, uint32_t nsid) { return *by_place_.at({&subsystem, nsid}); }

 private:
  std::map<std::string, DispersedNamespace> by_storage_;
  std::map<std::pair<const Subsystem*, uint32_t>, DispersedNamespace*> by_place_;
};

}  // namespace nvmf::core
