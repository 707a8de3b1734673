// Storage: how namespaces leave service, and what waits for their last commands.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "config/wording.h"
#include "target/daemon/spawn.h"
#include "target/daemon/storage.h"

namespace nvmf::daemon {
namespace {

using core::EventKind;

// A removed namespace whose commands have not ended by then is told of.
constexpr std::chrono::seconds kPatience{1};
constexpr std::chrono::milliseconds kSettlePoll{5};

std::string name_of(const ServedNamespace& served) {
  return fmt::format("namespace {} of {}", served.wanted.nsid, served.subsystem);
}

const std::string& device_of(const ServedNamespace& served) { return served.device->info().description; }

}  // namespace

std::string to_string(const OutstandingCommands& one) {
  return fmt::format("{} ({}): {}", one.space, one.device, config::count_of(one.commands, "command"));
}

// No other change waits for the last commands: a disk that hangs would keep them all.
Storage::Task Storage::remove(core::Subsystem& subsystem, uint32_t nsid) {
  ServedNamespace& served = *find(subsystem.nqn(), nsid);
  if (subsystem.find_namespace(nsid) != nullptr) subsystem.remove_namespace(nsid);
  co_await replace_views(subsystem, served, no_views(served));
  unkept_.erase({subsystem.nqn(), nsid});
  const auto place = std::ranges::find_if(served_, [&](const auto& one) { return one.get() == &served; });
  leaving_.push_back({std::move(*place), Clock::now()});
  served_.erase(place);
  spawn(io_, close_when_unused(served), "closing the device of a removed namespace");
  spawn(io_, tell_when_overdue(served), "telling of a removed namespace whose commands do not end");
}

Storage::Task Storage::close_when_unused(ServedNamespace& served) {
  co_await served.flushes->reached();
  const FormerViews::IsMeant is_its = [&](const FormerViews::Former& former) { return former.served == &served; };
  co_await former_.ended(is_its);
  for (const auto& gate : served.gates) served.fused_turns->remove(*gate);
  // When this is done, all messages between the gates, and error reports to the control thread, have been delivered.
  co_await on_reactors([&](size_t reactor) { served.channels[reactor].reset(); });
  const auto place = find_leaving(served);
  if (is_overdue(*place))
    events_.tell(EventKind::Namespace,
                 fmt::format("{}, which was removed: the last commands have ended at {}, which is closed now",
                             name_of(served), device_of(served)),
                 served.subsystem);
  co_await release_memory(std::move(served.regions));
  opener_.close({std::move(served.device), std::move(served.lock)});
  leaving_.erase(find_leaving(served));
}

// Not through `served` before it is known to be there still.
Storage::Task Storage::tell_when_overdue(const ServedNamespace& served) {
  boost::asio::steady_timer timer(io_, kPatience);
  co_await timer.async_wait(boost::asio::use_awaitable);
  const auto place = find_leaving(served);
  if (place == leaving_.end() || !is_overdue(*place)) co_return;
  events_.warn(EventKind::Namespace, sentence_of(*place), place->served->subsystem);
}

std::vector<Storage::Leaving>::iterator Storage::find_leaving(const ServedNamespace& served) {
  return std::ranges::find_if(leaving_, [&](const Leaving& one) { return one.served.get() == &served; });
}

bool Storage::is_overdue(const Leaving& one) { return Clock::now() - one.since >= kPatience; }

std::string Storage::sentence_of(const Leaving& one) {
  return fmt::format(
      "{} was removed, but {} has not finished all of its commands: it is closed when they end; see the "
      "kernel log (dmesg)",
      name_of(*one.served), device_of(*one.served));
}

Storage::Task Storage::settle() {
  boost::asio::steady_timer timer(io_);
  while (!std::ranges::all_of(leaving_, is_overdue)) {
    timer.expires_after(kSettlePoll);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

std::vector<std::string> Storage::awaited() const {
  std::vector<std::string> sentences;
  for (const Leaving& one : leaving_)
    if (is_overdue(one)) sentences.push_back(sentence_of(one));
  return sentences;
}

boost::asio::awaitable<std::vector<OutstandingCommands>> Storage::outstanding() {
  struct Seen {
    size_t reactor;
    const core::IoNamespace* view;
    OutstandingCommands found;
  };
  std::vector<Seen> views;
  const auto look_at = [&](const ServedNamespace& served, size_t reactor, const core::IoNamespace* view) {
    if (view != nullptr)
      views.push_back({reactor, view, {.space = name_of(served), .device = device_of(served), .commands = 0}});
  };
  for (const auto& served : served_)
    for (const OnGroup& place : served->on_groups) look_at(*served, place.reactor, place.view.get());
  for (const FormerViews::Former& one : former_.all()) look_at(*one.served, one.reactor, one.view.get());
  const std::shared_ptr<FormerViews::Held> held = former_.hold();
  co_await on_reactors([&](size_t reactor) {
    for (Seen& one : views)
      if (one.reactor == reactor) one.found.commands = one.view->commands;
  });
  std::vector<OutstandingCommands> all;
  for (Seen& one : views) {
    if (one.found.commands == 0) continue;
    const auto same = std::ranges::find(all, one.found.space, &OutstandingCommands::space);
    if (same != all.end())
      same->commands += one.found.commands;
    else
      all.push_back(std::move(one.found));
  }
  co_return all;
}

}  // namespace nvmf::daemon
