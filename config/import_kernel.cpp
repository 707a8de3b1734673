// The Linux kernel's target as it runs: its configfs, read into what nvmetcli would save of it.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "config/characters.h"
#include "config/import.h"
#include "config/import_source.h"

namespace nvmf::config {
namespace {

namespace fs = std::filesystem;

// The kernel's attributes have at most a page.
constexpr size_t kMostAttributeBytes = 4096;

// A target is not imported in part: who does not see a host's key would let it in without.
struct Unreadable {
  std::string path;
};

// Whatever keeps the import from seeing a file is not the same as its absence.
bool is_there(const fs::path& file) {
  std::error_code error;
  const bool found = fs::exists(file, error);
  if (error) throw Unreadable{file.string()};
  return found;
}

// Empty when there is no such attribute.
std::string attribute(const fs::path& file) {
  if (!is_there(file)) return {};
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMostAttributeBytes, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) throw Unreadable{file.string()};
  text.resize(static_cast<size_t>(stream.gcount()));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  return text;
}

// Names in a folder, in alphabetical order; numbers in numerical order.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!is_there(folder)) return names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  if (error) throw Unreadable{folder.string()};
  std::ranges::sort(names, [](const std::string& a, const std::string& b) {
    const auto digits = [](const std::string& text) { return std::ranges::all_of(text, is_digit); };
    if (digits(a) && digits(b) && a.size() != b.size()) return a.size() < b.size();
    return a < b;
  });
  return names;
}

void add(Object& object, std::string key, std::variant<std::string, Array, Object> data) {
  Value value;
  std::visit([&](auto& one) { value.data = std::move(one); }, data);
  object.push_back({std::move(key), {}, std::move(value)});
}

// The attributes of `folder` whose name begins with `group` and an underscore.
Object group_of(const fs::path& folder, const std::string& group) {
  Object attributes;
  for (const std::string& name : names_in(folder)) {
    if (name.starts_with(group + '_')) add(attributes, name.substr(group.size() + 1), attribute(folder / name));
  }
  return attributes;
}

void add_attributes(const fs::path& folder, std::span<const std::string_view> names, Object& object) {
  for (const std::string_view name : names) {
    if (is_there(folder / name)) add(object, std::string(name), attribute(folder / name));
  }
}

Array names_as_array(const fs::path& folder) {
  Array array;
  for (std::string& name : names_in(folder)) array.push_back({{}, std::move(name)});
  return array;
}

template <class Read>
Array folders(const fs::path& folder, Read read) {
  Array array;
  for (const std::string& name : names_in(folder)) array.push_back({{}, read(folder / name, name)});
  return array;
}

Object read_host(const fs::path& folder, const std::string& name) {
  Object host;
  add(host, "nqn", name);
  add(host, "dhchap", group_of(folder, "dhchap"));
  return host;
}

Object read_namespace(const fs::path& folder, const std::string& name) {
  constexpr std::array<std::string_view, 5> kAttributes = {"enable", "ana_grpid", "buffered_io", "p2pmem",
                                                           "resv_enable"};
  Object space;
  add(space, "nsid", name);
  add(space, "device", group_of(folder, "device"));
  add_attributes(folder, kAttributes, space);
  return space;
}

Object read_subsystem(const fs::path& folder, const std::string& name) {
  Object subsystem;
  add(subsystem, "nqn", name);
  add(subsystem, "attr", group_of(folder, "attr"));
  add(subsystem, "allowed_hosts", names_as_array(folder / "allowed_hosts"));
  add(subsystem, "namespaces", folders(folder / "namespaces", read_namespace));
  if (attribute(folder / "passthru" / "enable") == "1")
    add(subsystem, "passthru", group_of(folder / "passthru", "device"));
  return subsystem;
}

Object read_ana_group(const fs::path& folder, const std::string& name) {
  Object group;
  add(group, "grpid", name);
  add(group, "ana", group_of(folder, "ana"));
  return group;
}

Object read_referral(const fs::path& folder, const std::string& /*name*/) {
  constexpr std::array<std::string_view, 1> kAttributes = {"enable"};
  Object referral;
  add(referral, "addr", group_of(folder, "addr"));
  add_attributes(folder, kAttributes, referral);
  return referral;
}

Object read_port(const fs::path& folder, const std::string& name) {
  Object port;
  add(port, "portid", name);
  add(port, "addr", group_of(folder, "addr"));
  add(port, "param", group_of(folder, "param"));
  add(port, "ana_groups", folders(folder / "ana_groups", read_ana_group));
  add(port, "referrals", folders(folder / "referrals", read_referral));
  add(port, "subsystems", names_as_array(folder / "subsystems"));
  return port;
}

}  // namespace

ImportResult import_kernel(const std::string& configfs, const std::string& key_directory) {
  constexpr std::array<std::string_view, 1> kAttributes = {"discovery_nqn"};
  const fs::path root(configfs);
  std::error_code ignored;
  if (!fs::is_directory(root / "subsystems", ignored)) {
    return refuse_import(configfs, {}, "the kernel's NVMe target is not loaded",
                         "modprobe nvmet, mount configfs at /sys/kernel/config, and run as root");
  }
  Object tree;
  try {
    add_attributes(root, kAttributes, tree);
    add(tree, "hosts", folders(root / "hosts", read_host));
    add(tree, "subsystems", folders(root / "subsystems", read_subsystem));
    add(tree, "ports", folders(root / "ports", read_port));
  } catch (const Unreadable& unreadable) {
    return refuse_import(configfs, {}, unreadable.path + " cannot be read", "run the import as root");
  }
  return import_nvmet_tree(Value{{}, std::move(tree)}, configfs, key_directory);
}

}  // namespace nvmf::config
