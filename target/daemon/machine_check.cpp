#include "target/daemon/machine_check.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

#include "config/names.h"
#include "config/paths.h"
#include "config/wording.h"
#include "p2p/doctor.h"
#include "target/auth/key_file.h"
#include "target/backend/dax_device.h"
#include "target/backend/generic_device.h"
#include "target/backend/sysfs.h"

namespace nvmf::daemon {
namespace {

using config::Position;
using config::quote;
using Type = std::filesystem::file_type;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string in_words(Type type) {
  switch (type) {
    case Type::regular:
      return "a regular file";
    case Type::directory:
      return "a directory";
    case Type::block:
      return "a block device";
    case Type::character:
      return "a character device";
    case Type::fifo:
      return "a FIFO";
    case Type::socket:
      return "a socket";
    default:
      return "of an unknown kind";
  }
}

// Of the internet: neither private (RFC 1918, RFC 4193), nor of this machine, one link or documents.
bool is_routable(const std::string& address) {
  in_addr ipv4{};
  if (inet_pton(AF_INET, address.c_str(), &ipv4) == 1) {
    struct Range {
      uint32_t first;
      unsigned bits;
    };
    constexpr std::array<Range, 9> kOthers = {{{0x0a000000, 8},     // 10.0.0.0
                                               {0xac100000, 12},    // 172.16.0.0
                                               {0xc0a80000, 16},    // 192.168.0.0
                                               {0x7f000000, 8},     // 127.0.0.0
                                               {0xa9fe0000, 16},    // 169.254.0.0
                                               {0x64400000, 10},    // 100.64.0.0
                                               {0xc0000200, 24},    // 192.0.2.0
                                               {0xc6336400, 24},    // 198.51.100.0
                                               {0xcb007100, 24}}};  // 203.0.113.0
    const uint32_t host = ntohl(ipv4.s_addr);
    return std::ranges::none_of(
        kOthers, [host](const Range& range) { return host >> (32 - range.bits) == range.first >> (32 - range.bits); });
  }
  in6_addr ipv6{};
  if (inet_pton(AF_INET6, address.c_str(), &ipv6) != 1) return false;
  const bool global = (ipv6.s6_addr[0] & 0xe0) == 0x20;  // 2000::/3
  const bool documents =
      ipv6.s6_addr[0] == 0x20 && ipv6.s6_addr[1] == 0x01 && ipv6.s6_addr[2] == 0x0d && ipv6.s6_addr[3] == 0xb8;
  return global && !documents;
}

// «0-3,8» as numbers.
std::set<unsigned> numbers_of(const std::string& ranges) {
  std::set<unsigned> numbers;
  std::istringstream list(ranges);
  for (std::string range; std::getline(list, range, ',');) {
    unsigned first = 0;
    unsigned last = 0;
    const int read = std::sscanf(range.c_str(), "%u-%u", &first, &last);
    if (read == 1) last = first;
    for (unsigned number = first; read > 0 && number <= last; ++number) numbers.insert(number);
  }
  return numbers;
}

// Without what is mounted there, or below, the machine or its users do not get along.
bool is_of_the_system(const std::string& place) {
  constexpr std::array<std::string_view, 12> kPlaces = {"/",    "/boot", "/efi", "/etc", "/home", "/lib",
                                                        "/opt", "/root", "/run", "/tmp", "/usr",  "/var"};
  return std::ranges::find(kPlaces, place.substr(0, place.find('/', 1))) != kPlaces.end();
}

class MachineCheck {
 public:
  MachineCheck(const config::Config& config, const p2p::Sysfs& sysfs, const std::vector<InterfaceAddress>& addresses)
      : config_(config), sysfs_(sysfs), addresses_(addresses), report_(p2p::diagnose(sysfs)) {}

  std::vector<config::Diagnostic> run() {
    check_admin();
    check_state_directory();
    check_cores();
    for (size_t i = 0; i < config_.ports.size(); ++i)
      check_port(config_.ports[i], "$.ports[" + std::to_string(i) + "]");
    for (size_t i = 0; i < config_.subsystems.size(); ++i) {
      const config::Subsystem& subsystem = config_.subsystems[i];
      const std::string path = path_of_subsystem(config_, i) + ".namespaces[";
      for (size_t j = 0; j < subsystem.namespaces.size(); ++j)
        check_namespace(subsystem, subsystem.namespaces[j], path + std::to_string(j) + "]");
    }
    check_keys();
    check_strangers();
    return std::move(warnings_);
  }

 private:
  void warn(Position position, std::string path, std::string problem, std::string remedy) {
    warnings_.push_back({config::Severity::warning, file_of(config_, position), position, std::move(path),
                         std::move(problem), std::move(remedy)});
  }

  void check_admin() {
    const config::Admin& admin = config_.admin;
    if (admin.owner && getpwnam(admin.owner->c_str()) == nullptr)
      warn(admin.position, "$.admin.owner", "this machine has no user " + quote(*admin.owner),
           "create it (useradd --system), or name another one");
    if (admin.group && getgrnam(admin.group->c_str()) == nullptr)
      warn(admin.position, "$.admin.group", "this machine has no group " + quote(*admin.group),
           "create it (groupadd --system), or name another one");
    if (admin.read_only_group && getgrnam(admin.read_only_group->c_str()) == nullptr)
      warn(admin.position, "$.admin.read_only_group", "this machine has no group " + quote(*admin.read_only_group),
           "create it (groupadd --system), or name another one");
    if ((admin.mode & S_IWOTH) != 0)
      warn(admin.position, "$.admin.mode", "every user of this machine may change what is served",
           "take the right to write from others (0660), and name a \"group\"");
    check_socket(admin.position, "$.admin.socket", admin.socket);
    if (admin.read_only_socket) check_socket(admin.position, "$.admin.read_only_socket", *admin.read_only_socket);
  }

  void check_socket(Position position, const std::string& key, const std::string& path) {
    check_directory(position, key, std::filesystem::path(path).parent_path());
    const std::string socket = sysfs_.where(path);
    std::error_code ignored;
    if (std::filesystem::exists(socket, ignored) && !std::filesystem::is_socket(socket, ignored))
      warn(position, key, quote(path) + " exists and is not a socket", "remove it, or name another path");
  }

  // The service manager's credentials are there for the service only.
  void check_keys() {
    for (size_t i = 0; i < config_.subsystems.size(); ++i)
      for (size_t j = 0; j < config_.subsystems[i].hosts.size(); ++j) {
        const config::Host& host = config_.subsystems[i].hosts[j];
        const std::string path = path_of_subsystem(config_, i) + ".hosts[" + std::to_string(j) + "]";
        check_key(host.position, path + ".key_file", host.key_file, host.nqn);
        if (host.controller_key_file)
          check_key(host.position, path + ".controller_key_file", *host.controller_key_file, config_.subsystems[i].nqn);
      }
  }

  void check_key(Position position, const std::string& path, const std::string& file, const std::string& nqn) {
    if (file.find('/') == std::string::npos) return;
    try {
      check_users(position, path, *auth::read_key_file(file), nqn);
    } catch (const auth::KeyFileError& error) {
      warn(position, path, error.what(), "");
      warnings_.back().severity = config::Severity::error;
    }
  }

  // NVMe Base 2.1, section 8.3.4.5.7: a key is for one NQN. A transform makes another key for each.
  void check_users(Position position, const std::string& path, const auth::DhchapKey& key, const std::string& nqn) {
    if (key.transform()) return;
    const auto [user, is_first] = users_of_keys_.try_emplace(key.fingerprint(), nqn);
    if (is_first || user->second == nqn) return;
    warn(position, path, quote(user->second) + " uses the same key, so that whoever has the key can pass for both",
         "give each its own (nvmf-p2p key generate)");
  }

  // A subsystem that strangers may reach, and use by a host's name alone.
  void check_strangers() {
    for (size_t i = 0; i < config_.subsystems.size(); ++i) {
      const config::Subsystem& subsystem = config_.subsystems[i];
      if (!subsystem.allow_any_host && subsystem.allowed_hosts.empty()) continue;
      const auto routable = std::ranges::find_if(config_.ports, [&](const config::Port& port) {
        const bool offers = std::ranges::find(subsystem.ports, port.id) != subsystem.ports.end();
        return offers && can_be_reached_from_afar(port);
      });
      if (routable == config_.ports.end()) continue;
      warn(subsystem.position, path_of_subsystem(config_, i),
           "whoever reaches " + address_of(*routable) + " can use the subsystem without authentication, by " +
               (subsystem.allow_any_host ? "any host NQN" : "an NQN in \"allowed_hosts\""),
           "list the hosts in \"hosts\", with keys (nvmf-p2p key generate)");
    }
  }

  void check_state_directory() {
    if (check_directory({}, "$.state_dir", config_.state_dir))
      warnings_.back().severity = config::Severity::error;  // all that hosts ask to be kept would be lost
    const std::filesystem::path directory = std::filesystem::path(config_.state_dir + "/").lexically_normal();
    for (const char* const shared : {"/", "/tmp/", "/var/tmp/", "/etc/", "/var/", "/var/lib/", "/run/", "/home/"})
      if (directory == shared)
        warn({}, "$.state_dir", quote(config_.state_dir) + " is not a directory of the daemon's own",
             "name a directory below it, such as /var/lib/nvmf-p2p");
  }

  // One that the daemon makes where there is none: nothing on the way to it may be another kind of file. True: it
  // warned.
  bool check_directory(Position position, const std::string& path, std::filesystem::path directory) {
    std::error_code ignored;
    while (directory.has_relative_path() && !std::filesystem::exists(sysfs_.where(directory), ignored))
      directory = directory.parent_path();
    if (!directory.has_relative_path() || std::filesystem::is_directory(sysfs_.where(directory), ignored)) return false;
    warn(position, path, quote(directory.string()) + " is not a directory", "name another path");
    return true;
  }

  void check_cores() {
    const std::string online = sysfs_.text("/sys/devices/system/cpu/online");
    const std::set<unsigned> cores = numbers_of(online);
    for (size_t i = 0; !cores.empty() && i < config_.reactors.cores.size(); ++i) {
      const unsigned core = config_.reactors.cores[i];
      if (cores.contains(core)) continue;
      warn(config_.reactors.position, "$.reactors.cores[" + std::to_string(i) + "]",
           "this machine has no core " + std::to_string(core), "its cores are " + online);
    }
  }

  // The address of a port, with its interface; of a wildcard all on which the target would listen; none: no interface
  // has it.
  std::vector<InterfaceAddress> interfaces_of(const config::Port& port) const {
    std::vector<InterfaceAddress> interfaces;
    for (const InterfaceAddress& one : addresses_) {
      const bool is_ipv6 = one.address.find(':') != std::string::npos;
      const bool is_meant = config::is_wildcard(port.address) && is_for_hosts(one.address) &&
                            is_ipv6 == (port.family == config::AddressFamily::ipv6) &&
                            rnic_of(one.interface) != nullptr;
      if (is_meant || one.address == port.address) interfaces.push_back(one);
    }
    return interfaces;
  }

  bool can_be_reached_from_afar(const config::Port& port) const {
    if (!config::is_wildcard(port.address)) return is_routable(port.address);
    return std::ranges::any_of(interfaces_of(port),
                               [](const InterfaceAddress& one) { return is_routable(one.address); });
  }

  // Of a port that can be reached from afar: the address.
  std::string address_of(const config::Port& port) const {
    for (const InterfaceAddress& one : interfaces_of(port))
      if (is_routable(one.address)) return one.address;
    return port.address;
  }

  // The RNIC that serves a network interface; null: none.
  const p2p::RdmaDevice* rnic_of(const std::string& interface) const {
    const auto serves = [&](const p2p::RdmaDevice& rnic) {
      return std::ranges::any_of(rnic.ports, [&](const p2p::RdmaPort& port) {
        return std::ranges::find(port.netdevs, interface) != port.netdevs.end();
      });
    };
    const auto found = std::ranges::find_if(report_.rnics, serves);
    return found != report_.rnics.end() ? &*found : nullptr;
  }

  // «192.0.2.10 (eth0), ...»: where the target could listen.
  std::string usable_addresses() const {
    std::vector<std::string> words;
    for (const InterfaceAddress& one : addresses_)
      if (rnic_of(one.interface) != nullptr) words.push_back(one.address + " (" + one.interface + ")");
    return joined(words);
  }

  void check_port(const config::Port& port, const std::string& path) {
    const std::vector<InterfaceAddress> interfaces = interfaces_of(port);
    const std::string usable = usable_addresses();
    const std::string choose = usable.empty() ? "" : "write one of: " + usable;
    if (interfaces.empty() && config::is_wildcard(port.address)) {
      const std::string family = port.family == config::AddressFamily::ipv6 ? "IPv6" : "IPv4";
      warn(port.position, path + ".address",
           "no RNIC of this machine has an " + family + " address, so no host can connect to the port yet",
           "add an address to the interface of an RNIC with: ip address add");
    } else if (interfaces.empty()) {
      warn(port.position, path + ".address", "no interface of this machine has the address " + port.address,
           choose.empty() ? "add it to the interface of an RNIC with: ip address add" : choose);
    } else if (const std::string& interface = interfaces.front().interface; rnic_of(interface) == nullptr) {
      warn(port.position, path + ".address", interface + ", which has the address " + port.address + ", has no RNIC",
           choose.empty() ? "to try things out: rdma link add rxe0 type rxe netdev " + interface : choose);
    }
  }

  void check_namespace(const config::Subsystem& subsystem, const config::Namespace& ns, const std::string& path) {
    if (const auto* nvme = std::get_if<config::NvmeBackend>(&ns.backend)) check_ssd(ns, path + ".nvme", *nvme);
    if (const auto* block = std::get_if<config::BlockBackend>(&ns.backend))
      check_device(ns, path + ".block", block->path);
    if (const auto* file = std::get_if<config::FileBackend>(&ns.backend)) check_file(ns, path + ".file", file->path);
    if (const auto* dax = std::get_if<config::DaxBackend>(&ns.backend)) check_dax(ns, path + ".dax", dax->path);
    if (ns.p2p != config::P2pMode::off) check_p2p(subsystem, ns, path);
    check_identifiers(subsystem, ns, path);
  }

  // One device in two subsystems is one namespace to a host only where it knows that: Linux drops the second.
  void check_identifiers(const config::Subsystem& subsystem, const config::Namespace& ns, const std::string& path) {
    for (const std::string& identifier : identifiers_of(ns)) {
      const auto [first, is_new] = shown_in_.try_emplace(identifier, subsystem.nqn);
      if (is_new || first->second == subsystem.nqn) continue;
      return warn(ns.position, path,
                  "a namespace of " + first->second + " has the same identifiers: a host that sees both uses only one",
                  "give it a \"uuid\" of its own here");
    }
  }

  // What hosts know it by, of what two namespaces may have in common: the config's, or the SSD's own.
  std::vector<std::string> identifiers_of(const config::Namespace& ns) const {
    std::vector<std::string> all;
    const auto add = [&](const char* kind, const auto& identifier) {
      if (identifier) all.push_back(std::string(kind).append(identifier->begin(), identifier->end()));
    };
    add("uuid ", ns.uuid);
    add("nguid ", ns.nguid);
    add("eui64 ", ns.eui64);
    const auto* nvme = std::get_if<config::NvmeBackend>(&ns.backend);
    if (!all.empty() || nvme == nullptr) return all;
    const std::string device = config::device_identity(device_of(*nvme));
    const std::string folder = "/sys/class/block/" + std::filesystem::path(device).filename().string();
    const auto shows = [&](const char* name) { return !sysfs_.text(folder + "/" + name).empty(); };
    if (shows("uuid") || shows("nguid") || shows("eui")) all.push_back(device);
    return all;
  }

  void check_file(const config::Namespace& ns, const std::string& path, const std::string& file) {
    const std::string make = "create it: truncate -s SIZE " + file;
    if (!sysfs_.exists(file)) return warn(ns.backend_position, path, quote(file) + " does not exist", make);
    if (const auto type = sysfs_.type(file); type != Type::regular)
      return warn(ns.backend_position, path, quote(file) + " is " + in_words(type) + ", not a regular file",
                  type == Type::block ? R"(write "block" instead of "file")" : "name a file: truncate -s SIZE FILE");
    if (sysfs_.size_bytes(file) < std::get<config::FileBackend>(ns.backend).block_size_bytes)
      warn(ns.backend_position, path, quote(file) + " is shorter than one block",
           "give it the size of the namespace: truncate -s SIZE " + file);
  }

  void check_dax(const config::Namespace& ns, const std::string& path, const std::string& device) {
    if (!sysfs_.exists(device))
      return warn(
          ns.backend_position, path, quote(device) + " does not exist",
          "make it: ndctl create-namespace -m devdax (persistent memory), or daxctl reconfigure-device -m devdax");
    const auto facts = backend::dax_facts(sysfs_.where("/sys/bus/dax/devices/" + name_of(device)));
    if (!facts) return warn(ns.backend_position, path, quote(device) + " is not a device DAX", "see: daxctl list");
    if (facts->domain == backend::PersistenceDomain::None)
      warn(ns.backend_position, path, quote(device) + " is volatile memory: its data is lost when the machine restarts",
           "serve persistent memory where hosts keep data; else there is nothing to do");
  }

  // The generic device, or the path that the config gives; empty: no SSD has the serial number.
  std::string device_of(const config::NvmeBackend& nvme) const {
    return nvme.serial.empty() ? nvme.path : backend::find_by_serial(nvme.serial, nvme.nsid, sysfs_.where("/")).path;
  }

  void check_ssd(const config::Namespace& ns, const std::string& path, const config::NvmeBackend& nvme) {
    if (nvme.serial.empty()) return check_device(ns, path, nvme.path);
    const backend::SsdSearch search = backend::find_by_serial(nvme.serial, nvme.nsid, sysfs_.where("/"));
    if (search.path.empty()) return warn(ns.backend_position, path, search.problem, search.remedy);
    check_device(ns, path, search.path);
  }

  void check_device(const config::Namespace& ns, const std::string& path, const std::string& device) {
    if (!sysfs_.exists(device)) {
      const std::string devices = joined(devices_like(device));
      warn(ns.backend_position, path, quote(device) + " does not exist",
           devices.empty() ? "plug it in, or correct the path" : "this machine has: " + devices);
      return;
    }
    const bool is_passthrough = std::holds_alternative<config::NvmeBackend>(ns.backend);
    const std::string opened = is_passthrough ? backend::generic_device_of(device, sysfs_.where("/")) : device;
    if (const std::string fault = wrong_kind(ns, opened); !fault.empty()) {
      const std::string devices = joined(devices_like(device));
      warn(ns.backend_position, path, quote(device) + " " + fault,
           devices.empty() ? "correct the path" : "this machine has: " + devices);
      return;
    }
    recommend_lasting_name(ns, path, device);
    if (!is_passthrough && sysfs_.text(queue_of(device) + "/zoned") == "host-managed")
      warn(ns.backend_position, path,
           quote(device) + " is a zoned device, and hosts get to know the zones of NVMe SSDs only",
           remedy_for_zones(device));
    else if (const auto [use, remedy] = use_of(device); !use.empty())
      warn(ns.backend_position, path,
           quote(device) + " " + use + ": two programs that write to one device destroy each other's data", remedy);
  }

  // The kernel numbers disks in the order in which it finds them.
  void recommend_lasting_name(const config::Namespace& ns, const std::string& path, const std::string& device) {
    const auto* nvme = std::get_if<config::NvmeBackend>(&ns.backend);
    if ((nvme != nullptr && !nvme->serial.empty()) || std::filesystem::path(device).parent_path() != "/dev") return;
    const auto disk = std::filesystem::path(config::device_identity(device)).filename();
    for (const std::string& name : sysfs_.list("/dev/disk/by-id")) {
      const std::string link = "/dev/disk/by-id/" + name;
      if (std::filesystem::path(sysfs_.resolve(link)).filename() != disk) continue;
      warn(ns.backend_position, path, quote(device) + " may be another disk after the next boot",
           "write " + quote(link));
      return;
    }
    if (nvme != nullptr || backend::sysfs::lasting_name(sysfs_.where("/sys/class/block/" + name_of(device)))) return;
    warn(ns.backend_position, path,
         quote(device) + " is known by its path only: another disk that gets this path would be served in its place",
         "give the disk a serial number (a virtual machine's), or serve a logical volume on it");
  }

  // Why the path cannot be what its key says: «is a directory, not a block device». Empty: it can. (On a recorded
  // machine a regular file stands for a device.)
  std::string wrong_kind(const config::Namespace& ns, const std::string& device) const {
    const bool nvme = std::holds_alternative<config::NvmeBackend>(ns.backend);
    const Type type = sysfs_.type(device);
    const bool right = type == (nvme ? Type::character : Type::block);
    const bool known = (right || type == Type::regular) && is_known(nvme, device);
    if (known || (right && !nvme)) return {};
    const std::string wanted = nvme ? "the generic device of an NVMe namespace" : "a block device";
    return right ? "is not " + wanted : "is " + in_words(type) + ", not " + wanted;
  }

  // By the kernel. A link, such as those in /dev/disk/by-id, leads to the device's own name.
  bool is_known(bool nvme, const std::string& device) const {
    return sysfs_.exists(std::string("/sys/class/") + (nvme ? "nvme-generic/" : "block/") + name_of(device));
  }

  std::string name_of(const std::string& device) const {
    return std::filesystem::path(sysfs_.resolve(device)).filename().string();
  }

  // Of a block device or generic device, or the disk of a partition.
  std::string queue_of(const std::string& device) const {
    const std::string name =
        std::filesystem::path(config::device_identity("/dev/" + name_of(device))).filename().string();
    const std::string folder = "/sys/class/block/" + name;
    return sysfs_.exists(folder + "/partition") ? sysfs_.resolve(folder + "/..") + "/queue" : folder + "/queue";
  }

  // Of a zoned block device. Hosts get to know the zones of NVMe SSDs only.
  std::string remedy_for_zones(const std::string& device) const {
    for (const p2p::NvmeController& controller : report_.controllers)
      for (const p2p::NvmeNamespace& one : controller.namespaces)
        if (one.block == name_of(device) && !one.generic.empty())
          return "write \"nvme\": " + quote("/dev/" + one.generic) + " instead of \"block\"";
    return "serve a device that maps the zones to plain blocks (dm-zoned)";
  }

  // Devices of this machine that the config may mean.
  std::vector<std::string> devices_like(const std::string& device) const {
    const bool generic = config::device_identity(device) != device;
    std::vector<std::string> paths;
    for (const p2p::NvmeController& controller : report_.controllers)
      for (const p2p::NvmeNamespace& one : controller.namespaces)
        if (!generic || !one.generic.empty()) paths.push_back("/dev/" + (generic ? one.generic : one.block));
    return paths;
  }

  // Where a link leads.
  std::string real(const std::string& device) const {
    const std::string path = sysfs_.resolve(device);
    return path.empty() ? device : path;
  }

  // How the kernel uses a device or its partitions, and how to end that.
  std::pair<std::string, std::string> use_of(const std::string& device) const {
    const std::string name = std::filesystem::path(config::device_identity(real(device))).filename().string();
    const std::string folder = "/sys/class/block/" + name;
    std::vector<std::string> users = sysfs_.list(folder + "/holders");
    if (!users.empty())
      return {"is a part of " + joined(users),
              "serve /dev/" + users.front() + " instead, or remove this device from it"};
    std::vector<std::string> names = {name};
    for (const std::string& entry : sysfs_.list(folder))
      if (sysfs_.exists((folder + "/").append(entry).append("/partition"))) names.push_back(entry);
    for (const std::string& each : names) {
      const std::string place = mount_of("/dev/" + each);
      if (!place.empty())
        return {"is mounted at " + place, is_of_the_system(place) ? "serve another device" : "umount " + place};
    }
    return {};
  }

  std::string mount_of(const std::string& device) const {
    std::istringstream lines(sysfs_.content("/proc/self/mounts"));
    std::string source;
    std::string place;
    for (std::string line; std::getline(lines, line);)
      if (std::istringstream(line) >> source >> place && source == device) return place;
    return {};
  }

  const p2p::NvmeController* provider_of(const config::Namespace& ns) const {
    const auto* nvme = std::get_if<config::NvmeBackend>(&ns.backend);
    const auto* block = std::get_if<config::BlockBackend>(&ns.backend);
    const std::string device = nvme != nullptr ? device_of(*nvme) : block != nullptr ? block->path : std::string();
    const std::string bdf = ns.p2p_provider.value_or(p2p::ssd_of_device(sysfs_, real(device)));
    const auto found = std::ranges::find(report_.controllers, bdf, &p2p::NvmeController::bdf);
    return bdf.empty() || found == report_.controllers.end() ? nullptr : &*found;
  }

  void check_p2p(const config::Subsystem& subsystem, const config::Namespace& ns, const std::string& path) {
    const p2p::NvmeController* provider = provider_of(ns);
    if (provider != nullptr) return check_pairs(subsystem, ns, path, *provider);
    if (!ns.p2p_provider) return;  // a missing device was reported already, other faults show when the device is opened
    if (p2p::read_peer_memory(sysfs_, *ns.p2p_provider)) return check_other_provider(ns, path);
    std::vector<std::string> ssds;
    for (const p2p::NvmeController& one : report_.controllers) ssds.push_back(one.bdf + " (" + one.name + ")");
    warn(ns.position, path + ".p2p_provider",
         "there is no SSD at " + *ns.p2p_provider + ", and no other device that lends peer memory",
         ssds.empty() ? "" : "this machine has: " + joined(ssds));
  }

  // A device that is no SSD, of which only the kernel's peer memory is known.
  void check_other_provider(const config::Namespace& ns, const std::string& path) {
    const p2p::PeerMemory memory = *p2p::read_peer_memory(sysfs_, *ns.p2p_provider);
    if (!memory.mappable)
      warn(ns.position, path + ".p2p_provider",
           "this kernel cannot give the peer memory of " + *ns.p2p_provider + " to processes",
           "install Linux 6.17 or newer");
    else if (!memory.permitted)
      warn(ns.position, path + ".p2p_provider", report_.user + " may not use the peer memory of " + *ns.p2p_provider,
           "run as root, or give the user's group access to /sys/bus/pci/devices/" + *ns.p2p_provider +
               "/p2pmem/allocate");
  }

  // Doctor's findings about the provider with the RNICs of the subsystem's ports.
  void check_pairs(const config::Subsystem& subsystem, const config::Namespace& ns, const std::string& path,
                   const p2p::NvmeController& provider) {
    std::set<std::string> said;
    for (const config::Port& port : config_.ports) {
      if (std::ranges::find(subsystem.ports, port.id) == subsystem.ports.end()) continue;
      for (const InterfaceAddress& one : interfaces_of(port)) {
        const p2p::RdmaDevice* const rnic = rnic_of(one.interface);
        const p2p::PairReport* const pair = rnic != nullptr ? pair_of(provider, *rnic) : nullptr;
        if (pair == nullptr || pair->verdict != p2p::PairVerdict::No || pair->reasons.empty()) continue;
        if (said.insert(pair->reasons.front()).second) warn_of_pair(ns, path, *pair);
      }
    }
  }

  const p2p::PairReport* pair_of(const p2p::NvmeController& provider, const p2p::RdmaDevice& rnic) const {
    const auto found = std::ranges::find_if(
        report_.pairs, [&](const p2p::PairReport& one) { return one.ssd == provider.name && one.rnic == rnic.name; });
    return found != report_.pairs.end() ? &*found : nullptr;
  }

  void warn_of_pair(const config::Namespace& ns, const std::string& path, const p2p::PairReport& pair) {
    const bool required = ns.p2p == config::P2pMode::require;
    const std::string consequence = required ? " cannot work with " : " has no effect with ";
    const std::string otherwise = required ? R"(or write "p2p": "prefer")" : R"(or write "p2p": "off")";
    warn(ns.position, path + ".p2p", quote(to_string(ns.p2p)) + consequence + pair.rnic + ": " + pair.reasons.front(),
         pair.remedies.empty() ? otherwise.substr(3) : pair.remedies.front() + "; " + otherwise);
  }

  const config::Config& config_;
  const p2p::Sysfs& sysfs_;
  const std::vector<InterfaceAddress>& addresses_;
  p2p::Report report_;
  std::vector<config::Diagnostic> warnings_;
  std::map<std::string, std::string> shown_in_;       // identifier to the subsystem that shows it first
  std::map<std::string, std::string> users_of_keys_;  // fingerprint of a key without a transform to its first NQN
};

}  // namespace

std::vector<config::Diagnostic> check_machine(const config::Config& config, const p2p::Sysfs& sysfs,
                                              const std::vector<InterfaceAddress>& addresses) {
  std::vector<config::Diagnostic> warnings = MachineCheck(config, sysfs, addresses).run();
  std::ranges::stable_sort(warnings, {}, &config::Diagnostic::position);
  return warnings;
}

}  // namespace nvmf::daemon
