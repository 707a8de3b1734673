// What `top` shows, computed from the daemon's counters at two moments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace nvmf::cli {

// How long commands took: the number of commands by upper bound of their time, in nanoseconds.
using LatencyBuckets = std::map<uint64_t, uint64_t>;

// NOLINTNEXTLINE(bugprone-exception-escape): of the JSON, whose destructor throws nothing
class Top {
 public:
  using Json = nlohmann::ordered_json;

  // What the daemon answered at `seconds`, of a clock that only goes forward: GET /v1/stats and GET /v1/connections.
  void add(double seconds, const Json& stats, const Json& connections);

  // At most `lines` lines (0: any) of at most `columns` characters (0: any). Before the second add(): all zero.
  std::string text(size_t columns, size_t lines) const;

 private:
  // The traffic in one direction between two updates.
  struct Flow {
    double commands_per_s = 0;
    double bytes_per_s = 0;
    LatencyBuckets latency{};
    Flow& operator+=(const Flow& other);
  };
  struct Traffic {
    Flow reads{};
    Flow writes{};
    double cmb_bytes_per_s = 0;  // of both directions
    Traffic& operator+=(const Traffic& other);
    double commands_per_s() const { return reads.commands_per_s + writes.commands_per_s; }
    double bytes_per_s() const { return reads.bytes_per_s + writes.bytes_per_s; }
  };
  struct Subsystem {
    std::string nqn;
    size_t namespaces = 0;
    Traffic traffic{};
  };
  struct Namespace {
    std::string subsystem;
    uint64_t nsid = 0;
    Traffic traffic{};
  };
  struct Host {
    std::string nqn;
    size_t queues = 0;
    Traffic traffic{};
  };
  struct Path {
    const char* key;
    const char* name;
    Traffic traffic{};
  };

  void add_namespaces(const Json& stats, double elapsed_s);
  void add_hosts(const Json& stats, const Json& connections, double elapsed_s);
  static Traffic traffic_of(const Json* before, const Json& after, const char* path, double elapsed_s);
  std::string head(size_t columns) const;
  static std::vector<std::string> row_of(const std::string& name, const std::string& count, const Traffic& traffic);

  std::optional<double> seconds_;
  Json stats_;  // of the last update
  uint64_t connections_ = 0;
  std::vector<Subsystem> subsystems_;
  std::vector<Namespace> namespaces_;
  std::vector<Host> hosts_;  // the busiest first
  std::vector<Path> paths_;
  std::vector<double> history_;  // bytes per second of all, the latest last
};

// The difference of two histograms ([[bound_ns, count], ...], ascending; null: nothing was counted).
LatencyBuckets latency_between(const nlohmann::ordered_json* before, const nlohmann::ordered_json* after);
// "87.0/120 us", median and 99th percentile; "-" when there is none.
std::string percentiles_text(const LatencyBuckets& latency);

}  // namespace nvmf::cli
