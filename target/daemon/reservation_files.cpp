#include "target/daemon/reservation_files.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string text_of(const core::HostId& host) {
  boost::uuids::uuid uuid;
  std::copy(host.begin(), host.end(), uuid.begin());
  return to_string(uuid);
}

core::HostId host_from(const std::string& text) {
  const boost::uuids::uuid uuid = boost::uuids::string_generator()(text);
  core::HostId host;
  std::copy(uuid.begin(), uuid.end(), host.begin());
  return host;
}

// Keys are 64 bits wide, which numbers of JSON need not be.
std::string text_of(uint64_t key) {
  std::ostringstream text;
  text << std::hex << key;
  return text.str();
}

uint64_t key_from(const std::string& text) {
  uint64_t key = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key, 16);
  if (error != std::errc() || end != text.data() + text.size()) throw std::runtime_error("a key is no number");
  return key;
}

template <typename Integer>
Integer integer_from(const Json& value) {
  const auto wide = value.get<uint64_t>();
  if (!value.is_number_unsigned() || wide > std::numeric_limits<Integer>::max())
    throw std::runtime_error("a number is out of range");
  return static_cast<Integer>(wide);
}

std::string to_json(const std::string& nqn, uint32_t nsid, const core::ReservationState& state) {
  Json registrants = Json::array();
  for (const core::Registrant& one : state.registrants)
    registrants.push_back({{"hostid", text_of(one.host)}, {"key", text_of(one.key)}});
  const Json json = {{"format", kFormat},
                     {"nqn", nqn},
                     {"nsid", nsid},
                     {"ptpl", state.ptpl},
                     {"generation", state.generation},
                     {"rtype", state.rtype},
                     {"holder", state.holder ? Json(text_of(*state.holder)) : Json(nullptr)},
                     {"registrants", std::move(registrants)}};
  return json.dump(2) + "\n";
}

core::ReservationState from_json(const std::string& text, const std::string& nqn, uint32_t nsid) {
  const Json json = Json::parse(text);
  if (json.at("format") != kFormat) throw std::runtime_error("another version of the daemon has written it");
  if (json.at("nqn") != nqn || json.at("nsid") != nsid) throw std::runtime_error("it is another namespace's");
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

bool is_there(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (error) throw std::system_error(error);
  return there;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw std::runtime_error("it cannot be read");
  return text.str();
}

void make_directory(const std::string& directory) {
  if (std::filesystem::create_directories(directory)) sync_directory(std::filesystem::path(directory).parent_path());
  if (access(directory.c_str(), W_OK | X_OK) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot write to " + directory);
}

}  // namespace

ReservationFiles::ReservationFiles(std::string directory, DurableHook before)
    : directory_(std::move(directory)), before_(std::move(before)) {
  try {
    make_directory(directory_);
  } catch (const std::exception& error) {
    spdlog::warn(
        "reservations cannot persist, hosts that ask for it are refused: {}; make it writable, or name another "
        "\"state_dir\"",
        error.what());
  }
}

core::ReservationState ReservationFiles::load(const std::string& nqn, uint32_t nsid) {
  const std::string path = path_of(nqn, nsid);
  try {
    return is_there(path) ? from_json(contents(path), nqn, nsid) : core::ReservationState{};
  } catch (const std::exception& error) {
    throw std::runtime_error("its saved reservation " + path + " is broken (" + error.what() +
                             "): put back a good copy, or remove the file when no host relies on its reservation any "
                             "more, and start again");
  }
}

bool ReservationFiles::save(const std::string& nqn, uint32_t nsid, const core::ReservationState& state) {
  try {
    replace_durably(path_of(nqn, nsid), to_json(nqn, nsid, state), before_);
    return true;
  } catch (const std::exception& error) {
    spdlog::error(
        "namespace {} of {}: a change of its reservation is refused, because it could not be saved: {}; "
        "see that {} is writable and has room",
        nsid, nqn, error.what(), directory_);
    return false;
  }
}

// NQNs may be longer than names of files and have any character: the name is derived, the file says whose it is.
std::string ReservationFiles::path_of(const std::string& nqn, uint32_t nsid) const {
  const auto uuid = boost::uuids::name_generator_sha1(boost::uuids::ns::x500dn())(nqn + "#" + std::to_string(nsid));
  return directory_ + "/reservation-" + to_string(uuid) + ".json";
}

}  // namespace nvmf::daemon
