// What the page gets. NVMF_WRITE_PAGE=FILE keeps a report with something of everything, for the browser (tests/page).
#include "target/daemon/page_report.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace nvmf::daemon {
namespace {

using nlohmann::json;

constexpr auto kCmb = static_cast<size_t>(core::DataPath::Cmb);

FlowsOnRnic flows(uint64_t read_bytes) {
  FlowsOnRnic all{.rdma_device = "mlx5_0"};
  all.paths[kCmb] = {.read_bytes = read_bytes, .write_bytes = 512, .commands = 3};
  return all;
}

// An interval with five reads, and one without.
const History& some_history() {
  static const History history = [] {
    History made;
    History::Clock::time_point time{};
    for (const int reads : {0, 5, 5}) {
      auto totals = std::make_unique<History::Totals>();
      for (int i = 0; i < reads; ++i) totals->reads.add(20'000);
      totals->bytes[kCmb] = static_cast<uint64_t>(reads) * 4096;
      made.add(time += History::kInterval, std::move(totals));
    }
    return made;
  }();
  return history;
}

PageContent content() {
  PageContent all{.now = std::chrono::steady_clock::time_point(std::chrono::milliseconds(123'456)),
                  .uptime = std::chrono::seconds(77),
                  .history = &some_history()};
  all.ports = {{.id = 1, .address = "192.0.2.1", .state = "listening"}};
  all.problems = {{.what = "It is broken", .remedy = "mend it"}};
  all.picture.rdma_devices = {"mlx5_0"};
  all.picture.storages = {{.name = "0000:01:00.0",
                           .kind = "ssd",
                           .model = "Example",
                           .provider = "0000:01:00.0",
                           .namespaces = 2,
                           .cmb_bytes = 1 << 26,
                           .cmb_used_bytes = 1 << 20,
                           .on_rnics = {flows(4096)}}};
  all.picture.hosts = {{.nqn = "nqn.host:1", .io_queues = 4, .on_rnics = {flows(4096)}}};
  return all;
}

json report(PageContent all) { return json::parse(page_report(std::move(all))); }

TEST_CASE("What is known is there") {
  const json page = report(content());
  CHECK(page["now_ms"] == 123'456);
  CHECK(page["uptime_s"] == 77);
  CHECK(page["problems"] == json::parse(R"([{"weight": "fault", "what": "It is broken", "remedy": "mend it"}])"));
  CHECK(page["more_problems"] == 0);
  CHECK(page["ports"][0]["state"] == "listening");
  CHECK(page["storages"][0]["on_rnics"][0]["cmb"] == json::parse("[4096, 512, 3]"));
  CHECK(page["storages"][0]["count"] == 1);
  CHECK(page["hosts"][0]["on_rnics"][0]["dram"] == json::parse("[0, 0, 0]"));
  CHECK(page["history"]["interval_s"] == 5);
  const json& medians = page["history"]["reads"]["p50_us"];
  REQUIRE(medians.size() == 2);
  CHECK(medians[0] >= 15.0);
  CHECK(medians[0] <= 25.0);
  CHECK(medians[1] == nullptr);
  CHECK(page["history"]["writes"]["p50_us"][0] == nullptr);
  CHECK(page["history"]["bytes_per_s"]["cmb"][0] == 4096);
}

TEST_CASE("A machine of any size: the ones with the most data are shown, the rest is one, nothing is lost") {
  PageContent all = content();
  all.picture.storages.clear();
  all.picture.hosts.clear();
  for (size_t i = 0; i < 4096; ++i) {
    all.picture.storages.push_back({.name = "disk" + std::to_string(i),
                                    .kind = "ssd",
                                    .provider = "disk",
                                    .namespaces = 1,
                                    .on_rnics = {flows(i)}});
    all.picture.hosts.push_back({.nqn = std::string(223, 'n') + std::to_string(i), .on_rnics = {flows(i)}});
    all.problems.push_back({.what = std::string(100'000, 'w'), .remedy = std::string(100'000, 'r')});
    all.unready.emplace_back(100'000, 'u');
    all.ports.push_back({.id = 1, .address = "192.0.2.1", .state = "waiting"});
  }
  const std::string text = page_report(std::move(all));
  CHECK(text.size() < 512U << 10U);
  const json page = json::parse(text);
  REQUIRE(page["storages"].size() == kMostPicturedStorages + 1);
  CHECK(page["storages"][0]["name"] == "disk" + std::to_string(4096 - kMostPicturedStorages));
  const json& rest = page["storages"].back();
  CHECK(rest["name"] == "");
  CHECK(rest["count"] == 4096 - kMostPicturedStorages);
  CHECK(rest["namespaces"] == 4096 - kMostPicturedStorages);
  uint64_t bytes = 0;
  for (const json& storage : page["storages"]) bytes += storage["on_rnics"][0]["cmb"][0].get<uint64_t>();
  CHECK(bytes == 4095U * 4096 / 2);
  CHECK(page["hosts"].size() == kMostPicturedHosts + 1);
  CHECK(page["problems"].size() == kMostReportedProblems);
  CHECK(page["more_problems"] == 4097 - kMostReportedProblems);
}

TEST_CASE("Bytes of a host that are no UTF-8 do not break the report") {
  PageContent all = content();
  all.picture.hosts.front().nqn = "nqn.host:\xff\x1b[31m";
  CHECK(report(std::move(all))["hosts"][0]["nqn"] == "nqn.host:\xef\xbf\xbd\x1b[31m");
}

TEST_CASE("However often it is asked for, the report is made twice a second") {
  int made = 0;
  FreshReport fresh([&] { return std::to_string(++made); });
  const FreshReport::Clock::time_point start{};
  CHECK(fresh.at(start) == "1");
  CHECK(fresh.at(start + FreshReport::kFresh - std::chrono::milliseconds(1)) == "1");
  CHECK(fresh.at(start + FreshReport::kFresh) == "2");
}

TEST_CASE("A browser may read it") {
  if (const char* const path = std::getenv("NVMF_WRITE_PAGE")) std::ofstream(path) << page_report(content());
}

}  // namespace
}  // namespace nvmf::daemon
