// Views of namespaces that poll groups served before, and that commands may use still. They live until the last of
// these commands has ended, which a device that hangs may put off for ever: only who needs that end waits for it.
// Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"
#include "transport/rdma/namespace_tables.h"
#include "transport/rdma/poll_group.h"
#include "transport/rdma/rnic.h"

namespace nvmf::daemon {

struct ServedNamespace;
struct OnGroup;

class FormerViews {
 public:
  struct Former {
    bool is_on(const rdma::Rnic& rnic) const;

    ServedNamespace* served;  // lives as long as this
    rdma::PollGroup* group;
    size_t reactor;
    std::unique_ptr<core::IoNamespace> view;  // null: the group did not serve the namespace
    rdma::NamespaceChange change{};
    FormerViews* all = nullptr;
    std::list<Former>::iterator self{};
  };
  using IsMeant = std::function<bool(const Former&)>;

  explicit FormerViews(boost::asio::io_context& io);

  // Has the poll group at `place` of `served` serve `next`; null: nothing. It does when its reactor has received what
  // was sent to it by now.
  void replace(const core::Subsystem& subsystem, ServedNamespace& served, OnGroup& place,
               std::unique_ptr<core::IoNamespace> next);
  // Over when no command uses the views that are meant. (g++ 12 destroys a temporary of the call's expression twice:
  // pass a named one.)
  boost::asio::awaitable<void> ended(IsMeant is_meant);
  // The same for at most so long. False: commands use some of them still.
  boost::asio::awaitable<bool> ended_within(IsMeant is_meant, std::chrono::milliseconds most);
  const std::list<Former>& all() const { return former_; }

  // As long as such an object lives no view is destroyed: reactors read them.
  using Held = std::vector<std::unique_ptr<core::IoNamespace>>;
  std::shared_ptr<Held> hold();
  // Of a view that no command uses. Adds its counters to those of the namespace's past.
  void destroy(ServedNamespace& served, std::unique_ptr<core::IoNamespace> view);

 private:
  void end(Former& former);

  boost::asio::steady_timer one_has_ended_;  // never expires: cancelled when a view has ended
  std::list<Former> former_;
  std::weak_ptr<Held> held_;  // views that have ended while somebody holds them
};

}  // namespace nvmf::daemon
