#include "target/daemon/ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "config/edit.h"
#include "config/wording.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/end_controllers.h"
#include "target/daemon/spawn.h"
#include "target/daemon/wildcard_ports.h"

namespace nvmf::daemon {
namespace {

// Ports are looked at this often: those that wait are tried again.
constexpr std::chrono::seconds kInterval{1};
// Hosts of a port that drains have this long to read that it changes, and that it is inaccessible; whether they have is
// looked at this often, because hosts with one path wait meanwhile. Hosts do not wait longer than ANATT for the end of
// a change.
constexpr std::chrono::milliseconds kMoveTimeout{5000};
constexpr std::chrono::milliseconds kMovePoll{10};
static_assert(kMoveTimeout < std::chrono::seconds(core::kAnaTransitionSeconds));

struct MoveStep {
  core::Withdrawal withdrawal;
  std::chrono::milliseconds end;  // at the latest, from the beginning of the first step
};
constexpr MoveStep kMoveSteps[] = {
    {core::Withdrawal::Changing, kMoveTimeout / 2},
    {core::Withdrawal::Withdrawn, kMoveTimeout},
};

using core::EventKind;

}  // namespace

Ports::Ports(boost::asio::io_context& io, core::Target& target, rdma::Transport& transport, Storage& storage,
             PeerMemories& peer_memories, Changes& changes, Events& events)
    : io_(io),
      target_(target),
      transport_(transport),
      storage_(storage),
      peer_memories_(peer_memories),
      changes_(changes),
      events_(events),
      next_look_(io) {
  transport_.on_port_lost = [this](uint16_t port_id) { on_port_lost(port_id); };
  transport_.on_device_drained = [this](rdma::Rnic& rnic) {
    spawn(io_, take_out_of_service(rnic), "taking the RNIC " + rnic.name() + " out of service");
  };
  look_again();
}

std::vector<core::Port> Ports::with_device(const core::Port& port) {
  if (!port.wildcard) return {port};
  std::vector<core::Port> meant = ports_meant(port, target_.ports(), read_interface_addresses());
  std::erase_if(meant, [this](const core::Port& one) { return !transport_.has_device_for(one); });
  return meant;
}

// listen() reports a port without device.
boost::asio::awaitable<bool> Ports::open_devices_of(std::vector<core::Port> ports, Attempt attempt) {
  std::vector<rdma::Rnic*> come;
  size_t missing = 0;
  const rdma::Transport::Elsewhere elsewhere = [this](std::function<void()> work) {
    return worker_.run(std::move(work));
  };
  for (const core::Port& port : ports) {
    const std::vector<core::Port> listeners = with_device(port);
    if (listeners.empty()) ++missing;
    for (const core::Port& one : listeners) {
      try {
        rdma::Rnic* const rnic = co_await transport_.open_device_of(one, elsewhere);
        if (rnic != nullptr) come.push_back(rnic);
      } catch (const std::exception& error) {
        ++missing;
        if (attempt == Attempt::First && transport_.has_device_for(one))
          events_.error(EventKind::Port, fmt::format("port {}: {}", port.id, error.what()));
      }
    }
  }
  peer_memories_.expect_rnics(missing);
  co_await put_in_service(come);
  co_return !come.empty();
}

Ports::Task Ports::put_in_service(const std::vector<rdma::Rnic*>& rnics) {
  for (rdma::Rnic* rnic : rnics) co_await storage_.join(*rnic);
  co_await peer_memories_.add(rnics);
  for (rdma::Rnic* rnic : rnics) {
    co_await storage_.serve_on(*rnic);
    transport_.put_in_service(*rnic);
    events_.tell(EventKind::Device, fmt::format("the RNIC {} is in service", rnic->name()));
  }
}

// Nothing uses the device any more: only other changes have to end first.
Ports::Task Ports::take_out_of_service(rdma::Rnic& rnic) {
  const auto work = [&]() -> Changes::Change {
    co_await storage_.part(rnic);
    peer_memories_.remove(rnic);
    events_.tell(EventKind::Device, fmt::format("the RNIC {} was removed and is out of service", rnic.name()));
    transport_.close(rnic);
    co_return ConfigChange{};
  };
  co_await changes_.alone(work, Changes::WhenClosed::Wait);
}

// Before hosts connect, namespaces get the CMBs that the new devices can use.
Ports::Task Ports::come_up(std::vector<core::Port> ports, Attempt attempt) {
  const bool has_come = co_await open_devices_of(ports, attempt);
  if (has_come) {
    co_await storage_.choose_again();
    co_await on_devices_came();
  }
  let_go_of_addresses();
  for (const core::Port& port : ports)
    if (!drained_.contains(port.id)) listen(port, attempt);
}

void Ports::listen(const core::Port& port, Attempt attempt) {
  if (port.wildcard) return listen_everywhere(port, attempt);
  try {
    transport_.listen(port);
    on_listening_changed();
    reasons_.erase(port.id);
    events_.tell(EventKind::Port,
                 fmt::format("port {}: listening on {}, service {}", port.id, port.address, port.service));
  } catch (const std::exception& error) {
    if (attempt == Attempt::First)
      events_.warn(EventKind::Port,
                   fmt::format("port {}: {}; trying again every {} s", port.id, error.what(), kInterval.count()));
    unheard_.push_back(port);
    reasons_[port.id] = error.what();
  }
}

void Ports::listen_everywhere(const core::Port& port, Attempt attempt) {
  const std::vector<std::string> heard = transport_.addresses_of(port.id);
  std::string reason = fmt::format("no RNIC of this machine has an {} address, or other ports listen on all of them",
                                   port.ipv6 ? "IPv6" : "IPv4");
  for (const core::Port& one : with_device(port)) {
    if (std::ranges::find(heard, one.address) != heard.end()) continue;
    try {
      transport_.listen(one);
      on_listening_changed();
      deaf_.erase({one.id, one.address});
      events_.tell(EventKind::Port,
                   fmt::format("port {}: listening on {}, service {}", one.id, one.address, one.service));
    } catch (const std::exception& error) {
      reason = one.address + ": " + error.what();
      if (deaf_.insert({one.id, one.address}).second)
        events_.warn(EventKind::Port,
                     fmt::format("port {}: {}; trying again every {} s", one.id, reason, kInterval.count()));
    }
  }
  tell_addresses(port);
  if (transport_.is_listening(port.id)) {
    reasons_.erase(port.id);
    return;
  }
  if (attempt == Attempt::First)
    events_.warn(EventKind::Port,
                 fmt::format("port {}: {}; trying again every {} s", port.id, reason, kInterval.count()));
  reasons_[port.id] = reason;
}

bool Ports::is_heard_everywhere(const core::Port& port) {
  const std::vector<std::string> heard = transport_.addresses_of(port.id);
  return std::ranges::all_of(
      with_device(port), [&](const core::Port& one) { return std::ranges::find(heard, one.address) != heard.end(); });
}

void Ports::let_go_of_addresses() {
  for (const core::Port& port : target_.ports()) {
    if (!port.wildcard) continue;
    const auto meant = ports_meant(port, target_.ports(), read_interface_addresses());
    for (const std::string& heard : transport_.addresses_of(port.id)) {
      if (std::ranges::find(meant, heard, &core::Port::address) != meant.end()) continue;
      transport_.stop_listening(port.id, heard);
      on_listening_changed();
      events_.tell(
          EventKind::Port,
          fmt::format(
              "port {}: no longer listening on {}, which the machine does not have any more or another port has",
              port.id, heard));
    }
    std::erase_if(deaf_, [&](const auto& one) {
      return one.first == port.id && std::ranges::find(meant, one.second, &core::Port::address) == meant.end();
    });
    if (port.heard != transport_.addresses_of(port.id)) on_port_lost(port.id);
  }
}

void Ports::tell_addresses(const core::Port& port) {
  const bool changed = port.wildcard && target_.set_heard(port.id, transport_.addresses_of(port.id));
  if (changed) on_addresses_changed();
}

void Ports::stop_listening(uint16_t port_id) {
  std::erase_if(unheard_, [&](const core::Port& port) { return port.id == port_id; });
  reasons_.erase(port_id);
  transport_.stop_listening(port_id);
  on_listening_changed();
  for (const core::Port& port : target_.ports())
    if (port.id == port_id) tell_addresses(port);
}

void Ports::remove(uint16_t port_id) {
  stop_listening(port_id);
  drained_.erase(port_id);
  target_.withdraw_port(port_id, core::Withdrawal::No);
  target_.remove_port(port_id);
}

void Ports::on_port_lost(uint16_t port_id) {
  on_listening_changed();
  for (const core::Port& port : target_.ports()) {
    if (port.id != port_id) continue;
    if (port.wildcard)
      tell_addresses(port);
    else
      unheard_.push_back(port);
  }
  if (!transport_.is_listening(port_id)) reasons_[port_id] = "its RNIC is gone, or its address is elsewhere";
}

void Ports::look_again() {
  next_look_.expires_after(kInterval);
  next_look_.async_wait([this](const boost::system::error_code& error) {
    if (error || changes_.closed()) return;
    transport_.close_moved_listeners();
    let_go_of_addresses();
    const auto is_ready = [this](const core::Port& port) { return transport_.has_device_for(port); };
    const auto is_partly_heard = [this](const core::Port& port) {
      return port.wildcard && !drained_.contains(port.id) && !is_heard_everywhere(port);
    };
    if (!coming_up_ &&
        (std::ranges::any_of(unheard_, is_ready) || std::ranges::any_of(target_.ports(), is_partly_heard))) {
      coming_up_ = true;
      spawn(io_, on_ports_ready(), "bringing up ports");
    }
    const auto wants_test = [this](const auto& rnic) { return wants_self_test(*rnic); };
    if (!proving_ && std::ranges::any_of(transport_.rnics(), wants_test)) {
      proving_ = true;
      spawn(io_, repeat_self_tests(), "repeating the self-test of peer memory");
    }
    look_again();
  });
}

Ports::Task Ports::on_ports_ready() {
  const auto work = [this]() -> Changes::Change {
    coming_up_ = false;
    std::vector<core::Port> ready = std::exchange(unheard_, {});
    std::ranges::copy_if(target_.ports(), std::back_inserter(ready), &core::Port::wildcard);
    co_await come_up(std::move(ready), Attempt::Later);
    co_return ConfigChange{};
  };
  co_await changes_.alone(work);
}

bool Ports::wants_self_test(const rdma::Rnic& rnic) const {
  return !rnic.is_leaving() && peer_memories_.has_untried_mtu(rnic);
}

// Namespaces that require a CMB may be servable by then.
Ports::Task Ports::repeat_self_tests() {
  const auto work = [this]() -> Changes::Change {
    std::vector<const rdma::Rnic*> tested;
    for (const auto& rnic : transport_.rnics())
      if (wants_self_test(*rnic)) tested.push_back(rnic.get());
    for (const rdma::Rnic* rnic : tested) co_await peer_memories_.try_again(*rnic);
    proving_ = false;
    for (const rdma::Rnic* rnic : tested) co_await storage_.follow_proof(*rnic);
    if (!tested.empty()) co_await on_devices_came();
    co_return ConfigChange{};
  };
  co_await changes_.alone(work);
}

Ports::Task Ports::prove(std::string ssd) {
  const auto work = [&]() -> Changes::Change {
    const auto prepared = peer_memories_.prepared();
    if (!ssd.empty() && std::ranges::find(prepared, ssd, &PeerMemories::Prepared::bdf) == prepared.end())
      throw config::EditError(config::EditError::Kind::Absent,
                              "no namespace is configured to use the CMB of an SSD at " + ssd);
    std::vector<const rdma::Rnic*> present;
    for (const auto& rnic : transport_.rnics())
      if (!rnic->is_leaving()) present.push_back(rnic.get());
    bool has_tested = false;
    for (const rdma::Rnic* rnic : present) {
      if (!co_await peer_memories_.prove_again(*rnic, ssd)) continue;
      has_tested = true;
      co_await storage_.follow_proof(*rnic);
    }
    if (has_tested) co_await storage_.prove_consumers(ssd);
    co_await on_devices_came();
    co_return ConfigChange{};
  };
  const ConfigChange change = co_await changes_.alone(work);
  if (change.verdict != ConfigChange::Verdict::Good) throw Refused(change.reasons.front());
}

const char* Ports::state_of(const core::Port& port) const {
  if (drained_.contains(port.id)) return target_.controllers_on(port.id) != 0 ? "draining" : "drained";
  return transport_.is_listening(port.id) ? "listening" : "waiting";
}

std::string Ports::reason_of(uint16_t port_id) const {
  const auto found = reasons_.find(port_id);
  return found == reasons_.end() ? "" : found->second;
}

std::optional<std::vector<uint16_t>> Ports::drain(std::optional<uint16_t> port) {
  const uint64_t drain = ++last_drain_;
  std::vector<uint16_t> changed;
  bool found = !port;
  for (const core::Port& one : target_.ports()) {
    if (port && *port != one.id) continue;
    found = true;
    if (!drained_.try_emplace(one.id, drain).second) continue;
    changed.push_back(one.id);
    stop_listening(one.id);
    events_.tell(
        EventKind::Port,
        fmt::format(
            "port {} drains: hosts are asked to use other ports, and none may connect until the port is resumed",
            one.id));
  }
  if (!changed.empty()) spawn(io_, disconnect_hosts(changed, drain), "draining ports");
  transport_.turn_admin();
  if (!found) return std::nullopt;
  return changed;
}

Ports::Task Ports::withdraw(std::vector<uint16_t> ports, std::function<bool(uint16_t)> is_resumed) {
  const auto begin = std::chrono::steady_clock::now();
  boost::asio::steady_timer timer(io_);
  for (const MoveStep& step : kMoveSteps) {
    std::erase_if(ports, is_resumed);
    for (const uint16_t id : ports) target_.withdraw_port(id, step.withdrawal);
    transport_.turn_admin();
    std::vector<uint16_t> due = ports;
    const auto is_over = [&](uint16_t id) { return is_resumed(id) || target_.have_hosts_moved(id); };
    // Each port is looked at until it is over, and the next one then.
    const auto are_over = [&] {
      while (!due.empty() && is_over(due.back())) due.pop_back();
      return due.empty();
    };
    while (!are_over() && std::chrono::steady_clock::now() < begin + step.end) {
      timer.expires_after(kMovePoll);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
  }
}

Ports::Task Ports::disconnect_hosts(std::vector<uint16_t> ports, uint64_t drain) {
  const std::function<bool(uint16_t)> is_resumed = [this, drain](uint16_t id) {
    const auto found = drained_.find(id);
    return found == drained_.end() || found->second != drain;
  };
  co_await withdraw(ports, is_resumed);
  for (const uint16_t id : ports) {
    if (is_resumed(id)) continue;
    const size_t count = end_controllers(target_, "the operator drains port " + std::to_string(id),
                                         [&](const core::Controller& it) { return it.port_id() == id; });
    events_.tell(EventKind::Port, fmt::format("port {} drains: {} {} disconnected", id,
                                              config::count_of(count, "controller"), count == 1 ? "is" : "are"));
  }
  transport_.turn_admin();
}

Ports::Task Ports::move_hosts() {
  std::vector<uint16_t> ports;
  for (const core::Port& port : target_.ports()) {
    stop_listening(port.id);
    ports.push_back(port.id);
  }
  const std::function<bool(uint16_t)> is_resumed = [](uint16_t) { return false; };
  co_await withdraw(std::move(ports), is_resumed);
}

// Changes that waited were refused meanwhile.
void Ports::serve_on() {
  coming_up_ = false;
  proving_ = false;
  for (const core::Port& port : target_.ports()) {
    if (drained_.contains(port.id)) continue;
    target_.withdraw_port(port.id, core::Withdrawal::No);
    listen(port, Attempt::First);
  }
  transport_.turn_admin();
  look_again();
}

std::optional<std::vector<uint16_t>> Ports::resume(std::optional<uint16_t> port) {
  std::vector<uint16_t> changed;
  bool found = !port;
  for (const core::Port& one : target_.ports()) {
    if (port && *port != one.id) continue;
    found = true;
    if (drained_.erase(one.id) == 0) continue;
    changed.push_back(one.id);
    events_.tell(EventKind::Port, fmt::format("port {} is resumed", one.id));
    target_.withdraw_port(one.id, core::Withdrawal::No);
    if (!changes_.closed()) listen(one, Attempt::First);
  }
  transport_.turn_admin();
  if (!found) return std::nullopt;
  return changed;
}

}  // namespace nvmf::daemon
