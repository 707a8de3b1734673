// Namespaces by storage: one storage may be a namespace of several NVM subsystems (NVMe Base 2.0, Dispersed
// Namespaces). Its reservation and its write protection by hosts hold in all of them. Control thread only.
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

  std::vector<Place> places;  // usually one
  Reservation reservation;
  WriteProtection write_protection = WriteProtection::None;  // by hosts
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

 private:
  std::map<std::string, DispersedNamespace> by_storage_;
  std::map<std::pair<const Subsystem*, uint32_t>, DispersedNamespace*> by_place_;
};

}  // namespace nvmf::core
