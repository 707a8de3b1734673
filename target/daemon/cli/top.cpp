#include "target/daemon/cli/top.h"

#include <algorithm>
#include <limits>
#include <map>

#include "target/daemon/cli/text.h"

namespace nvmf::cli {
namespace {

constexpr size_t kHistory = 120;
constexpr auto kRight = Table::Align::Right;
using Json = nlohmann::ordered_json;

uint64_t counter(const Json* space, const char* direction, const char* path, const char* what) {
  return space == nullptr ? 0 : space->at(direction).at(path).at(what).get<uint64_t>();
}

// Counters begin anew when the namespace was replaced.
double per_second(uint64_t before, uint64_t after, double elapsed_s) {
  return elapsed_s <= 0 || after < before ? 0 : static_cast<double>(after - before) / elapsed_s;
}

std::map<uint64_t, uint64_t> buckets_of(const Json* histogram) {
  std::map<uint64_t, uint64_t> buckets;
  if (histogram != nullptr)
    for (const Json& bucket : *histogram) buckets[bucket.at(0).get<uint64_t>()] = bucket.at(1).get<uint64_t>();
  return buckets;
}

// What `part` of all did not take longer than, as far as buckets can tell.
std::string quantile(const std::map<uint64_t, uint64_t>& buckets, uint64_t total, double part) {
  double counted = 0;
  for (const auto& [bound_ns, count] : buckets) {
    counted += static_cast<double>(count);
    const bool is_bounded = bound_ns != std::numeric_limits<uint64_t>::max();
    if (counted >= part * static_cast<double>(total))
      return is_bounded ? time_text(static_cast<double>(bound_ns)) : "ages";
  }
  return "-";
}

// The buckets of a namespace's latency from capsule to answer; null where nothing was counted.
const Json* histogram_of(const Json* space, const char* operation) {
  if (space == nullptr || !space->contains("latency")) return nullptr;
  const Json& histogram = space->at("latency").at("target").at(operation);
  return histogram.contains("buckets") ? &histogram.at("buckets") : nullptr;
}

std::string rate_cell(double bytes_per_s) {
  return bytes_per_s == 0 ? "-" : bytes_text(static_cast<uint64_t>(bytes_per_s)) + "/s";
}

std::string count_cell(double commands_per_s) { return commands_per_s == 0 ? "-" : count_text(commands_per_s); }

std::string first_lines(const std::string& text, size_t lines) {
  size_t end = 0;
  for (size_t line = 0; line < lines && end != std::string::npos; ++line) end = text.find('\n', end + (line != 0));
  return end == std::string::npos ? text : text.substr(0, end + 1);
}

}  // namespace

std::string latency_between(const Json* before, const Json* after) {
  std::map<uint64_t, uint64_t> buckets = buckets_of(after);
  for (const auto& [bound, count] : buckets_of(before)) {
    const auto now = buckets.find(bound);
    if (now != buckets.end()) now->second -= std::min(now->second, count);
  }
  uint64_t total = 0;
  for (const auto& [bound, count] : buckets) total += count;
  if (total == 0) return "-";
  return quantile(buckets, total, 0.5) + " / " + quantile(buckets, total, 0.99);
}

void Top::add(double seconds, const Json& stats, const Json& connections) {
  const double elapsed_s = seconds_ ? seconds - *seconds_ : 0;
  rows_.clear();
  double bytes_per_s = 0;
  for (const Json& space : stats.at("namespaces")) {
    rows_.push_back(row_of(space, find(stats_, space), elapsed_s));
    bytes_per_s += rows_.back().reads.bytes_per_s + rows_.back().writes.bytes_per_s;
  }
  if (seconds_) history_.push_back(bytes_per_s);
  if (history_.size() > kHistory) history_.erase(history_.begin());
  hosts_ = hosts_of(connections);
  connections_ = stats.at("connections").get<uint64_t>();
  stats_ = stats;
  seconds_ = seconds;
}

// The same namespace at the moment before; null when it was not there.
const Json* Top::find(const Json& stats, const Json& space) {
  if (!stats.contains("namespaces")) return nullptr;
  const Json& all = stats.at("namespaces");
  const auto found = std::find_if(all.begin(), all.end(), [&](const Json& one) {
    return one.at("subsystem") == space.at("subsystem") && one.at("nsid") == space.at("nsid");
  });
  return found == all.end() ? nullptr : &*found;
}

Top::Row Top::row_of(const Json& space, const Json* before, double elapsed_s) const {
  Row row{.subsystem = space.at("subsystem").get<std::string>(), .nsid = space.at("nsid").get<uint64_t>()};
  // A namespace that has just come has not moved all it counted since the last look.
  if (before == nullptr) elapsed_s = 0;
  const auto add = [&](const char* direction, const char* path, Rate& by_direction, Rate& by_path) {
    const auto rate = [&](const char* what) {
      return per_second(counter(before, direction, path, what), counter(&space, direction, path, what), elapsed_s);
    };
    for (Rate* sum : {&by_direction, &by_path}) {
      sum->commands_per_s += rate("commands");
      sum->bytes_per_s += rate("bytes");
    }
  };
  for (const auto& [path, sum] : {std::pair{"cmb", &row.cmb}, {"dram", &row.dram}, {"in_capsule", &row.in_capsule}}) {
    add("reads", path, row.reads, *sum);
    add("writes", path, row.writes, *sum);
  }
  if (before != nullptr) {
    row.read_latency = latency_between(histogram_of(before, "read"), histogram_of(&space, "read"));
    row.write_latency = latency_between(histogram_of(before, "write"), histogram_of(&space, "write"));
  }
  return row;
}

std::vector<Top::Host> Top::hosts_of(const Json& connections) {
  std::vector<Host> hosts;
  for (const Json& host : connections.at("hosts")) {
    Host one{.nqn = host.at("nqn").get<std::string>()};
    for (const Json& controller : host.at("controllers")) {
      one.address = controller.at("peer").get<std::string>();
      ++one.controllers;
      one.queues += controller.at("queues").size();
    }
    hosts.push_back(std::move(one));
  }
  return hosts;
}

std::string Top::head(size_t columns) const {
  Rate total;
  Rate cmb;
  Rate dram;
  Rate in_capsule;
  const auto add = [](Rate& sum, const Rate& part) {
    sum.commands_per_s += part.commands_per_s;
    sum.bytes_per_s += part.bytes_per_s;
  };
  for (const Row& row : rows_) {
    add(total, row.reads);
    add(total, row.writes);
    add(cmb, row.cmb);
    add(dram, row.dram);
    add(in_capsule, row.in_capsule);
  }
  std::string text = "nvmf-p2p  " + count_text(total.commands_per_s) + " IOPS  " +
                     bytes_text(static_cast<uint64_t>(total.bytes_per_s)) + "/s  hosts " +
                     std::to_string(hosts_.size()) + "  connections " + std::to_string(connections_) + "\n";
  text += "by path   CMB " + rate_cell(cmb.bytes_per_s) + "  DRAM " + rate_cell(dram.bytes_per_s) + "  in capsule " +
          rate_cell(in_capsule.bytes_per_s) + "\n";
  return text + sparkline(history_, columns == 0 ? kHistory : columns) + "\n\n";
}

std::string Top::text(size_t columns, size_t lines) const {
  struct Sum {
    Rate rate;
    size_t namespaces = 0;
  };
  std::map<std::string, Sum> subsystems;
  Table namespaces({{"SUBSYSTEM"},
                    {"NSID", kRight},
                    {"READ IOPS", kRight},
                    {"READ", kRight},
                    {"P50 / P99", kRight},
                    {"WRITE IOPS", kRight},
                    {"WRITE", kRight},
                    {"P50 / P99", kRight},
                    {"CMB", kRight},
                    {"DRAM", kRight}});
  for (const Row& row : rows_) {
    Sum& sum = subsystems[row.subsystem];
    sum.rate.commands_per_s += row.reads.commands_per_s + row.writes.commands_per_s;
    sum.rate.bytes_per_s += row.reads.bytes_per_s + row.writes.bytes_per_s;
    ++sum.namespaces;
    namespaces.add({row.subsystem, std::to_string(row.nsid), count_cell(row.reads.commands_per_s),
                    rate_cell(row.reads.bytes_per_s), row.read_latency, count_cell(row.writes.commands_per_s),
                    rate_cell(row.writes.bytes_per_s), row.write_latency, rate_cell(row.cmb.bytes_per_s),
                    rate_cell(row.dram.bytes_per_s)});
  }
  Table by_subsystem({{"SUBSYSTEM"}, {"NAMESPACES", kRight}, {"IOPS", kRight}, {"THROUGHPUT", kRight}});
  for (const auto& [nqn, sum] : subsystems)
    by_subsystem.add(
        {nqn, std::to_string(sum.namespaces), count_cell(sum.rate.commands_per_s), rate_cell(sum.rate.bytes_per_s)});
  Table hosts({{"HOST"}, {"ADDRESS"}, {"CONTROLLERS", kRight}, {"QUEUES", kRight}});
  for (const Host& host : hosts_)
    hosts.add({host.nqn, host.address, std::to_string(host.controllers), std::to_string(host.queues)});
  const std::string all = head(columns) + by_subsystem.text(columns) + "\n" + namespaces.text(columns) + "\n" +
                          (hosts.empty() ? "no host is connected\n" : hosts.text(columns));
  return lines == 0 ? all : first_lines(all, lines);
}

}  // namespace nvmf::cli
