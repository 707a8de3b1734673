// What the page of the metrics address shows, as JSON. The page asks for it every two seconds, so its length is bounded
// whatever the config and the hosts are. Control thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "target/daemon/history.h"
#include "target/daemon/picture.h"
#include "target/daemon/problems.h"

namespace nvmf::daemon {

// More of them are added up in one: the ones with the least data.
inline constexpr size_t kMostPicturedStorages = 128;
inline constexpr size_t kMostPicturedHosts = 64;
// Of more problems the page says how many there are. Longer texts are cut.
inline constexpr size_t kMostReportedProblems = 64;
inline constexpr size_t kMostReportedBytes = 1024;

struct PageContent {
  std::chrono::steady_clock::time_point now{};  // of the counters
  std::chrono::seconds uptime{};
  std::vector<std::string> unready{};  // MetricsServer::Unready
  std::vector<PortFigures> ports{};
  std::vector<Problem> problems{};
  Picture picture{};
  const History* history = nullptr;
};

// {"version", "uptime_s", "now_ms", "unready": [reason], "problems": [{"weight": "fault"|"note", "what", "remedy"}],
//  "more_problems": n, "ports": [{"id", "address", "state"}], "rdma_devices": [name],
//  "storages": [{"name", "kind", "model", "provider", "namespaces", "cmb_bytes", "cmb_used_bytes", "count": storages in
//    this entry, "on_rnics": [{"rdma_device", "cmb"|"dram"|"in_capsule": [read bytes, written bytes, commands]}]}],
//  "hosts": [{"nqn", "io_queues", "count", "on_rnics"}],
//  "history": {"interval_s", "reads"|"writes": {"p50_us"|"p99_us"|"p999_us": [number or null]},
//    "bytes_per_s": {"cmb"|"dram"|"in_capsule": [number]}}}
std::string page_report(PageContent content);

// A report that was made less than kFresh ago is used again: however many look at the page, it costs the same.
class FreshReport {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kFresh{500};

  explicit FreshReport(std::function<std::string()> make) : make_(std::move(make)) {}
  const std::string& at(Clock::time_point now);

 private:
  std::function<std::string()> make_;
  std::optional<Clock::time_point> made_;
  std::string report_;
};

}  // namespace nvmf::daemon
