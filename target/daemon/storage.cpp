#include "target/daemon/storage.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <functional>
#include <set>

#include "target/core/datapath/scratch.h"
#include "target/daemon/namespace_identifiers.h"
#include "target/daemon/on_reactors.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

using core::EventKind;

template <class... Case>
struct Match : Case... {
  using Case::operator()...;
};
template <class... Case>
Match(Case...) -> Match<Case...>;

core::CopyLimits copy_limits(const backend::DeviceInfo& device) {
  return (device.own_commands & core::kOwnCopy) != 0 ? device.copy : core::composed_copy_limits(device.lba_shift);
}

const backend::QuiesceTime& quiesce_time(const backend::DeviceInfo& device, const config::Namespace& wanted) {
  const bool may_use_cmb = wanted.p2p != config::P2pMode::off;
  return may_use_cmb && device.cmb_quiesce ? *device.cmb_quiesce : device.quiesce;
}

void tell_quiesce_time(const backend::DeviceInfo& device, const config::Namespace& wanted) {
  if (const auto note = quiesce_note(device.description, quiesce_time(device, wanted))) spdlog::info("{}", *note);
}

// Hosts are told one limit for all zoned namespaces, once: ZASL.
void require_zone_appends(const backend::DeviceInfo& device, uint32_t mdts_bytes) {
  const uint32_t told_bytes = core::max_zone_append_bytes(mdts_bytes);
  if (!is_zoned(device.zones) || device.max_zone_append_bytes >= told_bytes) return;
  throw std::runtime_error(fmt::format(
      "{}: the SSD takes Zone Appends of at most {} bytes, and hosts are told {} bytes for all zoned namespaces: set "
      "\"rdma\".\"mdts_bytes\" to {}, and restart the daemon",
      device.description, device.max_zone_append_bytes, told_bytes, std::bit_floor(device.max_zone_append_bytes)));
}

}  // namespace

backend::DeviceSpec spec_of(const config::Backend& wanted) {
  using backend::DeviceKind;
  using Spec = backend::DeviceSpec;
  return std::visit(
      Match{[](const config::NvmeBackend& nvme) {
              return Spec{.kind = DeviceKind::Nvme, .path = nvme.path, .serial = nvme.serial, .nsid = nvme.nsid};
            },
            [](const config::BlockBackend& block) { return Spec{.kind = DeviceKind::Block, .path = block.path}; },
            [](const config::FileBackend& file) {
              return Spec{.kind = DeviceKind::File, .path = file.path, .block_bytes = file.block_size_bytes};
            },
            [](const config::MemoryBackend& memory) {
              return Spec{.kind = DeviceKind::Memory,
                          .path = {},
                          .size_bytes = memory.size_bytes,
                          .block_bytes = memory.block_size_bytes,
                          .zero_copy = memory.zero_copy};
            },
            [](const config::DaxBackend& dax) {
              return Spec{.kind = DeviceKind::Dax, .path = dax.path, .block_bytes = dax.block_size_bytes};
            }},
      wanted);
}

core::NamespaceOptions options_of(const ServedNamespace& served, const config::Namespace& wanted) {
  const backend::DeviceInfo& device = served.device->info();
  core::NamespaceOptions options;
  options.nsid = wanted.nsid;
  options.lba_shift = device.lba_shift;
  options.block_count = served.block_count;
  set_identifiers(options, wanted, device, served.kept_uuid);
  options.copy = copy_limits(device);
  options.zones = device.zones;
  options.volatile_write_cache = served.volatile_write_cache;
  options.ana_group = wanted.ana_group;
  options.optimal_io_boundary_blocks = device.optimal_io_boundary_blocks;
  options.hints = device.hints;
  options.quiesce_ms = quiesce_time(device, wanted).ms;
  options.storage = served.storage;
  options.write_protected = wanted.read_only;
  options.visible_to = wanted.visible_to;
  return options;
}

Storage::Storage(boost::asio::io_context& io, core::Target& target, core::Mailbox& control,
                 std::vector<DataThreadRef> threads, rdma::Transport& transport, PeerMemories& peer_memories,
                 DeviceOpener& opener, const IdentifierFiles& identifiers, const ServedStorageFiles& served_storages,
                 Events& events)
    : io_(io),
      target_(target),
      control_(control),
      threads_(std::move(threads)),
      transport_(transport),
      peer_memories_(peer_memories),
      opener_(opener),
      identifiers_(identifiers),
      served_storages_(served_storages),
      events_(events),
      looks_(io),
      state_files_(io),
      former_(io) {
  peer_memories_.is_left_soon = [this](const rdma::Rnic& rnic) { return peer_memory_is_left_soon(rnic); };
  peer_memories_.on_pools_changed = [this](const rdma::Rnic& rnic) { return follow_pools(rnic); };
}

ServedNamespace* Storage::find(const std::string& nqn, uint32_t nsid) const {
  for (const auto& served : served_)
    if (served->subsystem == nqn && served->wanted.nsid == nsid) return served.get();
  return nullptr;
}

boost::asio::awaitable<std::unique_ptr<ServedNamespace>> Storage::stage(const std::string& nqn,
                                                                        const config::Namespace& wanted,
                                                                        OpenedDevice opened) {
  auto staged = std::make_unique<ServedNamespace>();
  staged->wanted = wanted;
  staged->subsystem = nqn;
  staged->flushes = std::make_unique<Countdown>(io_, 0);
  staged->device = std::move(opened.device);
  staged->lock = std::move(opened.lock);
  staged->identity = std::move(opened.identity);
  staged->storage = std::move(opened.storage);
  co_await require_same_storage(*staged);
  require_zone_appends(staged->device->info(), target_.options().max_transfer_bytes);
  staged->block_count = staged->device->info().block_count;
  staged->volatile_write_cache = staged->device->info().volatile_write_cache;
  const backend::DeviceInfo& info = staged->device->info();
  for (const std::string& note : info.notes) spdlog::warn("{}", note);
  tell_quiesce_time(info, wanted);
  if (!is_identified(wanted, info)) {
    const auto uuid = std::make_shared<IdentifierFiles::Uuid>();
    std::function<void()> find_uuid = [uuid, files = identifiers_, nqn, nsid = wanted.nsid, storage = info.storage,
                                       path = info.path] { *uuid = files.uuid_of(nqn, nsid, storage, path); };
    co_await state_files_.run(std::move(find_uuid));
    staged->kept_uuid = *uuid;
  }
  staged->p2p = co_await choose_peer_memory(wanted, *staged->device);
  co_return staged;
}

// Hosts are notified when every reactor can serve the namespace.
Storage::Task Storage::add(core::Subsystem& subsystem, std::unique_ptr<ServedNamespace> staged) {
  ServedNamespace& served = *staged;
  served_.push_back(std::move(staged));
  served.channels.resize(threads_.size());
  for (const auto& rnic : transport_.rnics()) add_groups(served, *rnic);
  add_gates(served);
  add_device_errors(served);
  set_limits(served);
  co_await register_memory(served);
  co_await on_reactors(
      [&](size_t reactor) { served.channels[reactor] = served.device->open_channel(*threads_[reactor].engine); });
  co_await replace_views(subsystem, served, make_views(served));
  const core::NamespaceOptions options = options_of(served, served.wanted);
  const auto saved = std::make_shared<core::Subsystem::SavedState>();
  std::function<void()> load = [saved, read = subsystem.saved_state_of(options)] { *saved = read(); };
  std::exception_ptr refusal;
  try {
    co_await state_files_.run(std::move(load));
    subsystem.add_namespace(options, *saved);
    events_.tell(EventKind::Namespace,
                 fmt::format("namespace {} of {}: {}; {}", served.wanted.nsid, subsystem.nqn(),
                             served.device->info().description, served.p2p.verdict),
                 subsystem.nqn());
  } catch (...) {
    refusal = std::current_exception();
  }
  if (!refusal) co_return;
  co_await remove(subsystem, served.wanted.nsid);
  std::rethrow_exception(refusal);
}

Storage::Task Storage::remove_with_device(core::Target& target, core::Subsystem& subsystem, uint32_t nsid) {
  const std::string ssd = find(subsystem.nqn(), nsid)->device->info().pci_address.value_or("");
  co_await remove(subsystem, nsid);
  if (!peer_memories_.retire(ssd)) co_return;
  std::vector<std::pair<std::string, uint32_t>> borrowers;
  for (const auto& served : served_)
    if (served->p2p.provider == ssd) borrowers.emplace_back(served->subsystem, served->wanted.nsid);
  for (const auto& [nqn, number] : borrowers) co_await choose_again(*target.find_subsystem(nqn), number);
  spawn(io_, forget_when_unused(ssd), "letting go of the CMB of an SSD that was unplugged");
}

// An SSD that is back before is served without its CMB at first.
Storage::Task Storage::forget_when_unused(std::string ssd) {
  const FormerViews::IsMeant is_of_its_cmb = [this, &ssd](const FormerViews::Former& one) {
    return one.view && one.view->cmb != nullptr && one.view->cmb == peer_memories_.pool(ssd, *one.group);
  };
  co_await former_.ended(is_of_its_cmb);
  peer_memories_.forget(ssd);
  if (on_cmb_unused_) on_cmb_unused_();
}

Storage::Task Storage::join(rdma::Rnic& rnic) {
  co_await on_reactors([&](size_t reactor) { rnic.join(reactor); });
}

Storage::Task Storage::serve_on(rdma::Rnic& rnic) {
  for (const auto& subsystem : target_.subsystems())
    for (const auto& group : rnic.io_groups()) group->open_table(*subsystem);
  for (const auto& served : served_) {
    add_groups(*served, rnic);
    set_limits(*served);
    co_await register_memory(*served, rnic);
    co_await replace_views(*target_.find_subsystem(served->subsystem), *served, make_views(*served, &rnic));
  }
}

Storage::Task Storage::part(rdma::Rnic& rnic) {
  const FormerViews::IsMeant is_of_it = [&rnic](const FormerViews::Former& one) { return one.is_on(rnic); };
  co_await former_.ended(is_of_it);
  co_await on_reactors([&](size_t reactor) { rnic.part(reactor); });
  const auto leave = [&](ServedNamespace& served) {
    for (OnGroup& place : served.on_groups)
      if (place.rnic == &rnic && place.view) former_.destroy(served, std::move(place.view));
    std::erase_if(served.on_groups, [&](const OnGroup& place) { return place.rnic == &rnic; });
  };
  for (const auto& served : served_) leave(*served);
  for (const Leaving& one : leaving_) leave(*one.served);
  co_await release_memory(rnic);
}

Storage::Task Storage::change_policies(core::Subsystem& subsystem, const config::Namespace& wanted,
                                       PeerMemoryChoice choice) {
  ServedNamespace& served = *find(subsystem.nqn(), wanted.nsid);
  const bool says_more = served.p2p.verdict != choice.verdict;
  const backend::DeviceInfo& device = served.device->info();
  if (&quiesce_time(device, wanted) != &quiesce_time(device, served.wanted)) tell_quiesce_time(device, wanted);
  served.wanted = wanted;
  served.p2p = std::move(choice);
  set_limits(served);
  co_await replace_views(subsystem, served, make_views(served));
  subsystem.change_namespace(options_of(served, served.wanted));
  if (says_more)
    events_.tell(EventKind::Namespace,
                 fmt::format("namespace {} of {}: {}", wanted.nsid, subsystem.nqn(), served.p2p.verdict),
                 subsystem.nqn());
}

Storage::Task Storage::measure() {
  std::vector<std::weak_ptr<backend::Device>> devices;
  std::set<const backend::Device*> known;
  for (const auto& served : served_)
    if (known.insert(served->device.get()).second) devices.emplace_back(served->device);
  co_await looks_.measure(std::move(devices));
  for (const auto& served : served_) {
    const bool is_displaced = served->device->info().is_displaced;
    if (is_displaced && !served->is_displaced)
      events_.error(EventKind::Device,
                    fmt::format("namespace {} of {}: its file {} was removed or replaced; hosts still use the former "
                                "one, which is lost when the daemon closes it: copy its data by a host before",
                                served->wanted.nsid, served->subsystem, served->device->info().path),
                    served->subsystem);
    served->is_displaced = is_displaced;
  }
}

std::map<std::pair<std::string, uint32_t>, std::string> Storage::displaced_files() const {
  std::map<std::pair<std::string, uint32_t>, std::string> files;
  for (const auto& served : served_)
    if (served->is_displaced) files.try_emplace({served->subsystem, served->wanted.nsid}, served->device->info().path);
  return files;
}

bool Storage::differs() const {
  return std::ranges::any_of(served_, [](const auto& served) {
    const backend::DeviceInfo& now = served->device->info();
    return now.block_count != served->block_count || now.volatile_write_cache != served->volatile_write_cache;
  });
}

boost::asio::awaitable<std::vector<std::string>> Storage::follow_devices(core::Target& target) {
  std::vector<std::string> changes;
  for (const auto& served : served_) {
    core::Subsystem* subsystem = target.find_subsystem(served->subsystem);
    if (subsystem == nullptr) continue;
    const uint64_t now = served->device->info().block_count;
    const uint64_t before = std::exchange(served->block_count, now);
    const bool has_cache = served->device->info().volatile_write_cache;
    const bool had_cache = std::exchange(served->volatile_write_cache, has_cache);
    if (now == before && has_cache == had_cache) continue;
    const std::string name = fmt::format("namespace {} of {}", served->wanted.nsid, subsystem->nqn());
    if (now != before) co_await replace_views(*subsystem, *served, make_views(*served));
    subsystem->change_namespace(options_of(*served, served->wanted));
    if (now != before) changes.push_back(fmt::format("{} has {} blocks now, it had {} before", name, now, before));
    if (has_cache != had_cache)
      changes.push_back(name + (has_cache ? ": its device has a volatile write cache now: hosts are told to flush it"
                                          : ": its device has no volatile write cache any more"));
  }
  co_return changes;
}

// On the first reactor: each reactor has a channel to the whole device.
Storage::Task Storage::flush(std::string nqn, uint32_t nsid, std::function<void(core::Status)> done) {
  struct Flush : core::Io {
    core::IoChannel* channel;
    core::Mailbox* control;
    Countdown* over;
    core::Status status;
    core::Message message;
  };
  ServedNamespace* served = find(nqn, nsid);
  if (served == nullptr) co_return done(NVME_SC_NS_NOT_READY);
  Countdown over(io_, 1);
  Flush flush{};
  flush.kind = core::IoKind::Flush;
  flush.channel = served->channels.front().get();
  flush.control = &control_;
  flush.over = &over;
  flush.done = [](core::Io& io, core::Status status) {
    auto& flushed = static_cast<Flush&>(io);
    flushed.status = status;
    flushed.message.deliver = [](core::Message& message) { static_cast<Flush*>(message.context)->over->one_less(); };
    flushed.control->send(flushed.message);
  };
  flush.message.context = &flush;
  flush.message.deliver = [](core::Message& message) {
    auto& there = *static_cast<Flush*>(message.context);
    there.channel->submit(there);
  };
  served->flushes->one_more();
  threads_.front().reactor->mailbox().send(flush.message);
  co_await over.reached();
  served->flushes->one_less();
  done(flush.status);
}

void Storage::open_subsystem(const core::Subsystem& subsystem) {
  for (rdma::PollGroup* group : io_groups()) group->open_table(subsystem);
}

void Storage::close_subsystem(const core::Subsystem& subsystem) {
  std::erase_if(closed_tables_, [this](const auto& table) { return !transport_.uses(*table); });
  for (rdma::PollGroup* group : io_groups()) closed_tables_.push_back(group->close_table(subsystem));
}

Storage::Task Storage::on_reactors(std::function<void(size_t reactor)> work) {
  std::vector<core::Reactor*> reactors;
  reactors.reserve(threads_.size());
  for (const DataThreadRef& thread : threads_) reactors.push_back(thread.reactor);
  return daemon::on_reactors(io_, control_, std::move(reactors), std::move(work));
}

void Storage::add_groups(ServedNamespace& served, const rdma::Rnic& rnic) const {
  for (size_t reactor = 0; reactor < threads_.size(); ++reactor) served.on_groups.push_back({&rnic, reactor});
}

// Closes the gates of all namespaces on the storage, so that none of them changes it meanwhile.
void Storage::add_gates(ServedNamespace& served) {
  const auto is_shared = [&](const auto& other) {
    return other->fused_turns && !served.storage.empty() && other->storage == served.storage;
  };
  const auto shared = std::ranges::find_if(served_, is_shared);
  const auto left = std::ranges::find_if(leaving_, is_shared, &Leaving::served);
  if (shared != served_.end())
    served.fused_turns = (*shared)->fused_turns;
  else if (left != leaving_.end())
    served.fused_turns = left->served->fused_turns;
  else
    served.fused_turns = std::make_shared<core::FusedTurns>(&control_);
  for (const DataThreadRef& thread : threads_) {
    served.gates.push_back(std::make_unique<core::WriteGate>());
    served.fused_turns->add(*served.gates.back(), &thread.reactor->mailbox());
  }
}

void Storage::add_device_errors(ServedNamespace& served) {
  const auto report = [this, it = &served](core::DeviceError error) {
    const uint32_t nsid = it->wanted.nsid;
    if (find(it->subsystem, nsid) != it) return;  // it was removed, and another one may have its place
    if (core::Subsystem* subsystem = target_.find_subsystem(it->subsystem)) subsystem->device_failed(nsid, error);
  };
  for (size_t reactor = 0; reactor < threads_.size(); ++reactor)
    served.device_errors.push_back(std::make_unique<core::DeviceErrors>(&control_, report));
}

// One limit for all reactors, and a list of waiting commands for each view. Once created, the limit stays, perhaps
// without bounds.
void Storage::set_limits(ServedNamespace& served) {
  const uint64_t bytes_per_s = uint64_t{served.wanted.max_mib_per_s} << 20;
  if (!served.limit) {
    if (served.wanted.max_iops == 0 && bytes_per_s == 0) return;
    served.limit = std::make_unique<core::RateLimit>(served.wanted.max_iops, bytes_per_s);
  }
  served.limit->set(served.wanted.max_iops, bytes_per_s);
  for (OnGroup& place : served.on_groups)
    if (!place.throttle) place.throttle = std::make_unique<core::Throttle>(*served.limit);
}

Storage::Views Storage::make_views(const ServedNamespace& served, const rdma::Rnic* rnic) const {
  Views views;
  for (size_t place = 0; place < served.on_groups.size(); ++place)
    if (rnic == nullptr || served.on_groups[place].rnic == rnic)
      views.push_back({place, make_view(served, served.on_groups[place])});
  return views;
}

Storage::Views Storage::no_views(const ServedNamespace& served) {
  Views views(served.on_groups.size());
  for (size_t place = 0; place < views.size(); ++place) views[place].place = place;
  return views;
}

std::unique_ptr<core::IoNamespace> Storage::make_view(const ServedNamespace& served, const OnGroup& place) const {
  const backend::DeviceInfo& device = served.device->info();
  auto view = std::make_unique<core::IoNamespace>();
  view->nsid = served.wanted.nsid;
  view->lba_shift = device.lba_shift;
  view->block_count = served.block_count;
  view->channel = served.channels[place.reactor].get();
  view->gate = served.gates[place.reactor].get();
  view->device_errors = served.device_errors[place.reactor].get();
  view->throttle = place.throttle.get();
  view->memory_alignment_bytes = device.memory_alignment_bytes;
  view->supports_deallocate = device.supports_deallocate;
  view->supports_write_zeroes = device.supports_write_zeroes;
  view->own_commands = device.own_commands;
  view->copy = copy_limits(device);
  view->zones = device.zones;
  view->memory = memory_on(served, *place.rnic);
  view->p2p.mode = served.p2p.mode;
  view->p2p.when_dry =
      served.wanted.p2p_when_dry == config::P2pWhenDry::wait ? core::P2pWhenDry::Wait : core::P2pWhenDry::Spill;
  view->p2p.min_bytes = served.wanted.p2p_min_bytes;
  view->p2p.max_bytes = device.max_cmb_bytes;
  if (served.p2p.provider.empty()) return view;
  if (const p2p::SelfTestResult* proof = peer_memories_.proof(served.p2p.provider, *place.rnic)) {
    view->cmb = peer_memories_.pool(served.p2p.provider, place.group());
    view->p2p.largest_tried_mtu = proof->active_mtu;
    if (served.p2p.host_reads) view->p2p.host_reads = proof->host_reads;
    if (served.p2p.host_writes) view->p2p.host_writes = proof->host_writes;
  }
  return view;
}

Storage::Task Storage::replace_views(const core::Subsystem& subsystem, ServedNamespace& served, Views views) {
  for (NewView& one : views) former_.replace(subsystem, served, served.on_groups[one.place], std::move(one.view));
  // What was sent to a reactor before this has arrived when this has.
  co_await on_reactors([](size_t) {});
}

std::vector<rdma::PollGroup*> Storage::io_groups() const {
  std::vector<rdma::PollGroup*> groups;
  for (const auto& rnic : transport_.rnics())
    for (const auto& group : rnic->io_groups()) groups.push_back(group.get());
  return groups;
}

}  // namespace nvmf::daemon
