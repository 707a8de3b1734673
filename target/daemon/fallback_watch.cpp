#include "target/daemon/fallback_watch.h"

#include <boost/asio/use_awaitable.hpp>

#include "target/daemon/figures.h"
#include "target/daemon/slices.h"

namespace nvmf::daemon {
namespace {

constexpr std::chrono::seconds kInterval{10};

bool is_worth_an_event(core::Fallback reason) {
  return reason != core::Fallback::None && reason != core::Fallback::BelowThreshold &&
         reason != core::Fallback::ProcessorNeeds;
}

FallbackReports::Commands commands_of(const ServedNamespace& served) {
  FallbackReports::Commands commands{};
  const auto add = [&](const core::IoCounters& counters) {
    for (size_t reason = 0; reason < core::kFallbacks; ++reason)
      commands[reason] += counters.fallbacks[reason].commands.get();
  };
  add(served.past);
  for (const core::IoNamespace* former : served.former_views) add(former->counters);
  for (const OnGroup& place : served.on_groups)
    if (place.view) add(place.view->counters);
  return commands;
}

}  // namespace

void FallbackReports::begin_look() {
  std::erase_if(told_, [this](const auto& one) { return one.second.look != look_; });
  ++look_;
  told_now_ = 0;
}

std::optional<core::Event> FallbackReports::report(const std::string& nqn, uint32_t nsid, const Commands& commands,
                                                   Clock::time_point now) {
  Told& told = told_[{nqn, nsid}];
  told.look = look_;
  uint64_t sum = 0;
  std::string by_reason;
  for (size_t i = 0; i < commands.size(); ++i) {
    const auto reason = static_cast<core::Fallback>(i);
    const uint64_t more = commands[i] - std::min(commands[i], told.commands[i]);
    if (more == 0 || !is_worth_an_event(reason)) continue;
    sum += more;
    by_reason += (by_reason.empty() ? "" : ", ") + std::string(core::name_of(reason)) + ' ' + std::to_string(more);
  }
  const bool too_soon = told.at && now - *told.at < kPeriod;
  if (sum == 0 || too_soon || told_now_ == kMostAtATime) return std::nullopt;
  ++told_now_;
  told.commands = commands;
  told.at = now;
  return core::Event{.severity = core::Severity::Warning,
                     .kind = core::EventKind::Fallback,
                     .message = "namespace " + std::to_string(nsid) + " of " + nqn + ": " + std::to_string(sum) +
                                " commands went through DRAM instead of the CMB: " + by_reason +
                                "; nvmf-p2p p2p and connections say why. This is told every " +
                                std::to_string(kPeriod.count()) + " minutes at most",
                     .subsystem = nqn};
}

boost::asio::awaitable<void> FallbackWatch::run() {
  for (;;) {
    timer_.expires_after(kInterval);
    co_await timer_.async_wait(boost::asio::use_awaitable);
    reports_.begin_look();
    const std::vector<ServedSource> namespaces = served_namespaces_of(storage_);
    co_await in_slices(namespaces.size(), [&](size_t i) {
      const ServedNamespace* const served = namespaces[i]();
      if (served == nullptr || served->p2p.provider.empty()) return;
      const auto event =
          reports_.report(served->subsystem, served->wanted.nsid, commands_of(*served), FallbackReports::Clock::now());
      if (event) events_.tell(*event);
    });
  }
}

}  // namespace nvmf::daemon
