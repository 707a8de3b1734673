#include "target/daemon/page_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace nvmf::daemon {
namespace {

using nlohmann::json;

std::string cut(const std::string& text) {
  return text.size() <= kMostReportedBytes ? text : text.substr(0, kMostReportedBytes) + "...";
}

uint64_t bytes_of(const std::vector<FlowsOnRnic>& all) {
  uint64_t bytes = 0;
  for (const FlowsOnRnic& flows : all)
    for (const Flow& flow : flows.paths) bytes += flow.read_bytes + flow.write_bytes;
  return bytes;
}

void add_up(std::vector<FlowsOnRnic>& total, const std::vector<FlowsOnRnic>& part) {
  for (const FlowsOnRnic& flows : part) {
    auto same = std::ranges::find(total, flows.rdma_device, &FlowsOnRnic::rdma_device);
    if (same == total.end()) same = total.insert(total.end(), FlowsOnRnic{.rdma_device = flows.rdma_device});
    for (size_t path = 0; path < core::kDataPaths; ++path) {
      same->paths[path].read_bytes += flows.paths[path].read_bytes;
      same->paths[path].write_bytes += flows.paths[path].write_bytes;
      same->paths[path].commands += flows.paths[path].commands;
    }
  }
}

json flows_report(const std::vector<FlowsOnRnic>& all) {
  json list = json::array();
  for (const FlowsOnRnic& flows : all) {
    json one = {{"rdma_device", flows.rdma_device}};
    for (size_t path = 0; path < core::kDataPaths; ++path) {
      const Flow& flow = flows.paths[path];
      one[core::name_of(static_cast<core::DataPath>(path))] = {flow.read_bytes, flow.write_bytes, flow.commands};
    }
    list.push_back(std::move(one));
  }
  return list;
}

json report_of(const PicturedStorage& storage, size_t count) {
  return {{"name", cut(storage.name)},
          {"kind", storage.kind},
          {"model", cut(storage.model)},
          {"provider", storage.provider},
          {"namespaces", storage.namespaces},
          {"cmb_bytes", storage.cmb_bytes},
          {"cmb_used_bytes", storage.cmb_used_bytes},
          {"count", count},
          {"on_rnics", flows_report(storage.on_rnics)}};
}

json report_of(const PicturedHost& host, size_t count) {
  return {
      {"nqn", host.nqn}, {"io_queues", host.io_queues}, {"count", count}, {"on_rnics", flows_report(host.on_rnics)}};
}

void take(PicturedStorage& rest, const PicturedStorage& one) {
  rest.namespaces += one.namespaces;
  rest.cmb_bytes += one.cmb_bytes;
  rest.cmb_used_bytes += one.cmb_used_bytes;
  if (rest.provider.empty()) rest.provider = one.provider;
  add_up(rest.on_rnics, one.on_rnics);
}

void take(PicturedHost& rest, const PicturedHost& one) {
  rest.io_queues += one.io_queues;
  add_up(rest.on_rnics, one.on_rnics);
}

// Those with the most data, in their order; the others are one entry at the end, which has no name.
template <class Part>
json bounded(const std::vector<Part>& parts, size_t most, Part rest) {
  std::vector<std::pair<uint64_t, size_t>> by_bytes;
  for (size_t i = 0; i < parts.size(); ++i) by_bytes.emplace_back(bytes_of(parts[i].on_rnics), i);
  std::ranges::stable_sort(by_bytes, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<bool> is_shown(parts.size(), parts.size() <= most);
  for (size_t rank = 0; rank < std::min(most, by_bytes.size()); ++rank) is_shown[by_bytes[rank].second] = true;
  json list = json::array();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (is_shown[i])
      list.push_back(report_of(parts[i], 1));
    else
      take(rest, parts[i]);
  }
  if (parts.size() > most) list.push_back(report_of(rest, parts.size() - most));
  return list;
}

json problems_report(const std::vector<Problem>& problems) {
  json list = json::array();
  for (size_t i = 0; i < std::min(problems.size(), kMostReportedProblems); ++i)
    list.push_back({{"weight", problems[i].weight == Problem::Weight::Fault ? "fault" : "note"},
                    {"what", cut(problems[i].what)},
                    {"remedy", cut(problems[i].remedy)}});
  return list;
}

json ports_report(const std::vector<PortFigures>& ports) {
  json list = json::array();
  for (size_t i = 0; i < std::min(ports.size(), kMostReportedProblems); ++i)
    list.push_back({{"id", ports[i].id}, {"address", ports[i].address}, {"state", ports[i].state}});
  return list;
}

json microseconds(const std::optional<uint64_t>& ns) {
  return ns ? json(static_cast<double>(*ns / 100) / 10) : json(nullptr);
}

json latency_report(const History& history, History::Latency History::Point::*direction) {
  json p50 = json::array();
  json p99 = json::array();
  json p999 = json::array();
  for (const History::Point& point : history.points()) {
    p50.push_back(microseconds((point.*direction).p50_ns));
    p99.push_back(microseconds((point.*direction).p99_ns));
    p999.push_back(microseconds((point.*direction).p999_ns));
  }
  return {{"p50_us", std::move(p50)}, {"p99_us", std::move(p99)}, {"p999_us", std::move(p999)}};
}

json history_report(const History& history) {
  json bytes = json::object();
  for (size_t path = 0; path < core::kDataPaths; ++path) {
    json& list = bytes[core::name_of(static_cast<core::DataPath>(path))] = json::array();
    for (const History::Point& point : history.points()) list.push_back(point.bytes_per_s[path]);
  }
  return {{"interval_s", History::kInterval.count()},
          {"reads", latency_report(history, &History::Point::reads)},
          {"writes", latency_report(history, &History::Point::writes)},
          {"bytes_per_s", std::move(bytes)}};
}

}  // namespace

std::string page_report(PageContent content) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(content.now.time_since_epoch());
  for (std::string& reason : content.unready) reason = cut(reason);
  if (content.unready.size() > kMostReportedProblems) content.unready.resize(kMostReportedProblems);
  const json report = {
      {"version", NVMF_P2P_VERSION},
      {"uptime_s", content.uptime.count()},
      {"now_ms", now.count()},
      {"unready", std::move(content.unready)},
      {"problems", problems_report(content.problems)},
      {"more_problems", content.problems.size() - std::min(content.problems.size(), kMostReportedProblems)},
      {"ports", ports_report(content.ports)},
      {"rdma_devices", std::move(content.picture.rdma_devices)},
      {"storages", bounded(content.picture.storages, kMostPicturedStorages, PicturedStorage{.name = "", .kind = ""})},
      {"hosts", bounded(content.picture.hosts, kMostPicturedHosts, PicturedHost{.nqn = ""})},
      {"history", history_report(*content.history)}};
  // Texts of hosts and of the machine may not be UTF-8, and a text may have been cut within a character.
  return report.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

const std::string& FreshReport::at(Clock::time_point now) {
  if (!made_ || now - *made_ >= kFresh) {
    report_ = make_();
    made_ = now;
  }
  return report_;
}

}  // namespace nvmf::daemon
