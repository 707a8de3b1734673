#include "target/daemon/served_storage_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "target/daemon/reservation_files.h"
#include "target/daemon/write_protection_files.h"

namespace nvmf::daemon {
namespace {

constexpr int kFormat = 1;
constexpr char kPurpose[] = "served-storage";

template <typename Identifier>
std::string hex(const Identifier& identifier) {
  std::string text;
  for (const uint8_t byte : identifier) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 0xf]};
  return text;
}

// A name that the path has changed hands under: a copy moved into its place has another inode, or was made later.
std::string identity_of_file(const std::string& path) {
  struct statx status {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) return path;
  std::string text = "the file with inode " + std::to_string(status.stx_ino);
  if ((status.stx_mask & STATX_BTIME) != 0)
    text += ", made at " + std::to_string(status.stx_btime.tv_sec) + "." + std::to_string(status.stx_btime.tv_nsec);
  return text;
}

std::vector<StateOwner> owners_of(const config::Namespace& wanted) {
  std::vector<StateOwner> owners;
  const auto add = [&](const char* kind, const auto& identifier) {
    if (identifier) owners.push_back({.storage = std::string(kind) + " " + hex(*identifier)});
  };
  add("UUID", wanted.uuid);
  add("NGUID", wanted.nguid);
  add("EUI-64", wanted.eui64);
  return owners;
}

std::optional<std::string> kept(const StateDirectory& directory, const StateOwner& owner) {
  const auto json = directory.read(kPurpose, owner, kFormat);
  if (!json) return std::nullopt;
  return json->at("served_from").get<std::string>();
}

}  // namespace

std::string identity_of(const backend::DeviceSpec& spec, const backend::DeviceInfo& device) {
  if (spec.kind == backend::DeviceKind::File) return identity_of_file(spec.path);
  if (device.storage.empty()) return {};
  if (device.storage != device.path)
    return device.storage.starts_with('/') ? identity_of_file(device.storage) : device.storage;
  return device.serial.empty() ? "the device at path " + device.path : "the SSD with serial number " + device.serial;
}

std::vector<std::string> former_identities_of(const backend::DeviceInfo& device) {
  return {device.path, device.storage};
}

std::string ServedStorageFiles::served_before(const config::Namespace& wanted, const std::string& identity,
                                              const std::vector<std::string>& former) const {
  if (identity.empty()) return {};
  for (const StateOwner& owner : owners_of(wanted)) {
    try {
      const auto before = kept(directory_, owner);
      if (before && *before != identity && std::ranges::find(former, *before) == former.end()) return *before;
    } catch (const std::exception& error) {
      throw std::runtime_error("the record of the storage that it was served from, " +
                               directory_.file(kPurpose, owner) + ", is broken (" + error.what() +
                               "): put back a good copy, or remove the file when the right storage is in place");
    }
  }
  return {};
}

void ServedStorageFiles::keep(const config::Namespace& wanted, const std::string& identity) const {
  if (identity.empty()) return;
  for (const StateOwner& owner : owners_of(wanted)) {
    if (kept(directory_, owner) == identity) continue;
    directory_.make();
    directory_.replace(kPurpose, owner, kFormat, {{"served_from", identity}});
  }
}

void ServedStorageFiles::name_anew(const std::string& path, const std::string& storage) const {
  if (path.empty() || storage.empty() || storage.starts_with('/')) return;
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(path, error);
  const StateOwner former{.storage = error ? path : canonical.string()};
  for (const char* purpose : {ReservationFiles::kPurpose, WriteProtectionFiles::kPurpose})
    directory_.hand_over(purpose, former, {.storage = storage});
}

std::vector<std::string> ServedStorageFiles::paths_of(const config::Namespace& wanted) const {
  std::vector<std::string> paths;
  for (const StateOwner& owner : owners_of(wanted)) paths.push_back(directory_.file(kPurpose, owner));
  return paths;
}

}  // namespace nvmf::daemon
