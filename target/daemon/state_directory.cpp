#include "target/daemon/state_directory.h"

#include <unistd.h>

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "config/file_content.h"
#include "config/json_text.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kTrialBytes = 4096;

bool is_there(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (error) throw std::system_error(error);
  return there;
}

std::string contents(const std::string& path) {
  std::string text;
  const int error = config::read_file(path, text);
  if (error != 0) throw std::runtime_error("it cannot be read: " + config::reading_error(error));
  return text;
}

Json parsed(const std::string& text) {
  try {
    return config::json_from(text);
  } catch (const config::JsonError& error) {
    throw std::runtime_error(std::string("it ") + error.what());
  }
}

Json to_json(const StateOwner& owner) {
  if (!owner.storage.empty()) return {{"storage", owner.storage}};
  return {{"nqn", owner.nqn}, {"nsid", owner.nsid}};
}

}  // namespace

StateOwner owner_of(const std::string& nqn, const core::NamespaceOptions& ns) {
  return {.nqn = nqn, .nsid = ns.nsid, .storage = ns.storage};
}

StateDirectory::StateDirectory(std::string path, const std::shared_ptr<DirectoryLock>& lock)
    : StateDirectory(std::move(path), [lock](DurableStep step) {
        if (step == DurableStep::Create || step == DurableStep::Remove) lock->hold();
      }) {}

void StateDirectory::make() const {
  if (std::filesystem::create_directories(path_)) sync_directory(std::filesystem::path(path_).parent_path());
  require_writable();
}

void StateDirectory::require_writable() const {
  if (access(path_.c_str(), W_OK | X_OK) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot write to " + path_);
}

void StateDirectory::try_to_write() const {
  make();
  DurableReplacement trial(path_ + "/trial.json", before_);
  trial.write(std::string(kTrialBytes, ' '), nullptr);
}

void StateDirectory::remove_leftovers() const { remove_leftovers_in(path_); }

// NQNs and names of storages may be longer than file names and have any character: the file name is derived from them,
// and the file contains its owner.
std::string StateDirectory::file(const std::string& purpose, const StateOwner& owner) const {
  using Names = boost::uuids::name_generator_sha1;
  const auto uuid = owner.storage.empty()
                        ? Names(boost::uuids::ns::x500dn())(owner.nqn + "#" + std::to_string(owner.nsid))
                        : Names(boost::uuids::ns::oid())(owner.storage);
  return path_ + "/" + purpose + "-" + to_string(uuid) + ".json";
}

StateOwner StateDirectory::keeper(const std::string& purpose, const StateOwner& owner) const {
  if (is_there(file(purpose, owner))) return owner;
  return {.nqn = owner.nqn, .nsid = owner.nsid};
}

std::optional<Json> StateDirectory::read(const std::string& purpose, const StateOwner& owner, int format) const {
  const std::string path = file(purpose, owner);
  if (!is_there(path)) return std::nullopt;
  Json json = parsed(contents(path));
  if (json.at("format") != format) throw std::runtime_error("another version of the daemon wrote it");
  const Json expected = to_json(owner);
  for (const auto& [key, value] : expected.items())
    if (json.at(key) != value) throw std::runtime_error("it belongs to another namespace");
  return json;
}

void StateDirectory::hand_over(const std::string& purpose, const StateOwner& from, const StateOwner& to) const {
  if (!is_there(file(purpose, from)) || is_there(file(purpose, to))) return;
  Json json;
  try {
    json = parsed(contents(file(purpose, from)));
    json.update(to_json(to));
  } catch (const std::exception& error) {
    throw std::runtime_error("the file " + file(purpose, from) + " cannot be used: " + error.what() +
                             "; put back a good copy, or remove it, which gives up what it keeps");
  }
  replace_durably(file(purpose, to), json.dump(2) + "\n", before_);
  remove(purpose, from);
}

void StateDirectory::replace(const std::string& purpose, const StateOwner& owner, int format,
                             const Json& content) const {
  Json json = {{"format", format}};
  json.update(to_json(owner));
  json.update(content);
  replace_durably(file(purpose, owner), json.dump(2) + "\n", before_);
}

void StateDirectory::remove(const std::string& purpose, const StateOwner& owner) const {
  const std::string path = file(purpose, owner);
  if (!is_there(path)) return;
  if (before_) before_(DurableStep::Remove);
  if (std::filesystem::remove(path)) sync_directory(path_);
}

}  // namespace nvmf::daemon
