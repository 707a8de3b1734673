#include "p2p/user.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace nvmf::p2p {
namespace {

// The earlier ones hide the later ones (systemd.unit(5)).
const std::array<std::string, 4> kUnitFolders = {"/etc/systemd/system/", "/run/systemd/system/",
                                                 "/usr/lib/systemd/system/", "/lib/systemd/system/"};
const std::string kUnit = "nvmf-p2p.service";
constexpr int kMostGroups = 1024;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

uint64_t capability(const std::string& name) {
  if (name == "CAP_SYS_ADMIN") return kMayAdminister;
  if (name == "CAP_IPC_LOCK") return kMayLockMemory;
  if (name == "CAP_DAC_OVERRIDE") return kMayOverrideRights;
  return 0;
}

// An empty value takes back what earlier lines gave.
void apply_line(const std::string& key, const std::string& value, UnitRights& unit) {
  if (key == "User") unit.user = value;
  if (key == "LimitMEMLOCK") unit.locks_without_limit = value == "infinity";
  if (key == "SupplementaryGroups") {
    if (value.empty()) unit.groups.clear();
    for (std::string& group : words_of(value)) unit.groups.push_back(std::move(group));
  }
  if (key == "AmbientCapabilities") {
    if (value.empty()) unit.capabilities = 0;
    for (const std::string& name : words_of(value)) unit.capabilities |= capability(name);
  }
}

void apply_file(const std::string& content, UnitRights& unit) {
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos || line.starts_with('#') || line.starts_with(';')) continue;
    const auto value = words_of(line.substr(equals + 1));
    std::string joined;
    for (const std::string& word : value) joined += (joined.empty() ? "" : " ") + word;
    apply_line(line.substr(0, equals), joined, unit);
  }
}

}  // namespace

UnitRights read_unit(const Sysfs& sysfs) {
  UnitRights unit;
  for (const std::string& folder : kUnitFolders) {
    if (!sysfs.exists(folder + kUnit)) continue;
    unit.path = folder + kUnit;
    apply_file(sysfs.content(unit.path), unit);
    break;
  }
  std::map<std::string, std::string> drop_ins;  // paths by name
  for (const std::string& folder : kUnitFolders)
    for (const std::string& name : sysfs.list(folder + kUnit + ".d"))
      if (name.ends_with(".conf")) drop_ins.try_emplace(name, folder + kUnit + ".d/" + name);
  for (const auto& [name, path] : drop_ins) apply_file(sysfs.content(path), unit);
  return unit;
}

Identity identity_of(const std::string& user, const Sysfs& sysfs) {
  const passwd* const entry = getpwnam(user.c_str());
  if (entry == nullptr) throw std::runtime_error("there is no user \"" + user + "\"");
  Identity who{.name = user, .uid = entry->pw_uid};
  std::array<gid_t, kMostGroups> groups{};
  int count = kMostGroups;
  if (getgrouplist(user.c_str(), entry->pw_gid, groups.data(), &count) < 0) count = kMostGroups;
  who.gids.assign(groups.begin(), groups.begin() + count);
  if (who.uid == 0) who.capabilities = kAllCapabilities;
  const UnitRights unit = read_unit(sysfs);
  if (unit.path.empty() || unit.user != user) return who;
  who.capabilities |= unit.capabilities;
  who.locks_without_limit = unit.locks_without_limit;
  who.limit_from = unit.path;
  for (const std::string& name : unit.groups)
    if (const group* const one = getgrnam(name.c_str())) who.gids.push_back(one->gr_gid);
  return who;
}

std::string name_of_group(uint32_t gid) {
  const group* const entry = getgrgid(gid);
  return entry == nullptr ? std::to_string(gid) : entry->gr_name;
}

}  // namespace nvmf::p2p
