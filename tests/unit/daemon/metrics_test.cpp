// The metrics as Prometheus reads them. NVMF_WRITE_METRICS=FILE keeps them, for its own checker (tests/metrics).
#include "target/daemon/metrics.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "target/daemon/counter_report.h"

namespace nvmf::daemon {
namespace {

namespace asio = boost::asio;

constexpr char kNqn[] = "nqn.2024-01.org.example:disks";

// A daemon with two namespaces, of which the first has seen every kind of thing.
class Counted {
 public:
  Counted() {
    target_.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
    core::SubsystemOptions options;
    options.nqn = kNqn;
    options.ports = {1};
    target_.add_subsystem(options);
    target_.counters.keep_alive_expiries = 3;
    target_.counters.authentications = 12;
    target_.counters.failed_authentications[static_cast<size_t>(core::AuthenticationFailure::TimedOut)] = 2;
    figures.target = &target_;
    figures.connections = 5;
    figures.transport.rejected[2] = 4;
    figures.transport.stalled[static_cast<size_t>(rdma::Stall::SlowWhenDry)] = 6;
    fill(counters);
    for (const char* const nqn : {"nqn.host:1", "nqn.host:\x01", "nqn.host:\x02"}) {
      figures.hosts.push_back({.nqn = nqn, .traffic = std::make_unique<core::TrafficCounters>()});
      core::TransferCounters& reads = figures.hosts.back().traffic->reads[static_cast<size_t>(core::DataPath::Cmb)];
      reads.latency.add(10'000);
      reads.bytes.add(4096);
    }
    other_commands_.count(core::CommandKind::GetLogPage, core::kSuccess);
    other_commands_.count(core::CommandKind::Connect, NVME_SC_INVALID_FIELD);
    figures.poll_groups.push_back({.rdma_device = "mlx5_0",
                                   .thread = "0",
                                   .queues = 2,
                                   .commands_in_flight = 9,
                                   .dram_bytes = 1 << 20,
                                   .dram_used_bytes = 4096,
                                   .other_commands = &other_commands_});
    figures.cmbs.push_back({.ssd = "0000:01:00.0", .rdma_device = "mlx5_0", .bytes = 1 << 26, .used_bytes = 8192});
    figures.health = {.ports = {{.id = 1, .address = "192.0.2.1", .state = "waiting"}},
                      .missing_namespaces = 2,
                      .unsaved_changes = 7,
                      .reload_succeeded = false,
                      .reload_time_s = 1'800'000'000,
                      .state_dir_fault = "No space left on device",
                      .unsaved_identifiers = 3,
                      .displaced_namespaces = 1,
                      .unreadable_keys = 4,
                      .refused_state = {0, 5}};
    figures.reactors.push_back(
        {.index = 0, .cpu_ns = 2'500'000'000, .polled_in_vain_us = 250'000, .turns = 11, .sleeps = 6});
  }

  // Can be asked once. `spaces`: how many namespaces there are; only the first one has been used.
  std::string text(uint32_t spaces = 2) {
    asio::io_context io;
    auto answer =
        asio::co_spawn(io, metrics_text(std::move(figures), sources(spaces), [this] { return now; }), asio::use_future);
    turns = io.run();
    return answer.get();
  }

  Figures figures;
  core::IoCounters counters;
  size_t turns = 0;  // of the control thread that text() took
  std::chrono::steady_clock::time_point now{};
  std::chrono::microseconds of_namespace{};  // that reading one takes

 private:
  std::vector<NamespaceSource> sources(uint32_t spaces) {
    std::vector<NamespaceSource> sources;
    for (uint32_t nsid = 1; nsid <= spaces; ++nsid)
      sources.emplace_back([this, nsid] {
        now += of_namespace;
        NamespaceFigures space{.subsystem = kNqn,
                               .nsid = nsid,
                               .device = "/dev/ng0n1",
                               .p2p = "prefer",
                               .provider = "0000:01:00.0",
                               .counters = std::make_unique<core::IoCounters>()};
        if (nsid == 1) core::add(*space.counters, counters);
        return std::optional(std::move(space));
      });
    sources.emplace_back([] { return std::nullopt; });  // has gone meanwhile
    return sources;
  }

  static void fill(core::IoCounters& counters) {
    using core::CommandKind;
    for (int i = 0; i < 3; ++i) counters.commands.count(CommandKind::Read, core::kSuccess);
    counters.commands.count(CommandKind::Read, core::media_error(NVME_SC_READ_ERROR));
    counters.reads[static_cast<size_t>(core::DataPath::Cmb)].bytes.add(uint64_t{3} * 4096);
    counters.fallbacks[static_cast<size_t>(core::Fallback::PoolDry)].commands.add(8);
    for (uint64_t us = 10; us < 14; ++us)
      counters.latency.target[static_cast<size_t>(core::Operation::Read)].add(us * 1000);
    counters.latency.device[static_cast<size_t>(core::Operation::Read)].add(9'000);
    for (core::LatencyHistogram& direction : counters.latency.rdma) direction.add(2'000);
  }

  core::Target target_{core::TargetOptions{}};
  core::CommandCounters other_commands_;
};

TEST_CASE("What was counted is there, with its labels") {
  Counted counted;
  const std::string text = counted.text();
  const std::string disk = R"(subsystem="nqn.2024-01.org.example:disks",nsid="1")";
  const std::string lines[] = {
      "nvmf_commands_total{" + disk + R"(,command="read",status="success"} 3)",
      "nvmf_commands_total{" + disk + R"(,command="read",status="media"} 1)",
      "nvmf_data_bytes_total{" + disk + R"(,direction="read",path="cmb"} 12288)",
      "nvmf_p2p_fallback_commands_total{" + disk + R"(,reason="pool_dry"} 8)",
      "nvmf_command_duration_seconds_count{" + disk + R"(,operation="read"} 4)",
      R"(nvmf_host_data_bytes_total{host="nqn.host:1",direction="read",path="cmb"} 4096)",
      R"(nvmf_host_data_commands_total{host="nqn.host:1",direction="read",path="cmb"} 1)",
      R"(nvmf_host_data_commands_total{host="nqn.host:1",direction="write",path="dram"} 0)",
      R"(nvmf_host_over_share_commands_total{host="nqn.host:1"} 0)",
      R"(nvmf_host_data_bytes_total{host="nqn.host:?",direction="read",path="cmb"} 8192)",
      R"(nvmf_other_commands_total{rdma_device="mlx5_0",thread="0",command="get_log_page",status="success"} 1)",
      R"(nvmf_other_commands_total{rdma_device="mlx5_0",thread="0",command="connect",status="invalid_field"} 1)",
      R"(nvmf_commands_in_flight{rdma_device="mlx5_0",thread="0"} 9)",
      R"(nvmf_cmb_used_bytes{ssd="0000:01:00.0",rdma_device="mlx5_0"} 8192)",
      R"(nvmf_connections_rejected_total{status="2"} 4)",
      R"(nvmf_connections_stalled_total{cause="stalled"} 0)",
      R"(nvmf_connections_stalled_total{cause="slow_when_dry"} 6)",
      "nvmf_keep_alive_expiries_total 3",
      "nvmf_authentications_total 12",
      R"(nvmf_authentication_failures_total{reason="timeout"} 2)",
      R"(nvmf_controllers{subsystem="nqn.2024-01.org.example:disks"} 0)",
      R"(nvmf_reactor_cpu_seconds_total{reactor="0"} 2.5)",
      R"(nvmf_port_state{port="1",address="192.0.2.1",state="waiting"} 1)",
      R"(nvmf_port_state{port="1",address="192.0.2.1",state="listening"} 0)",
      "nvmf_missing_namespaces 2",
      "nvmf_unsaved_changes 7",
      "nvmf_last_reload_success 0",
      "nvmf_last_reload_timestamp_seconds 1800000000",
      "nvmf_state_dir_fault 1",
      "nvmf_unsaved_identifiers 3",
      "nvmf_displaced_namespaces 1",
      "nvmf_unreadable_keys 4",
      R"(nvmf_state_changes_refused_total{state="reservation"} 0)",
      R"(nvmf_state_changes_refused_total{state="write_protection"} 5)",
      R"(nvmf_reactor_idle_poll_seconds_total{reactor="0"} 0.25)",
  };
  for (const std::string& line : lines) {
    CAPTURE(line);
    CHECK(text.find("\n" + line + "\n") != std::string::npos);
  }
}

TEST_CASE("A state directory that takes everything: no fault") {
  Counted counted;
  counted.figures.health.state_dir_fault.clear();
  CHECK(counted.text().find("\nnvmf_state_dir_fault 0\n") != std::string::npos);
}

TEST_CASE("A sample stands once, in its family, which stands once") {
  Counted counted;
  std::istringstream text(counted.text());
  std::set<std::string> families;
  std::set<std::string> samples;
  std::string family;
  for (std::string line; std::getline(text, line);) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(families.insert(family).second);
    } else if (!line.starts_with('#')) {
      CHECK(line.starts_with(family));
      CHECK(samples.insert(line.substr(0, line.rfind(' '))).second);
    }
  }
  CHECK(families.size() > 30);
}

TEST_CASE("Histograms without a command have no sample, so that idle namespaces cost little") {
  const std::string text = Counted().text();
  CHECK(
      text.find("nvmf_command_duration_seconds_count{subsystem=\"nqn.2024-01.org.example:disks\",nsid=\"1\",operation="
                "\"write\"}") == std::string::npos);
  CHECK(text.find("duration_seconds_bucket{subsystem=\"nqn.2024-01.org.example:disks\",nsid=\"2\"") ==
        std::string::npos);
}

TEST_CASE("The most namespaces that a config may have: other work of the control thread has its turn meanwhile") {
  Counted counted;
  counted.of_namespace = std::chrono::milliseconds(2);
  const std::string text = counted.text(4096);
  CHECK(text.size() < 16U << 20U);
  CHECK(counted.turns >= 4096 / 3);  // a slice of 5 ms ends after three
  CHECK(text.find("nsid=\"4096\"") != std::string::npos);
}

TEST_CASE("Prometheus' checker may read them") {
  const char* const path = std::getenv("NVMF_WRITE_METRICS");
  if (path == nullptr) return;
  Counted counted;
  std::ofstream(path) << counted.text();
}

TEST_CASE("The same counters as the stats show them") {
  const Counted counted;
  const core::IoCounters& counters = counted.counters;
  CHECK(commands_report(counters.commands) == nlohmann::json{{"read", {{"answered", 4}, {"failed", {{"media", 1}}}}}});
  const nlohmann::json latency = latency_report(counters.latency);
  const nlohmann::json& reads = latency["target"]["read"];
  CHECK(reads["count"] == 4);
  CHECK(reads["mean_us"] == 11.5);
  CHECK(reads["p50_us"] >= 9);
  CHECK(reads["p999_us"] <= 15);
  uint64_t in_buckets = 0;
  for (const auto& bucket : reads["buckets"]) in_buckets += bucket[1].get<uint64_t>();
  CHECK(in_buckets == 4);
  CHECK(latency["device"]["write"] == nlohmann::json{{"count", 0}});
  CHECK(reactors_report(counted.figures.reactors)[0]["cpu_us"] == 2'500'000);
  const nlohmann::json host = hosts_report(counted.figures.hosts)[0];
  CHECK(host["nqn"] == "nqn.host:1");
  CHECK(host["reads"]["cmb"]["commands"] == 1);
  CHECK(host["reads"]["cmb"]["bytes"] == 4096);
  CHECK(host["reads"]["cmb"]["latency"]["count"] == 1);
  CHECK(host["writes"]["dram"]["latency"] == nlohmann::json{{"count", 0}});
  CHECK(refusals_report(counted.figures)["rdma_cm"]["2"] == 4);
  CHECK(refusals_report(counted.figures)["stalled_connections"]["slow_when_dry"] == 6);
  CHECK(refusals_report(counted.figures)["keep_alive_expiries"] == 3);
}

}  // namespace
}  // namespace nvmf::daemon
