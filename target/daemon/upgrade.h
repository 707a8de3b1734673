// The first half of an upgrade, while this daemon serves: whether the program file that is at its path by now could
// take over (program.h), with the config file and the state as they are. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "target/core/subsystem/target.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/changes.h"
#include "target/daemon/events.h"
#include "target/daemon/patient_work.h"
#include "target/daemon/ports.h"
#include "target/daemon/program.h"
#include "target/daemon/running_config.h"
#include "target/daemon/storage.h"

namespace nvmf::daemon {

class Upgrade {
 public:
  struct Parts {
    boost::asio::io_context& io;
    Program& program;
    const core::Target& target;
    const RunningConfig& running;
    const Storage& storage;
    const Ports& ports;
    Changes& changes;
    Events& events;
  };
  explicit Upgrade(const Parts& parts) : parts_(parts), work_(parts.io) {}

  // See AdminActions. The other program is asked while config changes are made: it may take minutes to answer, or hang.
  boost::asio::awaitable<UpgradePlan> prepare(bool force);

 private:
  void look_at_this_daemon(bool force, UpgradePlan& plan) const;
  void report(const UpgradePlan& plan);

  Parts parts_;
  PatientWork work_;  // runs the other program, for whose end no end of this one waits
};

// Runs `program` to ask it for its version, and whether it can start with `config_file`. Blocks.
void ask_program(const std::string& program, const std::string& config_file, UpgradePlan& plan);

}  // namespace nvmf::daemon
