#include "config/rules.h"

#include <algorithm>
#include <set>

#include "config/limits.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

// Whether the subsystem names hosts or allows any host, or a misspelled key was meant to do so.
bool lets_somebody_in(const Value& object, const Subsystem& subsystem) {
  constexpr std::array<std::string_view, 3> keys = {"allow_any_host", "allowed_hosts", "hosts"};
  constexpr std::array<std::string_view, 1> similar = {"ports"};
  if (subsystem.allow_any_host || !subsystem.allowed_hosts.empty() || !subsystem.hosts.empty()) return true;
  const Value* any = object.find("allow_any_host");
  if (any != nullptr && any->as<bool>() == nullptr) return true;
  bool names_hosts = false;
  for (const char* const key : {"allowed_hosts", "hosts"}) {
    const Value* hosts = object.find(key);
    names_hosts |= hosts != nullptr;
    if (hosts != nullptr && (hosts->as<Array>() == nullptr || !hosts->as<Array>()->empty())) return true;
  }
  return any == nullptr && !names_hosts && misspells_one_of(keys, object, similar);
}

// What one entry of "hosts" contradicts: the list of hosts that need not authenticate, or an earlier entry of the host.
void check_authenticated_host(const Value& object, const Subsystem& subsystem, size_t index, const std::string& scope,
                              Reader& reader) {
  const Host& host = subsystem.hosts[index];
  if (host.nqn.empty() || host.key_file.empty()) return;
  if (std::ranges::find(subsystem.allowed_hosts, host.nqn) != subsystem.allowed_hosts.end())
    reader.error_at(object, "nqn", "the host is in \"allowed_hosts\", too, so it need not authenticate",
                    "remove it there");
  reader.unique_at(object, "key_file", "host with the same key file", scope + host.nqn + ' ' + host.key_file);
  const auto earlier = std::ranges::find(subsystem.hosts, host.nqn, &Host::nqn);
  const bool agrees = earlier->dhchap_hash == host.dhchap_hash && earlier->dhchap_group == host.dhchap_group;
  if (!agrees)
    reader.error(object.position, "an earlier entry of the host has another \"dhchap_hash\" or \"dhchap_group\"",
                 "write the same in all entries of a host");
}

void check_authenticated_hosts(const Value& object, const Subsystem& subsystem, Reader& reader) {
  if (subsystem.allow_any_host && !subsystem.hosts.empty())
    reader.warning_at(object, "hosts",
                      "\"allow_any_host\" lets these hosts connect without their keys: they need only use another NQN",
                      "remove \"allow_any_host\"");
  const std::string scope = reader.identity() + ' ';
  const auto in_list = reader.into("hosts");
  for (size_t i = 0; i < subsystem.hosts.size(); ++i) {
    const auto in_element = reader.into(i);
    check_authenticated_host(elements(object, "hosts")[i], subsystem, i, scope, reader);
  }
}

void check_hosts(const Value& object, const Subsystem& subsystem, Reader& reader) {
  if (subsystem.allow_any_host && !subsystem.allowed_hosts.empty()) {
    reader.warning_at(object, "allowed_hosts", "this key has no effect together with \"allow_any_host\": true",
                      "keep one of them");
  }
  if (lets_somebody_in(object, subsystem)) return;
  reader.error(object.position, "no host could connect",
               "list hosts in \"hosts\" or \"allowed_hosts\", or write \"allow_any_host\": true");
}

// 16 hexadecimal digits, the FNV-1a hash of the NQN: the same after every start, and almost certainly different for
// each subsystem.
std::string derived_serial(std::string_view nqn) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : nqn) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::string serial;
  for (unsigned shift = 64; shift > 0; shift -= 4) serial += "0123456789ABCDEF"[hash >> (shift - 4) & 0xFU];
  return serial;
}

std::set<uint32_t> given_nsids(const std::vector<Namespace>& namespaces) {
  std::set<uint32_t> nsids;
  for (const Namespace& ns : namespaces) {
    if (ns.nsid != 0) nsids.insert(ns.nsid);
  }
  return nsids;
}

// Gives each namespace without nsid the lowest free one. 1024 namespaces have 1024 nsids.
void assign_nsids(std::vector<Namespace>& namespaces) {
  std::set<uint32_t> taken = given_nsids(namespaces);
  uint32_t next = 1;
  for (Namespace& ns : namespaces) {
    if (ns.nsid != 0) continue;
    while (taken.contains(next)) ++next;
    ns.nsid = next++;
  }
}

void check_namespaces(const Value& object, const Subsystem& subsystem, Reader& reader) {
  const std::string identity = reader.identity();
  const auto in_list = reader.into("namespaces");
  for (size_t i = 0; i < subsystem.namespaces.size(); ++i) {
    const auto in_element = reader.into(i);
    check_namespace_in_subsystem(elements(object, "namespaces")[i], subsystem.namespaces[i], identity, reader);
  }
}

void check_serial(const Value& object, Subsystem& subsystem, Reader& reader) {
  const std::string_view key = object.find("serial") != nullptr ? "serial" : "nqn";
  if (subsystem.serial.empty()) subsystem.serial = derived_serial(subsystem.nqn);
  if (key == "nqn") return;
  reader.unique_at(object, key, "serial number", subsystem.serial + '\n' + subsystem.model, Severity::warning);
}

void check_cntlids(const Value& object, const Subsystem& subsystem, Reader& reader) {
  if (subsystem.cntlid_min > subsystem.cntlid_max) {
    const std::string_view key = object.find("cntlid_min") != nullptr ? "cntlid_min" : "cntlid_max";
    return reader.error_at(object, key, "\"cntlid_min\" is above \"cntlid_max\"", "write the lower one first");
  }
  const unsigned identifiers = subsystem.cntlid_max - subsystem.cntlid_min + 1U;
  if (subsystem.max_controllers.value_or(0) <= identifiers) return;
  reader.warning_at(object, "max_controllers", "there are only " + std::to_string(identifiers) + " identifiers",
                    "make the range from \"cntlid_min\" to \"cntlid_max\" larger");
}

// States of groups on ports that the subsystem is not on.
void check_ana_ports(const Value& object, const Subsystem& subsystem, Reader& reader) {
  const bool knows_ports = !subsystem.ports.empty() && std::ranges::count(subsystem.ports, 0) == 0;
  if (!knows_ports) return;
  const auto in_list = reader.into("ana");
  for (size_t i = 0; i < subsystem.ana.size(); ++i) {
    const uint16_t port = subsystem.ana[i].port;
    if (port == 0 || std::ranges::find(subsystem.ports, port) != subsystem.ports.end()) continue;
    const auto in_element = reader.into(i);
    reader.error_at(elements(object, "ana")[i], "port", "the subsystem is not on port " + std::to_string(port),
                    "name one of its ports");
  }
}

// No two elements of "ana" are about the same group and port.
void check_ana_groups(const Value& object, const Subsystem& subsystem, Reader& reader) {
  const std::string scope = reader.identity() + ' ';
  const auto in_list = reader.into("ana");
  for (size_t i = 0; i < subsystem.ana.size(); ++i) {
    const AnaGroup& ana = subsystem.ana[i];
    const auto in_element = reader.into(i);
    if (ana.group == 0 || ana.port == 0) continue;
    reader.unique_at(elements(object, "ana")[i], "group", "ANA group and port",
                     scope + std::to_string(ana.group) + ' ' + std::to_string(ana.port), Severity::error);
  }
}

// Where the topology decides, each namespace may prefer other ports, so each has an ANA group of its own.
void take_ana_groups_from_nsids(const Value& object, Subsystem& subsystem, Reader& reader) {
  if (!subsystem.ana_by_topology) return;
  const auto in_list = reader.into("namespaces");
  for (size_t i = 0; i < subsystem.namespaces.size(); ++i) {
    Namespace& ns = subsystem.namespaces[i];
    const Value& element = elements(object, "namespaces")[i];
    const auto in_element = reader.into(i);
    if (ns.nsid > kMostAnaGroups)
      reader.error(element.position,
                   "with \"ana\": \"by_topology\" the nsid is the ANA group too, and " + std::to_string(ns.nsid) +
                       " is too large for a group",
                   "write an \"nsid\" from 1 to " + std::to_string(kMostAnaGroups));
    if (ns.ana_group != ns.nsid)
      reader.error_at(element, "ana_group",
                      "with \"ana\": \"by_topology\" each namespace has an ANA group of its own, its nsid",
                      "remove this key");
    ns.ana_group = ns.nsid;
  }
}

void warn_of_topology_without_choice(const Value& object, const Subsystem& subsystem, Reader& reader) {
  if (!subsystem.ana_by_topology) return;
  const auto uses_cmb = [](const Namespace& ns) { return ns.p2p != P2pMode::off; };
  if (subsystem.ports.size() == 1)
    reader.warning_at(object, "ana", "the subsystem is on one port only, so hosts cannot prefer one",
                      "offer it on a port of another RNIC, too, or remove this key");
  else if (std::ranges::none_of(subsystem.namespaces, uses_cmb))
    reader.warning_at(object, "ana", "no namespace of the subsystem uses a CMB, so all ports are optimized",
                      "set \"p2p\" of a namespace, or remove this key");
}

// Warns of hosts in "visible_to" that may not connect: probably not intended.
void check_visibility(const Value& object, const Subsystem& subsystem, Reader& reader) {
  std::vector<std::string> names = subsystem.allowed_hosts;
  for (const Host& host : subsystem.hosts) names.push_back(host.nqn);
  if (subsystem.allow_any_host || names.empty()) return;
  const std::set<std::string_view> allowed(names.begin(), names.end());
  const auto in_list = reader.into("namespaces");
  for (size_t i = 0; i < subsystem.namespaces.size(); ++i) {
    const Namespace& ns = subsystem.namespaces[i];
    const auto in_namespace = reader.into(i);
    const auto in_hosts = reader.into("visible_to");
    const Array& hosts = elements(elements(object, "namespaces")[i], "visible_to");
    for (size_t j = 0; j < ns.visible_to.size(); ++j) {
      const std::string& host = ns.visible_to[j];
      if (host.empty() || allowed.contains(host)) continue;
      const auto in_element = reader.into(j);
      const auto meant = nearest_name(host, names);
      reader.warning(hosts[j].position, "this host may not connect to the subsystem",
                     meant ? "did you mean \"" + std::string(*meant) + "\"?" : "add it to \"allowed_hosts\"");
    }
  }
}

// Whether a port has an id that could not be read, so that no reference can be called wrong.
bool knows_all_ids(const std::vector<Port>& ports) {
  return std::ranges::none_of(ports, [](const Port& port) { return port.id == 0; });
}

std::string known_ids(const std::vector<Port>& ports) {
  std::set<uint16_t> ids;
  for (const Port& port : ports) ids.insert(port.id);
  if (ids.empty()) return "the config has no ports";
  return "write " + list_of(ids);
}

// References of one subsystem to the ports of the config file.
void check_port_references(const Value& object, const Subsystem& subsystem, const Config& config, Reader& reader) {
  const auto in_list = reader.into("ports");
  for (size_t i = 0; i < subsystem.ports.size(); ++i) {
    const uint16_t id = subsystem.ports[i];
    const bool exists = std::ranges::find(config.ports, id, &Port::id) != config.ports.end();
    if (id == 0 || exists) continue;
    const auto in_element = reader.into(i);
    reader.error(elements(object, "ports")[i].position, "there is no port " + std::to_string(id),
                 known_ids(config.ports));
  }
}

// Calls `check(value, subsystem)` for each subsystem of every file, as the present value.
template <class Check>
void for_each_subsystem(const std::vector<FileOfConfig>& files, Config& config, Reader& reader, Check check) {
  for (const FileOfConfig& file : files) {
    reader.begin_file(file.file);
    const auto in_list = reader.into("subsystems");
    for (size_t i = 0; i < file.subsystems; ++i) {
      const auto in_element = reader.into(i);
      check(elements(*file.root, "subsystems")[i], config.subsystems[file.first + i]);
    }
  }
  reader.begin_file(files.front().file);
}

void resolve_ports(const std::vector<FileOfConfig>& files, Config& config, Reader& reader) {
  for_each_subsystem(files, config, reader, [&](const Value& value, Subsystem& subsystem) {
    if (knows_all_ids(config.ports)) check_port_references(value, subsystem, config, reader);
    if (value.find("ports") == nullptr) {
      for (const Port& port : config.ports) subsystem.ports.push_back(port.id);
    }
    if (knows_all_ids(config.ports)) check_ana_ports(value, subsystem, reader);
    warn_of_topology_without_choice(value, subsystem, reader);
  });
}

void check_namespaces_of_config(const std::vector<FileOfConfig>& files, Config& config, Reader& reader) {
  NamespacesOfConfig all;
  for_each_subsystem(files, config, reader, [&](const Value& value, const Subsystem& subsystem) {
    const SubsystemPlace place{reader.identity(), reader.path()};
    const auto in_list = reader.into("namespaces");
    for (size_t i = 0; i < subsystem.namespaces.size(); ++i) {
      const auto in_element = reader.into(i);
      all.check(elements(value, "namespaces")[i], subsystem.namespaces[i], place, reader);
    }
  });
}

// The bound of one list holds for the lists of all files together.
void check_count(const std::vector<FileOfConfig>& files, Reader& reader) {
  for (const FileOfConfig& file : files) {
    const size_t count = file.first + file.subsystems;
    if (count <= kMostSubsystems) continue;
    reader.begin_file(file.file);
    reader.error_at(*file.root, "subsystems", std::to_string(count) + " subsystems in this file and those before it",
                    "at most " + std::to_string(kMostSubsystems) + " are possible");
    break;
  }
  reader.begin_file(files.front().file);
}

// A wildcard and a port on one address, with the same service: the other port has the address.
void check_wildcards(const Value& object, const Config& config, Reader& reader) {
  const auto in_list = reader.into("ports");
  for (size_t i = 0; i < config.ports.size(); ++i) {
    const Port& port = config.ports[i];
    if (!is_wildcard(port.address)) continue;
    const auto in_element = reader.into(i);
    for (const Port& other : config.ports) {
      const bool overlaps = other.family == port.family && other.service == port.service && !other.address.empty() &&
                            !is_wildcard(other.address);
      if (!overlaps) continue;
      reader.warning_at(
          elements(object, "ports")[i], "address",
          "port " + std::to_string(other.id) + " has " + other.address + " for itself with service " +
              std::to_string(port.service) + ", so port " + std::to_string(port.id) + " does not listen on it",
          "where that is not meant, remove port " + std::to_string(other.id) + " or give it another \"service\"");
    }
  }
}

AddressFamily family_of(const std::string& address) {
  return address.find(':') != std::string::npos ? AddressFamily::ipv6 : AddressFamily::ipv4;
}

void warn_if_empty(const Value& object, std::string_view key, const std::string& consequence, Reader& reader) {
  const Value* list = object.find(key);
  if (list == nullptr || list->as<Array>() == nullptr || !list->as<Array>()->empty()) return;
  reader.warning_at(object, key, "an empty list: " + consequence, "");
}

void check_discovery_authentication(const Value& object, const Config& config, Reader& reader) {
  const bool has_keys = std::ranges::any_of(config.subsystems, [](const Subsystem& one) { return !one.hosts.empty(); });
  if (!config.discovery.require_authentication || has_keys) return;
  const auto in_discovery = reader.into("discovery");
  const Value* discovery = object.find("discovery");
  if (discovery != nullptr)
    reader.warning_at(*discovery, "require_authentication", "no subsystem has \"hosts\", so no host can use discovery",
                      "give hosts keys");
}

}  // namespace

bool misspells_one_of(std::span<const std::string_view> keys, const Value& object,
                      std::span<const std::string_view> similar) {
  return std::ranges::any_of(*object.as<Object>(), [&](const Member& member) {
    return std::ranges::find(similar, member.key) == similar.end() && nearest(member.key, keys).has_value();
  });
}

void check_reactors(const Value& object, Reactors& reactors, Reader& reader) {
  if (object.find("cores") == nullptr) return;
  reader.error_at(object, "count", "a count in addition to a list of cores", "keep one of them");
  reactors.count = static_cast<uint16_t>(reactors.cores.size());
}

void check_rdma_device(const Value& object, RdmaDevice& device, Reader& reader) {
  if (!device.name.empty()) reader.unique_at(object, "name", "name of an RNIC", device.name);
}

// Linux commit 12b2aaadb6d5 (nvme-rdma) mends what 38e1800275d3 broke: writes of more than two pages in a capsule.
void check_rdma(const Value& object, Rdma& rdma, Reader& reader) {
  if (rdma.in_capsule_data_bytes <= Rdma{}.in_capsule_data_bytes) return;
  reader.warning_at(object, "in_capsule_data_bytes",
                    "Linux hosts from 5.5 to 5.12 that lack a fix of June 2021 (it is in 5.10.43, 5.12.10 and 5.13) "
                    "fail or write wrong data when a capsule carries more than 4096 bytes",
                    "write 4096 where such hosts may connect");
}

void check_port(const Value& object, Port& port, Reader& reader) {
  if (port.id != 0) reader.unique_at(object, "id", "port id", std::to_string(port.id));
  if (port.address.empty()) return;
  port.family = family_of(port.address);
  reader.unique_at(object, "address", "address and service", port.address + ' ' + std::to_string(port.service));
}

void check_referral(const Value& object, Referral& referral, Reader& reader) {
  if (referral.address.empty()) return;
  referral.family = family_of(referral.address);
  reader.unique_at(object, "address", "address and service of a referral",
                   referral.address + ' ' + std::to_string(referral.service));
}

void check_admin(const Value& object, Admin& admin, Reader& reader) {
  for (const char* const name : {"read_only_group", "read_only_mode"}) {
    if (object.find(name) != nullptr && object.find("read_only_socket") == nullptr)
      reader.error_at(object, name, "there is no \"read_only_socket\" to which this applies",
                      "write \"read_only_socket\" with a path, or remove this key");
  }
  if (admin.read_only_socket == admin.socket)
    reader.error_at(object, "read_only_socket", "it is the path of \"socket\", too", "write another path");
}

void check_discovery(const Value& object, Discovery& discovery, Reader& reader) {
  if (discovery.nqn) reader.unique_at(object, "nqn", "NQN", *discovery.nqn);
}

void check_subsystem(const Value& object, Subsystem& subsystem, Reader& reader) {
  if (!subsystem.nqn.empty()) reader.unique_at(object, "nqn", "NQN", subsystem.nqn);
  check_serial(object, subsystem, reader);
  check_hosts(object, subsystem, reader);
  check_authenticated_hosts(object, subsystem, reader);
  check_namespaces(object, subsystem, reader);
  assign_nsids(subsystem.namespaces);
  take_ana_groups_from_nsids(object, subsystem, reader);
  check_cntlids(object, subsystem, reader);
  check_ana_groups(object, subsystem, reader);
  check_visibility(object, subsystem, reader);
  warn_if_empty(object, "ports", "no host can reach this subsystem", reader);
  warn_if_empty(object, "namespaces", "hosts find no namespace in this subsystem", reader);
  if (object.find("namespaces") == nullptr) {
    reader.warning(object.position, "a subsystem without \"namespaces\": hosts find no namespace in it",
                   "add namespaces");
  }
}

void check_config(const std::vector<FileOfConfig>& files, bool has_all_subsystems, Config& config, Reader& reader) {
  const Value& object = *files.front().root;
  reader.begin_file(files.front().file);
  warn_if_empty(object, "ports", "no host can connect", reader);
  if (has_all_subsystems) {
    if (config.subsystems.empty()) warn_if_empty(object, "subsystems", "hosts find no subsystem", reader);
    check_discovery_authentication(object, config, reader);
  }
  check_wildcards(object, config, reader);
  check_count(files, reader);
  resolve_ports(files, config, reader);
  check_namespaces_of_config(files, config, reader);
}

}  // namespace nvmf::config
