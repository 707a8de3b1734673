#include "config/diff.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "config/tables.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

template <class Element, class Same>
const Element* find(const std::vector<Element>& elements, Same same) {
  const auto found = std::ranges::find_if(elements, same);
  return found == elements.end() ? nullptr : &*found;
}

const Subsystem* find_subsystem(const Config& config, const std::string& nqn) {
  return find(config.subsystems, [&](const Subsystem& subsystem) { return subsystem.nqn == nqn; });
}

const Namespace* find_namespace(const Subsystem& subsystem, uint32_t nsid) {
  return find(subsystem.namespaces, [&](const Namespace& space) { return space.nsid == nsid; });
}

const Port* find_same_port(const Config& config, const Port& wanted) {
  return find(config.ports, [&](const Port& port) {
    return port.id == wanted.id && port.address == wanted.address && port.service == wanted.service;
  });
}

auto identity(const Namespace& space) { return std::tie(space.backend, space.uuid, space.nguid, space.eui64); }

auto policies(const Namespace& space) {
  return std::tie(space.ana_group, space.max_iops, space.max_mib_per_s, space.visible_to, space.read_only, space.p2p,
                  space.p2p_when_dry, space.p2p_provider, space.p2p_min_bytes);
}

bool same_ana(const Subsystem& a, const Subsystem& b) {
  return a.ana_by_topology == b.ana_by_topology &&
         std::ranges::equal(a.ana, b.ana, [](const AnaGroup& x, const AnaGroup& y) {
           return x.group == y.group && x.port == y.port && x.state == y.state;
         });
}

bool same_hosts(const Subsystem& a, const Subsystem& b) {
  return std::ranges::equal(a.hosts, b.hosts, [](const Host& x, const Host& y) {
    return x.nqn == y.nqn && x.key_file == y.key_file && x.controller_key_file == y.controller_key_file &&
           x.dhchap_hash == y.dhchap_hash && x.dhchap_group == y.dhchap_group;
  });
}

// The keys of a subsystem that differ and may change while it is served.
std::string changed_keys(const Subsystem& before, const Subsystem& after) {
  std::string keys;
  const auto name = [&](bool same, const char* key) {
    if (!same) keys += (keys.empty() ? "" : ", ") + std::string(key);
  };
  name(before.allow_any_host == after.allow_any_host && before.allowed_hosts == after.allowed_hosts, "allowed hosts");
  name(same_hosts(before, after), "hosts");
  name(before.ports == after.ports, "ports");
  name(before.max_controllers == after.max_controllers, "max_controllers");
  name(before.max_controllers_per_host == after.max_controllers_per_host, "max_controllers_per_host");
  name(before.admin_label == after.admin_label, "admin_label");
  name(before.subsystem_reset == after.subsystem_reset, "subsystem_reset");
  name(before.permanent_write_protection == after.permanent_write_protection, "permanent_write_protection");
  name(same_ana(before, after), "ana");
  return keys;
}

bool same_discovery(const Discovery& a, const Discovery& b) {
  return a.nqn == b.nqn && a.mdns == b.mdns && a.require_authentication == b.require_authentication &&
         std::ranges::equal(a.referrals, b.referrals, [](const Referral& x, const Referral& y) {
           return x.address == y.address && x.service == y.service && x.port_id == y.port_id;
         });
}

auto values(const Limits& limits) {
  return std::tie(limits.max_controllers, limits.max_controllers_per_host, limits.max_io_queues,
                  limits.max_io_queues_per_host, limits.max_new_controllers_per_s,
                  limits.max_new_controllers_per_s_per_host);
}

bool same_devices(const Rdma& a, const Rdma& b) {
  return std::equal(a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(),
                    [](const RdmaDevice& x, const RdmaDevice& y) {
                      return x.name == y.name && x.remote_invalidate == y.remote_invalidate && x.iwarp == y.iwarp;
                    });
}

void compare_fixed(const Config& running, const Config& wanted, Difference& difference) {
  const auto fixed = [&](bool same, const char* key) {
    if (!same) difference.needs_restart.push_back(std::string("\"") + key + "\" takes effect only after a restart");
  };
  const auto reactors = [](const Reactors& one) { return std::tie(one.cores, one.count, one.poll_us); };
  const auto rdma = [](const Rdma& one) {
    return std::tie(one.in_capsule_data_bytes, one.max_queue_depth, one.max_io_queues, one.mdts_bytes,
                    one.dram_pool_mib);
  };
  fixed(running.log_format == wanted.log_format, "log_format");
  const auto admin = [](const Admin& one) {
    return std::tie(one.socket, one.owner, one.group, one.mode, one.read_only_socket, one.read_only_group,
                    one.read_only_mode);
  };
  fixed(admin(running.admin) == admin(wanted.admin), "admin");
  fixed(running.state_dir == wanted.state_dir, "state_dir");
  fixed(running.metrics == wanted.metrics, "metrics");
  fixed(same_discovery(running.discovery, wanted.discovery), "discovery");
  fixed(reactors(running.reactors) == reactors(wanted.reactors), "reactors");
  fixed(rdma(running.rdma) == rdma(wanted.rdma) && same_devices(running.rdma, wanted.rdma), "rdma");
  for (const Subsystem& after : wanted.subsystems) {
    const Subsystem* before = find_subsystem(running, after.nqn);
    if (before != nullptr && (before->cntlid_min != after.cntlid_min || before->cntlid_max != after.cntlid_max))
      difference.needs_restart.push_back("\"cntlid_min\" and \"cntlid_max\" of subsystem " + after.nqn +
                                         " take effect only after a restart");
    if (before != nullptr && (before->serial != after.serial || before->model != after.model))
      difference.needs_restart.push_back(
          "\"serial\" and \"model\" of subsystem " + after.nqn +
          " take effect only after a restart: hosts refuse a subsystem that changes them");
  }
}

void compare_ports(const Config& running, const Config& wanted, Difference& difference) {
  for (const Port& port : running.ports)
    if (find_same_port(wanted, port) == nullptr) difference.ports_removed.push_back(&port);
  for (const Port& port : wanted.ports) {
    const Port* before = find_same_port(running, port);
    if (before == nullptr)
      difference.ports_added.push_back(&port);
    else if (before->dscp != port.dscp)
      difference.ports_changed.push_back(&port);
  }
}

void compare_namespaces(const Subsystem* before, const Subsystem* after, Difference& difference) {
  if (before != nullptr)
    for (const Namespace& space : before->namespaces)
      if (after == nullptr || find_namespace(*after, space.nsid) == nullptr)
        difference.namespaces_removed.push_back({before, &space, nullptr, false});
  if (after == nullptr) return;
  for (const Namespace& space : after->namespaces) {
    const Namespace* old = before != nullptr ? find_namespace(*before, space.nsid) : nullptr;
    if (old == nullptr)
      difference.namespaces_added.push_back({after, nullptr, &space, false});
    else if (identity(*old) != identity(space))
      difference.namespaces_changed.push_back({after, old, &space, false});
    else if (policies(*old) != policies(space))
      difference.namespaces_changed.push_back({after, old, &space, true});
  }
}

void compare_subsystems(const Config& running, const Config& wanted, Difference& difference) {
  for (const Subsystem& before : running.subsystems) {
    const Subsystem* after = find_subsystem(wanted, before.nqn);
    if (after == nullptr) difference.subsystems_removed.push_back(&before);
    compare_namespaces(&before, after, difference);
    if (after != nullptr && !changed_keys(before, *after).empty())
      difference.subsystems_changed.push_back({&before, after});
  }
  for (const Subsystem& after : wanted.subsystems) {
    if (find_subsystem(running, after.nqn) != nullptr) continue;
    difference.subsystems_added.push_back(&after);
    compare_namespaces(nullptr, &after, difference);
  }
}

std::string text_of(const Port& port) {
  return "port " + std::to_string(port.id) + " (" + port.address + ", service " + std::to_string(port.service) + ")";
}

std::string text_of(const Difference::NamespaceChange& change) {
  const Namespace& space = change.after != nullptr ? *change.after : *change.before;
  return "namespace " + std::to_string(space.nsid) + " of " + change.subsystem->nqn;
}

// «change namespace 1 of NQN: max_iops from 0 to 10»; values that are the same and keys that other lines name do not
// count.
template <class T>
std::string with_values(const std::string& line, const T& before, const T& after) {
  const std::string values = changes_between(values_of(before), values_of(after));
  return values.empty() ? line : line + ": " + values;
}

std::string text_of(const Difference::SubsystemChange& change) {
  return with_values("subsystem " + change.after->nqn, *change.before, *change.after);
}

// A line for each key of the config that changed, without the keys of ports and subsystems.
void describe_config(const Difference& difference, std::vector<std::string>& lines) {
  const Json before = values_of(*difference.before);
  const Json after = values_of(*difference.after);
  const auto add = [&](bool changed, const char* key) {
    if (!changed) return;
    const bool is_object = after.at(key).is_object();
    const std::string values =
        is_object ? changes_between(before.at(key), after.at(key))
                  : changes_between(Json::object({{key, before.at(key)}}), Json::object({{key, after.at(key)}}));
    lines.push_back("change " + (is_object ? key + (": " + values) : values));
  };
  add(difference.limits_changed, "limits");
  add(difference.log_level_changed, "log_level");
  add(difference.shutdown_timeout_changed, "shutdown_timeout_ms");
}

}  // namespace

Difference diff(const Config& running, const Config& wanted) {
  Difference difference;
  difference.before = &running;
  difference.after = &wanted;
  compare_fixed(running, wanted, difference);
  compare_ports(running, wanted, difference);
  compare_subsystems(running, wanted, difference);
  difference.limits_changed = values(running.limits) != values(wanted.limits);
  difference.log_level_changed = running.log_level != wanted.log_level;
  difference.shutdown_timeout_changed = running.shutdown_timeout_ms != wanted.shutdown_timeout_ms;
  return difference;
}

std::vector<std::string> describe(const Difference& difference) {
  std::vector<std::string> lines;
  for (const auto& change : difference.namespaces_removed) lines.push_back("remove " + text_of(change));
  for (const Subsystem* subsystem : difference.subsystems_removed)
    lines.push_back("remove subsystem " + subsystem->nqn);
  for (const Port* port : difference.ports_removed) lines.push_back("remove " + text_of(*port));
  for (const Port* port : difference.ports_added) lines.push_back("add " + text_of(*port));
  for (const Port* port : difference.ports_changed) lines.push_back("change " + text_of(*port) + ": dscp");
  for (const Subsystem* subsystem : difference.subsystems_added) lines.push_back("add subsystem " + subsystem->nqn);
  for (const auto& change : difference.subsystems_changed) lines.push_back("change " + text_of(change));
  for (const auto& change : difference.namespaces_changed)
    lines.push_back(
        with_values((change.same_device ? "change " : "replace ") + text_of(change), *change.before, *change.after));
  for (const auto& change : difference.namespaces_added) lines.push_back("add " + text_of(change));
  describe_config(difference, lines);
  return lines;
}

}  // namespace nvmf::config
