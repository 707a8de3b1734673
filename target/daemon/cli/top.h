// What `top` shows, out of what the daemon counted at two moments.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace nvmf::cli {

class Top {
 public:
  using Json = nlohmann::ordered_json;

  // What the daemon answered at `seconds`, of a clock that only goes forward: GET /v1/stats and GET /v1/connections.
  void add(double seconds, const Json& stats, const Json& connections);

  // At most `lines` lines (0: any) of at most `columns` characters (0: any). Before the second add(): all zero.
  std::string text(size_t columns, size_t lines) const;

 private:
  struct Rate {
    double commands_per_s = 0;
    double bytes_per_s = 0;
  };
  // Of a namespace, by path: CMB, DRAM, in capsule; then by direction.
  struct Row {
    std::string subsystem;
    uint64_t nsid = 0;
    Rate reads{};
    Rate writes{};
    Rate cmb{};
    Rate dram{};
    Rate in_capsule{};
    std::string read_latency = "-";
    std::string write_latency = "-";
  };
  struct Host {
    std::string nqn;
    std::string address{};
    size_t controllers = 0;
    size_t queues = 0;
  };

  static const Json* find(const Json& stats, const Json& space);
  Row row_of(const Json& space, const Json* before, double elapsed_s) const;
  static std::vector<Host> hosts_of(const Json& connections);
  std::string head(size_t columns) const;

  std::optional<double> seconds_;
  Json stats_;
  uint64_t connections_ = 0;
  std::vector<Row> rows_;
  std::vector<Host> hosts_;
  std::vector<double> history_;  // bytes per second of all, the latest last
};

// "87.0 us / 120 us", median and 99th percentile, of what came between two histograms ([[bound_ns, count], ...],
// ascending); "-" where nothing did.
std::string latency_between(const nlohmann::ordered_json* before, const nlohmann::ordered_json* after);

}  // namespace nvmf::cli
