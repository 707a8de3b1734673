// Storage: what it keeps in the state directory of the namespaces that it serves, and what it finds there.
#include <fmt/format.h>

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>

#include "target/daemon/storage.h"

namespace nvmf::daemon {

using core::EventKind;

// Other storage under an identifier of the config would be taken for what was there before.
Storage::Task Storage::require_same_storage(const ServedNamespace& staged) {
  const config::Namespace& wanted = staged.wanted;
  const std::pair key{staged.subsystem, wanted.nsid};
  refused_.erase(key);
  const auto found = std::make_shared<std::string>();
  const backend::DeviceInfo& info = staged.device->info();
  std::function<void()> look = [found, files = served_storages_, wanted, identity = staged.identity,
                                former = former_identities_of(info), path = info.path, storage = staged.storage] {
    *found = files.served_before(wanted, identity, former);
    if (found->empty()) files.name_anew(path, storage);
  };
  co_await state_files_.run(std::move(look));
  const std::string& before = *found;
  if (before.empty()) co_return;
  refused_[key] = {wanted, staged.identity};
  const std::string space = staged.subsystem + " " + std::to_string(wanted.nsid);
  throw std::runtime_error("the identifiers in the config were served from " + before + " before, and its device is " +
                           staged.identity +
                           " now: put the right device back, write other identifiers, or, if hosts are to find the new "
                           "storage under the same identifiers, run: nvmf-p2p accept " +
                           space);
}

boost::asio::awaitable<bool> Storage::accept(std::string nqn, uint32_t nsid) {
  const auto found = refused_.find({nqn, nsid});
  if (found == refused_.end()) co_return false;
  const auto refused = found->second;
  std::function<void()> keep_it = [files = served_storages_, refused] { files.keep(refused.first, refused.second); };
  co_await state_files_.run(std::move(keep_it));
  refused_.erase({nqn, nsid});
  events_.warn(
      EventKind::Namespace,
      fmt::format("namespace {} of {}: the operator accepts that its identifiers are served from {} from now on", nsid,
                  nqn, refused.second),
      nqn);
  co_return true;
}

std::string Storage::write(const IdentifierFiles& identifiers, const ServedStorageFiles& served_storages,
                           const std::string& nqn, const Kept& kept) {
  try {
    if (kept.uuid) identifiers.keep(nqn, kept.wanted.nsid, kept.storage, *kept.uuid);
    served_storages.keep(kept.wanted, kept.identity);
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

Storage::Task Storage::keep(const ServedNamespace& staged) {
  const std::string nqn = staged.subsystem;
  const uint32_t nsid = staged.wanted.nsid;
  Kept kept{staged.wanted, staged.identity, staged.device->info().storage, staged.kept_uuid};
  const auto failure = std::make_shared<std::string>();
  std::function<void()> work = [failure, nqn, kept, identifiers = identifiers_, served_storages = served_storages_] {
    *failure = write(identifiers, served_storages, nqn, kept);
  };
  try {
    co_await state_files_.run(std::move(work));
    kept.failure = *failure;
  } catch (const std::exception& error) {
    kept.failure = error.what();
  }
  unkept_.erase({nqn, nsid});
  if (kept.failure.empty()) co_return;
  events_.error(
      EventKind::Namespace,
      fmt::format("namespace {} of {}: {} could not be saved: {}; after a restart hosts may see this storage "
                  "under other identifiers, or other storage under these: check that the state directory is "
                  "writable and has free space, or give the namespace a \"uuid\". The daemon tries again every 5 s",
                  nsid, nqn, kept.uuid ? "its UUID" : "which storage it is served from", kept.failure),
      nqn);
  unkept_.emplace(std::pair(nqn, nsid), std::move(kept));
}

Storage::Task Storage::keep_again() {
  const auto again = std::make_shared<decltype(unkept_)>(unkept_);
  std::function<void()> work = [again, identifiers = identifiers_, served_storages = served_storages_] {
    for (auto& [name, kept] : *again) kept.failure = write(identifiers, served_storages, name.first, kept);
  };
  try {
    co_await state_files_.run(std::move(work));
  } catch (const std::exception&) {
    co_return;  // they stay as they are
  }
  for (auto& [name, kept] : *again) {
    const auto place = unkept_.find(name);
    if (place == unkept_.end()) continue;
    place->second.failure = kept.failure;
    if (!kept.failure.empty()) continue;
    unkept_.erase(place);
    events_.tell(EventKind::Namespace,
                 fmt::format("namespace {} of {}: its identifiers and what they are served from are saved now",
                             name.second, name.first),
                 name.first);
  }
}

std::vector<std::string> Storage::unkept() const {
  std::vector<std::string> lines;
  for (const auto& [name, kept] : unkept_)
    lines.push_back(fmt::format("namespace {} of {}: {}", name.second, name.first, kept.failure));
  return lines;
}

}  // namespace nvmf::daemon
