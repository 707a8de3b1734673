#include "target/daemon/identifier_files.h"

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;
using Uuid = IdentifierFiles::Uuid;

constexpr int kFormat = 1;
constexpr char kPurpose[] = "identifiers";

// The UUID that hosts have been shown for one storage.
struct Shown {
  std::string storage;
  Uuid uuid;
  bool by_path;  // this version found no other name; an entry without this may be of a device that has one now
};

Uuid bytes_of(const boost::uuids::uuid& uuid) {
  Uuid bytes;
  std::ranges::copy(uuid, bytes.begin());
  return bytes;
}

std::string text_of(const Uuid& bytes) {
  boost::uuids::uuid uuid;
  std::ranges::copy(bytes, uuid.begin());
  return to_string(uuid);
}

Uuid derived(const std::string& nqn, uint32_t nsid) {
  return bytes_of(boost::uuids::name_generator_sha1(boost::uuids::ns::x500dn())(nqn + "#" + std::to_string(nsid)));
}

Uuid random() { return bytes_of(boost::uuids::random_generator()()); }

// In the order in which they appeared.
std::vector<Shown> shown(const StateDirectory& directory, const std::string& nqn, uint32_t nsid) {
  std::vector<Shown> all;
  const auto json = directory.read(kPurpose, {.nqn = nqn, .nsid = nsid}, kFormat);
  if (!json) return all;
  for (const Json& one : json->at("shown")) {
    const auto uuid = boost::uuids::string_generator()(one.at("uuid").get<std::string>());
    if (uuid.is_nil()) throw std::runtime_error("a UUID is all zeros");
    all.push_back({one.at("storage").get<std::string>(), bytes_of(uuid), one.value("by_path", false)});
  }
  return all;
}

const Shown* find(const std::vector<Shown>& all, const std::string& storage) {
  const auto found = std::ranges::find_if(all, [&](const Shown& one) { return one.storage == storage; });
  return found != all.end() ? &*found : nullptr;
}

Json to_json(const std::vector<Shown>& all) {
  Json list = Json::array();
  for (const Shown& one : all) {
    list.push_back({{"storage", one.storage}, {"uuid", text_of(one.uuid)}});
    if (one.by_path) list.back()["by_path"] = true;
  }
  return {{"shown", std::move(list)}};
}

}  // namespace

Uuid IdentifierFiles::uuid_of(const std::string& nqn, uint32_t nsid, const std::string& storage,
                              const std::string& path) const {
  if (storage.empty()) return random();
  try {
    const std::vector<Shown> all = shown(directory_, nqn, nsid);
    if (const Shown* known = find(all, storage)) return known->uuid;
    if (const Shown* former = find(all, path); former != nullptr && !former->by_path) return former->uuid;
    return all.empty() ? derived(nqn, nsid) : random();
  } catch (const std::exception& error) {
    throw std::runtime_error("the file with its identifiers, " + path_of(nqn, nsid) + ", is broken (" + error.what() +
                             "): put back a good copy, give the namespace a \"uuid\" in the config, or remove "
                             "the file when no host relies on the identifiers any more");
  }
}

void IdentifierFiles::keep(const std::string& nqn, uint32_t nsid, const std::string& storage, const Uuid& uuid) const {
  if (storage.empty()) return;
  std::vector<Shown> all = shown(directory_, nqn, nsid);
  const bool by_path = storage.starts_with('/');
  if (const Shown* known = find(all, storage); known != nullptr && known->by_path == by_path) return;
  // An entry of the same UUID is this storage's by a former name.
  std::erase_if(all, [&](const Shown& one) { return one.uuid == uuid; });
  all.push_back({storage, uuid, by_path});
  directory_.make();
  directory_.replace(kPurpose, {.nqn = nqn, .nsid = nsid}, kFormat, to_json(all));
}

std::string IdentifierFiles::path_of(const std::string& nqn, uint32_t nsid) const {
  return directory_.file(kPurpose, {.nqn = nqn, .nsid = nsid});
}

}  // namespace nvmf::daemon
