#include "target/daemon/state_directory.h"

#include <unistd.h>

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace

void StateDirectory::make() const {
  if (std::filesystem::create_directories(path_)) sync_directory(std::filesystem::path(path_).parent_path());
  if (access(path_.c_str(), W_OK | X_OK) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot write to " + path_);
}

// NQNs may be longer than names of files and have any character: the name is derived, the file says whose it is.
std::string StateDirectory::file(const std::string& purpose, const std::string& nqn, uint32_t nsid) const {
  const auto uuid = boost::uuids::name_generator_sha1(boost::uuids::ns::x500dn())(nqn + "#" + std::to_string(nsid));
  return path_ + "/" + purpose + "-" + to_string(uuid) + ".json";
}

std::optional<Json> StateDirectory::read(const std::string& purpose, const std::string& nqn, uint32_t nsid,
                                         int format) const {
  const std::string path = file(purpose, nqn, nsid);
  if (!is_there(path)) return std::nullopt;
  Json json = Json::parse(contents(path));
  if (json.at("format") != format) throw std::runtime_error("another version of the daemon has written it");
  if (json.at("nqn") != nqn || json.at("nsid") != nsid) throw std::runtime_error("it is another namespace's");
  return json;
}

void StateDirectory::replace(const std::string& purpose, const std::string& nqn, uint32_t nsid, int format,
                             const Json& content) const {
  Json json = {{"format", format}, {"nqn", nqn}, {"nsid", nsid}};
  json.update(content);
  replace_durably(file(purpose, nqn, nsid), json.dump(2) + "\n", before_);
}

}  // namespace nvmf::daemon
