#include "target/daemon/cli/top.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <limits>
#include <utility>

#include "target/daemon/cli/text.h"

namespace nvmf::cli {
namespace {

constexpr size_t kHistory = 120;
constexpr auto kRight = Table::Align::Right;
using Json = nlohmann::ordered_json;

// Counters restart from 0 when the namespace was replaced.
double per_second(uint64_t before, uint64_t after, double elapsed_s) {
  return elapsed_s <= 0 || after < before ? 0 : static_cast<double>(after - before) / elapsed_s;
}

LatencyBuckets buckets_of(const Json* histogram) {
  LatencyBuckets buckets;
  if (histogram != nullptr)
    for (const Json& bucket : *histogram) buckets[bucket.at(0).get<uint64_t>()] = bucket.at(1).get<uint64_t>();
  return buckets;
}

// The latency that the fraction `part` of all commands did not exceed, as far as the buckets tell.
std::string quantile(const LatencyBuckets& buckets, uint64_t total, double part) {
  double counted = 0;
  for (const auto& [bound_ns, count] : buckets) {
    counted += static_cast<double>(count);
    const bool is_bounded = bound_ns != std::numeric_limits<uint64_t>::max();
    if (counted >= part * static_cast<double>(total))
      return is_bounded ? time_text(static_cast<double>(bound_ns)) : "ages";
  }
  return "-";
}

void merge(LatencyBuckets& total, const LatencyBuckets& part) {
  for (const auto& [bound_ns, count] : part) total[bound_ns] += count;
}

// Null where nothing was counted.
const Json* buckets_in(const Json& latency) { return latency.contains("buckets") ? &latency.at("buckets") : nullptr; }

// The latency of a namespace from capsule to answer.
const Json* latency_of(const Json& space, const char* operation) {
  return space.contains("latency") ? buckets_in(space.at("latency").at("target").at(operation)) : nullptr;
}

// The element of `all` with the same values under `keys`; null when there is none.
const Json* find_same(const Json& stats, const char* all, const Json& wanted, std::initializer_list<const char*> keys) {
  if (!stats.contains(all)) return nullptr;
  const Json& list = stats.at(all);
  const auto found = std::ranges::find_if(list, [&](const Json& one) {
    return std::ranges::all_of(keys, [&](const char* key) { return one.at(key) == wanted.at(key); });
  });
  return found == list.end() ? nullptr : &*found;
}

std::string rate_cell(double bytes_per_s) {
  return bytes_per_s == 0 ? "-" : bytes_text(static_cast<uint64_t>(bytes_per_s)) + "/s";
}

std::string count_cell(double commands_per_s) { return commands_per_s == 0 ? "-" : count_text(commands_per_s); }

std::string share_cell(double part, double all) {
  return all == 0 ? "-" : std::to_string(std::lround(100 * part / all)) + " %";
}

// All rows are in one table, so that the columns of all groups are aligned; a group begins with a row of headings.
Table table_of_groups() {
  return Table({{"PATH"},
                {"", kRight},
                {"IOPS", kRight},
                {"READ", kRight},
                {"P50/P99", kRight},
                {"WRITE", kRight},
                {"P50/P99", kRight},
                {"BY CMB", kRight}});
}

void begin_group(Table& table, const char* name, const char* count) {
  table.add({"", "", "", "", "", "", "", ""});
  table.add({name, count, "", "", "", "", "", ""});
}

std::string first_lines(const std::string& text, size_t lines) {
  size_t end = 0;
  for (size_t line = 0; line < lines && end != std::string::npos; ++line)
    end = text.find('\n', end + (line != 0 ? 1 : 0));
  return end == std::string::npos ? text : text.substr(0, end + 1);
}

}  // namespace

LatencyBuckets latency_between(const Json* before, const Json* after) {
  LatencyBuckets buckets = buckets_of(after);
  for (const auto& [bound, count] : buckets_of(before)) {
    const auto now = buckets.find(bound);
    if (now != buckets.end()) now->second -= std::min(now->second, count);
  }
  return buckets;
}

std::string percentiles_text(const LatencyBuckets& latency) {
  uint64_t total = 0;
  for (const auto& [bound, count] : latency) total += count;
  if (total == 0) return "-";
  std::string median = quantile(latency, total, 0.5);
  const std::string slowest = quantile(latency, total, 0.99);
  const size_t unit = median.find(' ');
  if (unit != std::string::npos && slowest.ends_with(median.substr(unit))) median.resize(unit);
  return median + "/" + slowest;
}

Top::Flow& Top::Flow::operator+=(const Flow& other) {
  commands_per_s += other.commands_per_s;
  bytes_per_s += other.bytes_per_s;
  merge(latency, other.latency);
  return *this;
}

Top::Traffic& Top::Traffic::operator+=(const Traffic& other) {
  reads += other.reads;
  writes += other.writes;
  cmb_bytes_per_s += other.cmb_bytes_per_s;
  return *this;
}

void Top::add(double seconds, const Json& stats, const Json& connections) {
  const double elapsed_s = seconds_ ? seconds - *seconds_ : 0;
  add_namespaces(stats, elapsed_s);
  add_hosts(stats, connections, elapsed_s);
  double bytes_per_s = 0;
  for (const Subsystem& subsystem : subsystems_) bytes_per_s += subsystem.traffic.bytes_per_s();
  if (seconds_) history_.push_back(bytes_per_s);
  if (history_.size() > kHistory) history_.erase(history_.begin());
  connections_ = stats.at("connections").get<uint64_t>();
  stats_ = stats;
  seconds_ = seconds;
}

// The flow of one path, with its latency where that is counted by path.
Top::Traffic Top::traffic_of(const Json* before, const Json& after, const char* path, double elapsed_s) {
  const auto flow = [&](const char* direction) {
    const Json& now = after.at(direction).at(path);
    const Json* then = before == nullptr ? nullptr : &before->at(direction).at(path);
    const auto rate = [&](const char* what) {
      return per_second(then == nullptr ? 0 : then->at(what).get<uint64_t>(), now.at(what).get<uint64_t>(), elapsed_s);
    };
    Flow one{.commands_per_s = rate("commands"), .bytes_per_s = rate("bytes")};
    if (elapsed_s > 0 && now.contains("latency"))
      one.latency =
          latency_between(then == nullptr ? nullptr : buckets_in(then->at("latency")), buckets_in(now.at("latency")));
    return one;
  };
  Traffic traffic{.reads = flow("reads"), .writes = flow("writes")};
  if (std::string(path) == "cmb") traffic.cmb_bytes_per_s = traffic.bytes_per_s();
  return traffic;
}

// A namespace that is new since the last update is shown without traffic: its counters are older than one interval.
void Top::add_namespaces(const Json& stats, double elapsed_s) {
  subsystems_.clear();
  namespaces_.clear();
  for (const Json& space : stats.at("namespaces")) {
    Namespace one{.subsystem = space.at("subsystem").get<std::string>(), .nsid = space.at("nsid").get<uint64_t>()};
    if (const Json* before = find_same(stats_, "namespaces", space, {"subsystem", "nsid"})) {
      for (const char* const path : {"cmb", "dram", "in_capsule", "direct"})
        one.traffic += traffic_of(before, space, path, elapsed_s);
      one.traffic.reads.latency = latency_between(latency_of(*before, "read"), latency_of(space, "read"));
      one.traffic.writes.latency = latency_between(latency_of(*before, "write"), latency_of(space, "write"));
    }
    auto subsystem = std::ranges::find(subsystems_, one.subsystem, &Subsystem::nqn);
    if (subsystem == subsystems_.end())
      subsystem = subsystems_.insert(subsystems_.end(), Subsystem{.nqn = one.subsystem});
    ++subsystem->namespaces;
    subsystem->traffic += one.traffic;
    namespaces_.push_back(std::move(one));
  }
}

// Shows the connected hosts; the paths are sums over all hosts.
void Top::add_hosts(const Json& stats, const Json& connections, double elapsed_s) {
  hosts_.clear();
  paths_ = {{"cmb", "CMB"}, {"dram", "DRAM"}, {"in_capsule", "in capsule"}, {"direct", "direct"}};
  std::map<std::string, Traffic> moved;
  for (const Json& host : stats.at("hosts")) {
    const Json* const before = find_same(stats_, "hosts", host, {"nqn"});
    for (Path& path : paths_) {
      const Traffic part = traffic_of(before, host, path.key, elapsed_s);
      moved[host.at("nqn").get<std::string>()] += part;
      path.traffic += part;
    }
  }
  for (const Json& host : connections.at("hosts")) {
    Host one{.nqn = host.at("nqn").get<std::string>()};
    for (const Json& controller : host.at("controllers")) one.queues += controller.at("queues").size();
    if (const auto found = moved.find(one.nqn); found != moved.end()) one.traffic = std::move(found->second);
    hosts_.push_back(std::move(one));
  }
  std::ranges::stable_sort(hosts_, std::ranges::greater{}, [](const Host& host) { return host.traffic.bytes_per_s(); });
}

std::string Top::head(size_t columns) const {
  Traffic total;
  for (const Subsystem& subsystem : subsystems_) total += subsystem.traffic;
  return "nvmf-p2p  " + count_text(total.commands_per_s()) + " IOPS  " +
         bytes_text(static_cast<uint64_t>(total.bytes_per_s())) + "/s  hosts " + std::to_string(hosts_.size()) +
         "  connections " + std::to_string(connections_) + "\n" +
         sparkline(history_, columns == 0 ? kHistory : columns) + "\n\n";
}

std::vector<std::string> Top::row_of(const std::string& name, const std::string& count, const Traffic& traffic) {
  return {name,
          count,
          count_cell(traffic.commands_per_s()),
          rate_cell(traffic.reads.bytes_per_s),
          percentiles_text(traffic.reads.latency),
          rate_cell(traffic.writes.bytes_per_s),
          percentiles_text(traffic.writes.latency),
          share_cell(traffic.cmb_bytes_per_s, traffic.bytes_per_s())};
}

std::string Top::text(size_t columns, size_t lines) const {
  Table table = table_of_groups();
  for (const Path& one : paths_) table.add(row_of(one.name, "", one.traffic));
  begin_group(table, "SUBSYSTEM", "NAMESPACES");
  for (const Subsystem& one : subsystems_) table.add(row_of(one.nqn, std::to_string(one.namespaces), one.traffic));
  begin_group(table, "NAMESPACE OF", "NSID");
  for (const Namespace& one : namespaces_) table.add(row_of(one.subsystem, std::to_string(one.nsid), one.traffic));
  begin_group(table, "HOST", "QUEUES");
  for (const Host& one : hosts_) table.add(row_of(one.nqn, std::to_string(one.queues), one.traffic));
  const std::string all = head(columns) + table.text(columns) + (hosts_.empty() ? "no host is connected\n" : "");
  return lines == 0 ? all : first_lines(all, lines);
}

}  // namespace nvmf::cli
