#include "target/daemon/reservation_files.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string text_of(const core::HostId& host) {
  boost::uuids::uuid uuid;
  std::ranges::copy(host, uuid.begin());
  return to_string(uuid);
}

core::HostId host_from(const std::string& text) {
  const boost::uuids::uuid uuid = boost::uuids::string_generator()(text);
  core::HostId host;
  std::ranges::copy(uuid, host.begin());
  return host;
}

// Keys have 64 bits, more than some JSON numbers can hold.
std::string text_of(uint64_t key) {
  std::ostringstream text;
  text << std::hex << key;
  return text.str();
}

uint64_t key_from(const std::string& text) {
  uint64_t key = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key, 16);
  if (error != std::errc() || end != text.data() + text.size()) throw std::runtime_error("a key is not a number");
  return key;
}

template <typename Integer>
Integer integer_from(const Json& value) {
  const auto wide = value.get<uint64_t>();
  if (!value.is_number_unsigned() || wide > std::numeric_limits<Integer>::max())
    throw std::runtime_error("a number is out of range");
  return static_cast<Integer>(wide);
}

Json to_json(const core::ReservationState& state) {
  Json registrants = Json::array();
  for (const core::Registrant& one : state.registrants)
    registrants.push_back({{"hostid", text_of(one.host)}, {"key", text_of(one.key)}});
  return {{"ptpl", state.ptpl},
          {"generation", state.generation},
          {"rtype", state.rtype},
          {"holder", state.holder ? Json(text_of(*state.holder)) : Json(nullptr)},
          {"registrants", std::move(registrants)}};
}

core::ReservationState from_json(const Json& json) {
  core::ReservationState state;
  state.ptpl = json.at("ptpl").get<bool>();
  state.generation = integer_from<uint32_t>(json.at("generation"));
  state.rtype = integer_from<uint8_t>(json.at("rtype"));
  if (!json.at("holder").is_null()) state.holder = host_from(json.at("holder").get<std::string>());
  for (const Json& one : json.at("registrants"))
    state.registrants.push_back(
        {host_from(one.at("hostid").get<std::string>()), key_from(one.at("key").get<std::string>())});
  if (const std::string fault = core::find_fault(state); !fault.empty()) throw std::runtime_error(fault);
  return state;
}

}  // namespace

ReservationFiles::ReservationFiles(StateDirectory directory, StateWriter writer)
    : directory_(std::move(directory)), writer_(std::move(writer)) {
  try {
    directory_.make();
  } catch (const std::exception& error) {
    spdlog::warn(
        "reservations cannot be kept through power loss, and hosts that ask for it are refused: {}; make it writable, "
        "or name another \"state_dir\"",
        error.what());
  }
}

core::ReservationState ReservationFiles::load(const std::string& nqn, const core::NamespaceOptions& ns) {
  try {
    const auto json = directory_.read(kPurpose, directory_.keeper(kPurpose, owner_of(nqn, ns)), kFormat);
    return json ? from_json(*json) : core::ReservationState{};
  } catch (const std::exception& error) {
    throw std::runtime_error(
        "the file with its reservation, " + path_of(nqn, ns) + ", is broken (" + error.what() +
        "): put back a good copy, or remove the file when no host relies on the reservation any more, and restart");
  }
}

void ReservationFiles::save(const std::string& nqn, const core::NamespaceOptions& ns,
                            const core::ReservationState& state, std::function<void(bool)> saved) {
  writer_([this, nqn, ns, state] { return write(nqn, ns, state); }, std::move(saved));
}

// State that was saved by namespace now belongs to the storage: other storage in its place must not get it.
bool ReservationFiles::write(const std::string& nqn, const core::NamespaceOptions& ns,
                             const core::ReservationState& state) const {
  const StateOwner by_namespace{.nqn = nqn, .nsid = ns.nsid};
  try {
    directory_.replace(kPurpose, owner_of(nqn, ns), kFormat, to_json(state));
    if (!ns.storage.empty()) directory_.remove(kPurpose, by_namespace);
    return true;
  } catch (const std::exception& error) {
    spdlog::error(
        "namespace {} of {}: a change of its reservation is refused, because it could not be saved: {}; check that {} "
        "is writable and has free space",
        ns.nsid, nqn, error.what(), directory_.path());
    return false;
  }
}

std::string ReservationFiles::path_of(const std::string& nqn, const core::NamespaceOptions& ns) const {
  return directory_.file(kPurpose, directory_.keeper(kPurpose, owner_of(nqn, ns)));
}

}  // namespace nvmf::daemon
