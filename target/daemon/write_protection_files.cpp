#include "target/daemon/write_protection_files.h"

#include <spdlog/spdlog.h>

#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {
namespace {

using core::WriteProtection;
using Json = nlohmann::ordered_json;
// The protected namespaces, by their identifiers.
using States = std::map<std::string, WriteProtection>;

constexpr int kFormat = 1;
constexpr char kProtected[] = "write protect";
constexpr char kPermanent[] = "permanent write protect";

template <typename Identifier>
void append_hex(std::string& text, const Identifier& identifier) {
  for (const uint8_t byte : identifier) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 0xf]};
}

// There is only one when a storage is protected.
std::string identity_of(const core::NamespaceOptions& ns, const StateOwner& owner) {
  if (!owner.storage.empty()) return "storage";
  std::string text = "uuid.";
  append_hex(text, ns.uuid);
  append_hex(text += "-nguid.", ns.nguid);
  append_hex(text += "-eui64.", ns.eui64);
  return text;
}

WriteProtection state_from(const std::string& text) {
  if (text == kProtected) return WriteProtection::Protected;
  if (text == kPermanent) return WriteProtection::Permanent;
  throw std::runtime_error("\"" + text + "\" is neither \"" + kProtected + "\" nor \"" + kPermanent + "\"");
}

States read(const StateDirectory& directory, const StateOwner& owner) {
  States states;
  const auto json = directory.read(WriteProtectionFiles::kPurpose, owner, kFormat);
  if (!json) return states;
  for (const auto& [identity, state] : json->at("protected").items())
    states[identity] = state_from(state.get<std::string>());
  return states;
}

Json to_json(const States& states) {
  Json list = Json::object();
  for (const auto& [identity, state] : states)
    list[identity] = state == WriteProtection::Permanent ? kPermanent : kProtected;
  return {{"protected", std::move(list)}};
}

}  // namespace

WriteProtection WriteProtectionFiles::load(const std::string& nqn, const core::NamespaceOptions& ns) {
  try {
    const StateOwner found_as = directory_.keeper(kPurpose, owner_of(nqn, ns));
    const States states = read(directory_, found_as);
    const auto found = states.find(identity_of(ns, found_as));
    return found != states.end() ? found->second : WriteProtection::None;
  } catch (const std::exception& error) {
    throw std::runtime_error(
        "the file with its write protection, " + path_of(nqn, ns) + ", is broken (" + error.what() +
        "): put back a good copy, or remove the file when hosts may write to the namespace, and restart");
  }
}

void WriteProtectionFiles::save(const std::string& nqn, const core::NamespaceOptions& ns, WriteProtection state,
                                std::function<void(bool)> saved) {
  writer_([this, nqn, ns, state] { return write(nqn, ns, state); }, std::move(saved));
}

bool WriteProtectionFiles::write(const std::string& nqn, const core::NamespaceOptions& ns,
                                 WriteProtection state) const {
  const StateOwner kept_as = owner_of(nqn, ns);
  try {
    States states = read(directory_, kept_as);
    states.erase(identity_of(ns, kept_as));
    if (state != WriteProtection::None) states[identity_of(ns, kept_as)] = state;
    directory_.make();
    directory_.replace(kPurpose, kept_as, kFormat, to_json(states));
    return true;
  } catch (const std::exception& error) {
    spdlog::error(
        "namespace {} of {}: a change of its write protection is refused, because it could not be saved: {}; check "
        "that {} is writable and has free space",
        ns.nsid, nqn, error.what(), directory_.path());
    return false;
  }
}

std::string WriteProtectionFiles::path_of(const std::string& nqn, const core::NamespaceOptions& ns) const {
  return directory_.file(kPurpose, directory_.keeper(kPurpose, owner_of(nqn, ns)));
}

}  // namespace nvmf::daemon
