// What hosts have set on namespaces for all hosts: reservations and write protection (NVMe Base 2.0, sections 8.19 and
// 8.12). The operator sees both, and can end what a host left behind. Control thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "target/core/subsystem/target.h"
#include "target/daemon/changes.h"
#include "target/daemon/events.h"

namespace nvmf::daemon {

// Of the namespaces on which hosts are registered: [{"subsystem", "nsid", "type", "generation", "persists",
// "registrants": [{"host_id", "hosts", "controllers", "key", "holder"}]}]
nlohmann::json reservations_view(const core::Target& target);

// Of the namespaces to which hosts cannot write: [{"subsystem", "nsid", "state", "read_only"}]
nlohmann::json write_protection_view(const core::Target& target);
// A "state" of it.
inline constexpr char kUntilPowerCycle[] = "until-power-cycle";

class NamespaceStates {
 public:
  using Change = Changes::Change;

  NamespaceStates(boost::asio::io_context& io, core::Target& target, Changes& changes, Events& events)
      : io_(io), target_(target), changes_(changes), events_(events) {}

  // Ends the reservation on a namespace and all registrations, in all subsystems that it is in; the hosts are told.
  // Throws config::EditError when there is none, Refused when there is one and it is not done by `force`, and
  // std::runtime_error when the change could not be saved.
  Change clear_reservation(std::string nqn, uint32_t nsid, bool force);
  // Ends the write protection by hosts. Throws likewise, and Refused when it is not the operator's to end.
  Change clear_write_protection(std::string nqn, uint32_t nsid);

 private:
  core::Subsystem& subsystem_with(const std::string& nqn, uint32_t nsid);

  boost::asio::io_context& io_;
  core::Target& target_;
  Changes& changes_;
  Events& events_;
};

}  // namespace nvmf::daemon
