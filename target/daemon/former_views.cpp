#include "target/daemon/former_views.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "target/daemon/storage.h"

namespace nvmf::daemon {

FormerViews::FormerViews(boost::asio::io_context& io)
    : one_has_ended_(io, boost::asio::steady_timer::time_point::max()) {}

bool FormerViews::Former::is_on(const rdma::Rnic& rnic) const {
  return std::ranges::any_of(rnic.io_groups(), [this](const auto& one) { return one.get() == group; });
}

void FormerViews::replace(const core::Subsystem& subsystem, ServedNamespace& served, OnGroup& place,
                          std::unique_ptr<core::IoNamespace> next) {
  Former& former = former_.emplace_front(
      Former{.served = &served, .group = &place.group(), .reactor = place.reactor, .view = std::move(place.view)});
  if (former.view) served.former_views.push_back(former.view.get());
  former.all = this;
  former.self = former_.begin();
  rdma::NamespaceChange& change = former.change;
  change.subsystem = &subsystem;
  change.nsid = served.wanted.nsid;
  change.next = next.get();
  change.context = &former;
  change.done = [](rdma::NamespaceChange& done) {
    auto& ended = *static_cast<Former*>(done.context);
    ended.all->end(ended);
  };
  place.view = std::move(next);
  former.group->change_namespace(change);
}

void FormerViews::end(Former& former) {
  if (former.view) destroy(*former.served, std::move(former.view));
  former_.erase(former.self);
  one_has_ended_.cancel();
}

void FormerViews::destroy(ServedNamespace& served, std::unique_ptr<core::IoNamespace> view) {
  std::erase(served.former_views, view.get());
  core::add(served.past, view->counters);
  if (const auto held = held_.lock()) held->push_back(std::move(view));
}

std::shared_ptr<FormerViews::Held> FormerViews::hold() {
  auto held = held_.lock();
  if (!held) held_ = held = std::make_shared<Held>();
  return held;
}

boost::asio::awaitable<void> FormerViews::ended(IsMeant is_meant) {
  boost::system::error_code cancelled;
  while (std::ranges::any_of(former_, is_meant))
    co_await one_has_ended_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
}

boost::asio::awaitable<bool> FormerViews::ended_within(IsMeant is_meant, std::chrono::milliseconds most) {
  bool is_over = false;
  boost::asio::steady_timer end(one_has_ended_.get_executor(), most);
  end.async_wait([this, &is_over](const boost::system::error_code& error) {
    if (error) return;
    is_over = true;
    one_has_ended_.cancel();
  });
  boost::system::error_code cancelled;
  while (!is_over && std::ranges::any_of(former_, is_meant))
    co_await one_has_ended_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  co_return !is_over;
}

}  // namespace nvmf::daemon
