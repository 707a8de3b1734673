#include "target/daemon/metrics.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <utility>

#include "target/core/subsystem/controller.h"
#include "target/daemon/exposition.h"

namespace nvmf::daemon {
namespace {

using core::Counter;
using core::IoCounters;
using Labels = Exposition::Labels;

Labels of(const NamespaceFigures& space) {
  return {{"subsystem", space.subsystem}, {"nsid", std::to_string(space.nsid)}};
}

Labels of(const NamespaceFigures& space, std::initializer_list<Labels::value_type> more) {
  Labels labels = of(space);
  labels.insert(labels.end(), more);
  return labels;
}

Labels of(const PollGroupFigures& group) { return {{"rdma_device", group.rdma_device}, {"thread", group.thread}}; }
Labels of(const CmbFigures& cmb) { return {{"ssd", cmb.ssd}, {"rdma_device", cmb.rdma_device}}; }
Labels of(const ReactorFigures& reactor) { return {{"reactor", std::to_string(reactor.index)}}; }

// A family with one sample for each of `all`.
template <class All, class Value>
void gauges(Exposition& out, const char* name, const char* help, const All& all, Value value) {
  out.gauge(name, help);
  for (const auto& one : all) out.sample(of(one), value(one));
}
template <class All, class Value>
void counters(Exposition& out, const char* name, const char* help, const All& all, Value value) {
  out.counter(name, help);
  for (const auto& one : all) out.sample(of(one), value(one));
}

// Kinds of command and statuses with count 0 have no sample.
void write_commands(Exposition& out, const Labels& labels, const core::CommandCounters& counters) {
  for (size_t kind = 0; kind < core::kCommandKinds; ++kind) {
    const uint64_t answered = counters.answered[kind].get();
    if (answered == 0) continue;
    Labels with_status = labels;
    with_status.emplace_back("command", core::name_of(static_cast<core::CommandKind>(kind)));
    with_status.emplace_back("status", "");
    uint64_t failed = 0;
    for (size_t failure = 0; failure < core::kFailures; ++failure) {
      const uint64_t these = counters.failed[kind][failure].get();
      if (these == 0) continue;
      with_status.back().second = core::name_of(static_cast<core::Failure>(failure));
      out.sample(with_status, these);
      failed += these;
    }
    with_status.back().second = "success";
    out.sample(with_status, answered - std::min(answered, failed));
  }
}

using Way = Counter core::PathCounters::*;

void write_paths(Exposition& out, const NamespaceFigures& space, Way counted) {
  const IoCounters& counters = *space.counters;
  for (size_t path = 0; path < core::kDataPaths; ++path) {
    const char* const name = core::name_of(static_cast<core::DataPath>(path));
    out.sample(of(space, {{"direction", "read"}, {"path", name}}), (counters.reads[path].*counted).get());
    out.sample(of(space, {{"direction", "write"}, {"path", name}}), (counters.writes[path].*counted).get());
  }
}

void write_fallbacks(Exposition& out, const NamespaceFigures& space, Way counted) {
  for (size_t reason = 1; reason < core::kFallbacks; ++reason)
    out.sample(of(space, {{"reason", core::name_of(static_cast<core::Fallback>(reason))}}),
               (space.counters->fallbacks[reason].*counted).get());
}

template <class Histograms>
void write_operations(Exposition& out, const NamespaceFigures& space, const Histograms& histograms) {
  for (size_t i = 0; i < histograms.size(); ++i)
    out.sample(of(space, {{"operation", core::name_of(static_cast<core::Operation>(i))}}), histograms[i]);
}

using WriteNamespace = void (*)(Exposition& out, const NamespaceFigures& space);

// The families with a sample, or some, for each namespace.
struct NamespaceFamily {
  void (Exposition::*begin)(std::string_view name, std::string_view help);
  const char* name;
  const char* help;
  WriteNamespace write;
};

constexpr std::array<NamespaceFamily, 11> kNamespaceFamilies = {{
    {&Exposition::gauge, "nvmf_namespace_info",
     "Always 1: a namespace in service, with its device, its p2p mode, and the SSD whose CMB it uses.",
     [](Exposition& out, const NamespaceFigures& one) {
       out.sample(of(one, {{"device", one.device}, {"p2p", one.p2p}, {"provider", one.provider}}), 1);
     }},
    {&Exposition::counter, "nvmf_commands_total", "Commands answered, by kind and status.",
     [](Exposition& out, const NamespaceFigures& one) { write_commands(out, of(one), one.counters->commands); }},
    {&Exposition::counter, "nvmf_data_bytes_total", "Data of successful commands, by direction and data path.",
     [](Exposition& out, const NamespaceFigures& one) { write_paths(out, one, &core::PathCounters::bytes); }},
    {&Exposition::counter, "nvmf_data_commands_total", "Successful commands with data, by direction and data path.",
     [](Exposition& out, const NamespaceFigures& one) { write_paths(out, one, &core::PathCounters::commands); }},
    {&Exposition::counter, "nvmf_p2p_fallback_commands_total", "Commands whose data fell back to DRAM, by reason.",
     [](Exposition& out, const NamespaceFigures& one) { write_fallbacks(out, one, &core::PathCounters::commands); }},
    {&Exposition::counter, "nvmf_p2p_fallback_bytes_total", "Data that fell back to DRAM, by reason.",
     [](Exposition& out, const NamespaceFigures& one) { write_fallbacks(out, one, &core::PathCounters::bytes); }},
    {&Exposition::counter, "nvmf_buffer_waits_total", "Commands that waited for a buffer.",
     [](Exposition& out, const NamespaceFigures& one) { out.sample(of(one), one.counters->waits.get()); }},
    {&Exposition::counter, "nvmf_throttled_commands_total",
     "Commands that waited because their namespace reached its limit.",
     [](Exposition& out, const NamespaceFigures& one) { out.sample(of(one), one.counters->throttled.get()); }},
    {&Exposition::histogram, "nvmf_command_duration_seconds", "Time from the capsule's arrival to the answer.",
     [](Exposition& out, const NamespaceFigures& one) { write_operations(out, one, one.counters->latency.target); }},
    {&Exposition::histogram, "nvmf_device_duration_seconds",
     "Time from the start of the command's execution, when its data has arrived, to the answer.",
     [](Exposition& out, const NamespaceFigures& one) { write_operations(out, one, one.counters->latency.device); }},
    {&Exposition::histogram, "nvmf_rdma_duration_seconds",
     "Time of transfers between host and target: RDMA READs, and answers with data. Left out are answers whose "
     "completion the reactor did not see at once, because it slept.",
     [](Exposition& out, const NamespaceFigures& one) {
       for (size_t i = 0; i < core::kRdmaDirections; ++i)
         out.sample(of(one, {{"direction", core::name_of(static_cast<core::RdmaDirection>(i))}}),
                    one.counters->latency.rdma[i]);
     }},
}};

// The families grow side by side, because the samples of each must stand together in the text.
class NamespaceText {
 public:
  NamespaceText() {
    for (size_t i = 0; i < kNamespaceFamilies.size(); ++i)
      (families_[i].*kNamespaceFamilies[i].begin)(kNamespaceFamilies[i].name, kNamespaceFamilies[i].help);
  }
  void add(const NamespaceFigures& space) {
    for (size_t i = 0; i < kNamespaceFamilies.size(); ++i) kNamespaceFamilies[i].write(families_[i], space);
  }
  void append_to(std::string& text) const {
    for (const Exposition& family : families_) text += family.text();
  }

 private:
  std::array<Exposition, kNamespaceFamilies.size()> families_;
};

void write_poll_groups(Exposition& out, const std::vector<PollGroupFigures>& groups) {
  gauges(out, "nvmf_queues", "Connected queues of each thread; the control thread has the admin queues.", groups,
         [](const auto& one) { return one.queues; });
  gauges(out, "nvmf_commands_in_flight",
         "Commands in flight: from the capsule's arrival to the completion of the answer.", groups,
         [](const auto& one) { return one.commands_in_flight; });
  gauges(out, "nvmf_dram_pool_bytes", "DRAM for user data.", groups, [](const auto& one) { return one.dram_bytes; });
  gauges(out, "nvmf_dram_pool_used_bytes", "DRAM for user data that commands use.", groups,
         [](const auto& one) { return one.dram_used_bytes; });
  out.counter("nvmf_other_commands_total",
              "Answered commands that concern no namespace: admin and Fabrics commands, and invalid ones.");
  for (const auto& one : groups) write_commands(out, of(one), *one.other_commands);
}

using TrafficByHost = std::map<std::string, core::TrafficCounters>;

// By the name in labels.
TrafficByHost by_label(const std::vector<HostFigures>& hosts) {
  TrafficByHost all;
  for (const HostFigures& host : hosts) core::add(all[Exposition::printable(host.nqn)], *host.traffic);
  return all;
}

template <class Value>
void write_traffic(Exposition& out, const char* name, const char* help, const TrafficByHost& hosts, Value value) {
  out.counter(name, help);
  for (const auto& [host, traffic] : hosts) {
    for (size_t path = 0; path < core::kDataPaths; ++path) {
      const char* const way = core::name_of(static_cast<core::DataPath>(path));
      out.sample({{"host", host}, {"direction", "read"}, {"path", way}}, value(traffic.reads[path]));
      out.sample({{"host", host}, {"direction", "write"}, {"path", way}}, value(traffic.writes[path]));
    }
  }
}

void write_host_traffic(Exposition& out, const std::vector<HostFigures>& figures) {
  const TrafficByHost hosts = by_label(figures);
  write_traffic(out, "nvmf_host_data_bytes_total", "Data of a host's successful commands, by direction and data path.",
                hosts, [](const auto& one) { return one.bytes.get(); });
  write_traffic(out, "nvmf_host_data_commands_total",
                "A host's successful commands with data, by direction and data path.", hosts,
                [](const auto& one) { return one.latency.count(); });
  out.counter("nvmf_host_over_share_commands_total",
              "A host's commands that found its share of a buffer pool used up, and waited or took DRAM.");
  for (const auto& [host, traffic] : hosts) out.sample({{"host", host}}, traffic.over_share.get());
}

struct HostOnSubsystem {
  uint64_t controllers = 0;
  uint64_t io_queues = 0;
};

void write_hosts(Exposition& out, const core::Target& target) {
  std::map<std::pair<std::string, std::string>, HostOnSubsystem> hosts;
  out.gauge("nvmf_controllers", "Controllers of a subsystem: one for each path of each host (multipath).");
  for (const auto& subsystem : target.subsystems()) {
    out.sample({{"subsystem", subsystem->nqn()}}, subsystem->controllers().size());
    for (const auto& controller : subsystem->controllers()) {
      HostOnSubsystem& host = hosts[{subsystem->nqn(), Exposition::printable(controller->host().nqn)}];
      ++host.controllers;
      host.io_queues += controller->io_queue_count();
    }
  }
  const auto labels = [](const auto& host) {
    return Labels{{"subsystem", host.first.first}, {"host", host.first.second}};
  };
  out.gauge("nvmf_host_controllers", "Controllers of a connected host.");
  for (const auto& host : hosts) out.sample(labels(host), host.second.controllers);
  out.gauge("nvmf_host_io_queues", "I/O queues of a connected host.");
  for (const auto& host : hosts) out.sample(labels(host), host.second.io_queues);
}

void write_connections(Exposition& out, const Figures& figures) {
  const core::TargetCounters& target = figures.target->counters;
  const rdma::TransportCounters& transport = figures.transport;
  out.gauge("nvmf_connections", "Connections of queues, including those that are being closed.");
  out.sample({}, figures.connections);
  out.counter("nvmf_connections_accepted_total", "Connections of queues that were accepted.");
  out.sample({}, transport.accepted);
  out.counter("nvmf_connections_failed_total", "Connections that ended with an error of their queue pair.");
  out.sample({}, transport.failed);
  out.counter("nvmf_connections_stalled_total",
              "Failed connections that the target ended because the host did not take its answers, by cause.");
  for (size_t cause = 0; cause < rdma::kStalls; ++cause)
    out.sample({{"cause", name_of(static_cast<rdma::Stall>(cause))}}, transport.stalled[cause]);
  out.counter(
      "nvmf_unflushed_commands_total",
      "Commands of failed connections whose work an RNIC did not complete in time, and which ended without it.");
  out.sample({}, transport.unflushed);
  out.counter("nvmf_connections_rejected_total", "Connections refused, by RDMA-CM status.");
  for (size_t status = 1; status < transport.rejected.size(); ++status)
    out.sample({{"status", std::to_string(status)}}, transport.rejected[status]);
  out.counter("nvmf_controllers_made_total", "Controllers created for hosts, discovery controllers included.");
  out.sample({}, target.controllers_made);
  out.counter("nvmf_connects_refused_total", "Connect commands refused, by reason.");
  for (size_t reason = 0; reason < core::kConnectRefusals; ++reason)
    out.sample({{"reason", core::name_of(static_cast<core::ConnectRefusal>(reason))}}, target.refused_connects[reason]);
  out.counter("nvmf_authentications_total", "Queues whose hosts have authenticated.");
  out.sample({}, target.authentications);
  out.counter("nvmf_authentication_failures_total", "Authentications of queues that failed, by reason.");
  for (size_t reason = 0; reason < target.failed_authentications.size(); ++reason)
    out.sample({{"reason", core::name_of(static_cast<core::AuthenticationFailure>(reason))}},
               target.failed_authentications[reason]);
  out.counter("nvmf_keep_alive_expiries_total", "Controllers that ended because their keep-alive time expired.");
  out.sample({}, target.keep_alive_expiries);
}

void write_health(Exposition& out, const HealthFigures& health) {
  out.gauge("nvmf_port_state", "1 for the state that a port has, 0 for the others.");
  for (const PortFigures& port : health.ports)
    for (const char* const state : kPortStates)
      out.sample({{"port", std::to_string(port.id)}, {"address", port.address}, {"state", state}},
                 port.state == state ? 1 : 0);
  out.gauge("nvmf_missing_namespaces", "Namespaces of the config that are not served.");
  out.sample({}, health.missing_namespaces);
  out.gauge("nvmf_unsaved_changes", "Changes of the running config that the config file does not have.");
  out.sample({}, health.unsaved_changes);
  out.gauge("nvmf_last_reload_success", "Whether the last reload was applied (1) or refused (0).");
  if (health.reload_succeeded) out.sample({}, *health.reload_succeeded ? 1 : 0);
  out.gauge("nvmf_last_reload_timestamp_seconds", "When the last reload ended.");
  if (health.reload_succeeded) out.sample({}, health.reload_time_s);
  out.gauge("nvmf_state_dir_fault", "1 when nothing can be written to the state directory, otherwise 0.");
  out.sample({}, health.state_dir_fault.empty() ? 0 : 1);
  out.gauge("nvmf_unsaved_identifiers", "Namespaces whose identifiers could not be saved in the state directory.");
  out.sample({}, health.unsaved_identifiers);
  out.gauge("nvmf_displaced_namespaces", "Namespaces whose file was removed or replaced while it was in use.");
  out.sample({}, health.displaced_namespaces);
  out.gauge("nvmf_unreadable_keys", "Key files of hosts that could not be read when they were read last.");
  out.sample({}, health.unreadable_keys);
  out.counter("nvmf_state_changes_refused_total",
              "Changes of hosts that were refused, because they could not be saved in the state directory.");
  for (size_t state = 0; state < kHostStates; ++state)
    out.sample({{"state", name_of(static_cast<HostState>(state))}}, health.refused_state[state]);
}

void write_reactors(Exposition& out, const std::vector<ReactorFigures>& reactors) {
  out.counter("nvmf_reactor_cpu_seconds_total", "CPU time of a reactor's thread.");
  for (const auto& one : reactors) out.seconds(of(one), one.cpu_ns);
  out.counter("nvmf_reactor_idle_poll_seconds_total", "Time that a reactor looked for work and found none.");
  for (const auto& one : reactors) out.seconds(of(one), one.polled_in_vain_us * 1000);
  counters(out, "nvmf_reactor_turns_total", "Turns of a reactor's loop.", reactors,
           [](const auto& one) { return one.turns; });
  counters(out, "nvmf_reactor_sleeps_total", "Times that a reactor slept.", reactors,
           [](const auto& one) { return one.sleeps; });
}

void write_cmbs(Exposition& out, const std::vector<CmbFigures>& cmbs) {
  gauges(out, "nvmf_cmb_bytes", "Size of a CMB's part for user data.", cmbs, [](const auto& one) { return one.bytes; });
  gauges(out, "nvmf_cmb_used_bytes", "Memory of a CMB that commands use.", cmbs,
         [](const auto& one) { return one.used_bytes; });
}

void write_build(Exposition& out) {
  out.gauge("nvmf_build_info", "Always 1: the daemon's version.");
  out.sample({{"version", NVMF_P2P_VERSION}}, 1);
}

// All but the namespaces, in pieces. Poll groups may be gone after the first.
using WritePiece = void (*)(Exposition& out, const Figures& figures);
constexpr std::array<WritePiece, 4> kPieces = {{
    [](Exposition& out, const Figures& figures) {
      write_build(out);
      write_poll_groups(out, figures.poll_groups);
      write_cmbs(out, figures.cmbs);
      write_reactors(out, figures.reactors);
      write_health(out, figures.health);
    },
    write_connections,
    [](Exposition& out, const Figures& figures) { write_hosts(out, *figures.target); },
    [](Exposition& out, const Figures& figures) { write_host_traffic(out, figures.hosts); },
}};

}  // namespace

boost::asio::awaitable<std::string> metrics_text(Figures figures, std::vector<NamespaceSource> namespaces,
                                                 SliceClock now) {
  Slices slices(now);
  Exposition all_but_namespaces;
  for (const WritePiece write : kPieces) {
    write(all_but_namespaces, figures);
    if (slices.is_over()) co_await slices.next();
  }
  NamespaceText spaces;
  const auto add = [&](size_t i) {
    if (const auto space = namespaces[i]()) spaces.add(*space);
  };
  co_await in_slices(namespaces.size(), add, std::move(now));
  std::string text = all_but_namespaces.text();
  spaces.append_to(text);
  co_return text;
}

}  // namespace nvmf::daemon
