// Daemon: how the process ends, or makes way for another program. In both cases hosts are disconnected when their
// commands have ended. What differs is what happens when commands do not end: a disk may hang. A write that is
// outstanding then may reach the medium after its host has written newer data by another path.
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/wording.h"
#include "target/core/datapath/limits.h"
#include "target/daemon/daemon.h"
#include "target/daemon/served_names.h"
#include "target/daemon/service_manager.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

// Of a program that has taken another one's place, to serve as much as that did.
constexpr std::chrono::seconds kProofTimeout{5};
constexpr milliseconds kProofPoll{50};
// Of a process that gives up: to ask the reactors for what is outstanding.
constexpr std::chrono::seconds kLastWords{1};

}  // namespace

void Daemon::shut_down() {
  const milliseconds most(running_.config().shutdown_timeout_ms);
  changes_.close();
  metrics_.reset();
  service_manager::stopping("disconnecting hosts", most);
  spdlog::info("shutting down: waiting for {} to finish, at most {} ms; a second signal exits at once",
               config::count_of(transport_.connections(), "queue"), most.count());
  end_service(most);
}

void Daemon::hand_over() {
  const std::function<std::string()> obstacle = [this]() -> std::string {
    const std::vector<std::string>& unsaved = running_.unsaved();
    if (unsaved.empty()) return {};
    return fmt::format("these changes of the config were made meanwhile, are not saved and would be lost: {}",
                       fmt::join(unsaved, ", "));
  };
  spawn(io_, make_way(Successor::Next, obstacle), "making way for another program");
}

// No change is lost that a client was told is made: those before are looked at, later ones are refused.
Daemon::Task Daemon::make_way(Successor successor, std::function<std::string()> obstacle) {
  bool begins = false;
  const auto work = [&]() -> Changes::Change {
    const std::string why_not = obstacle();
    if (!why_not.empty()) {
      program_.set_upgrade_failure(why_not);
      events_.error(core::EventKind::Config, fmt::format("upgrade refused: {}", why_not));
      co_return ConfigChange{};
    }
    begins = true;
    successor_ = successor;
    served_names_ = names_of_what_is_served();
    changes_.close();
    co_return ConfigChange{};
  };
  co_await changes_.alone(work);
  if (!begins) co_return;
  service_manager::upgrading("making way for another version");
  events_.tell(core::EventKind::Config, "upgrade: hosts are asked to use other paths, then disconnected");
  co_await ports_.move_hosts();
  if (successor_ == Successor::None) co_return;  // a signal has come
  const milliseconds most(core::limits::kQuiesceTimeoutMs);
  spdlog::info("upgrade: waiting for {} to finish, at most {} ms", config::count_of(transport_.connections(), "queue"),
               most.count());
  end_service(most);
}

std::vector<std::string> Daemon::names_of_what_is_served() const {
  std::vector<std::string> names;
  for (const auto& served : storage_.namespaces())
    names.push_back(name_of_namespace(served->subsystem, served->wanted.nsid));
  for (const core::Port& port : target_.ports())
    for (const std::string& address : ports_.addresses_of(port.id)) names.push_back(name_of_listener(port.id, address));
  return names;
}

// RNICs and devices may take a moment until the kernel lets go of what the former program had of them.
Daemon::Task Daemon::prove_itself() {
  const auto deadline = std::chrono::steady_clock::now() + kProofTimeout;
  boost::asio::steady_timer pause(io_);
  for (;;) {
    const std::vector<std::string> lost =
        lost_names(program_.former_served(), names_of_what_is_served(), running_.config());
    if (lost.empty()) co_return program_.settle();
    if (changes_.closed()) co_return;
    if (std::chrono::steady_clock::now() >= deadline) {
      shortfall_ =
          fmt::format("does not serve what version {} served: {}", program_.former_version(), fmt::join(lost, ", "));
      break;
    }
    pause.expires_after(kProofPoll);
    co_await pause.async_wait(boost::asio::use_awaitable);
  }
  events_.error(core::EventKind::Config, fmt::format("the upgrade failed: this version {}", shortfall_));
  const std::function<std::string()> no_obstacle = [] { return std::string(); };
  co_await make_way(Successor::Former, no_obstacle);
}

void Daemon::end_service(milliseconds most) {
  ports_.stop();
  reload_.stop();
  shutdown_timer_.expires_after(most);
  shutdown_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) time_is_up();
  });
  transport_.stop([this] { io_.stop(); });
}

void Daemon::time_is_up() {
  if (transport_.has_commands()) {
    if (successor_ != Successor::None) return spawn(io_, serve_on(), "serving on");
    if (!std::exchange(gives_up_, true)) spawn(io_, give_up(), "the end of the process");
    return;
  }
  spdlog::warn("all commands have ended, but the kernel has not destroyed {} yet",
               config::count_of(transport_.connections(), "queue pair"));
  if (successor_ != Successor::None) make_way_at_once();
  std::_Exit(EXIT_SUCCESS);
}

boost::asio::awaitable<std::string> Daemon::outstanding_commands() {
  const std::vector<OutstandingCommands> found = co_await storage_.outstanding();
  std::vector<std::string> each;
  for (const OutstandingCommands& one : found) each.push_back(to_string(one));
  co_return each.empty() ? "none at a device of a namespace" : fmt::format("{}", fmt::join(each, ", "));
}

// Whoever replaced the process now would let hosts write newer data, over which the disk may then write the old.
Daemon::Task Daemon::serve_on() {
  const std::string outstanding = co_await outstanding_commands();
  if (successor_ == Successor::None) co_return;  // a signal has come
  successor_ = Successor::None;
  const std::string why = fmt::format(
      "commands had not ended {} s after their hosts were disconnected, and another program may not serve before they "
      "have: {}; see the kernel log (dmesg)",
      core::limits::kQuiesceTimeoutMs / 1000, outstanding);
  transport_.resume();
  changes_.reopen();
  program_.set_upgrade_failure(why);
  program_.settle();
  events_.error(core::EventKind::Config, fmt::format("upgrade aborted, this program serves on: {}", why));
  ports_.serve_on();
  reload_.serve_on();
  service_manager::ready(status_line());
}

Daemon::Task Daemon::give_up() {
  shutdown_timer_.expires_after(kLastWords);
  shutdown_timer_.async_wait([](const boost::system::error_code& error) {
    if (!error) std::_Exit(EXIT_FAILURE);  // a reactor does not answer
  });
  const std::string outstanding = co_await outstanding_commands();
  spdlog::critical(
      "the process ends although commands of hosts have not ended, in {}: {}. DATA MAY BE DAMAGED: hosts repeat "
      "the commands by other paths, and when the device executes the old ones afterwards, older data replaces newer. "
      "Before a host or another target writes to these namespaces, make sure that the device has no command left (see "
      "the kernel log, dmesg)",
      config::count_of(transport_.connections(), "queue"), outstanding);
  std::_Exit(EXIT_FAILURE);
}

// The kernel ends what is left of the queue pairs, as at an exit.
void Daemon::make_way_at_once() const {
  try {
    if (successor_ == Successor::Next) program_.replace(config_text(), served_names_);
    program_.go_back(shortfall_);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  std::_Exit(EXIT_FAILURE);
}

}  // namespace nvmf::daemon
