// What hosts have moved: figures that only grow, and memory that does not.
#include "target/core/subsystem/host_traffic.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>

#include "target/core/datapath/limits.h"

namespace nvmf::core {
namespace {

void read(TrafficCounters& queue, uint64_t bytes) {
  TransferCounters& reads = queue.reads[static_cast<size_t>(DataPath::Cmb)];
  reads.latency.add(1000);
  reads.bytes.add(bytes);
}

std::map<std::string, uint64_t> bytes_read(const HostTraffic& traffic) {
  std::map<std::string, uint64_t> bytes;
  traffic.visit([&](const std::string& nqn, const TrafficCounters& total) {
    const TransferCounters& reads = total.reads[static_cast<size_t>(DataPath::Cmb)];
    bytes[nqn] = reads.bytes.get();
    CHECK((reads.latency.count() != 0) == (reads.bytes.get() != 0));
  });
  return bytes;
}

using Bytes = std::map<std::string, uint64_t>;

TEST_CASE("A host's traffic is that of its queues, those that have ended included") {
  HostTraffic traffic;
  TrafficCounters first;
  TrafficCounters second;
  TrafficCounters other;
  traffic.begin("nqn.host:a", first);
  traffic.begin("nqn.host:a", second);
  traffic.begin("nqn.host:b", other);
  read(first, 512);
  read(second, 4096);
  CHECK((bytes_read(traffic) == Bytes{{"nqn.host:a", 4608}, {"nqn.host:b", 0}}));
  traffic.end(first);
  traffic.end(other);
  CHECK((bytes_read(traffic) == Bytes{{"nqn.host:a", 4608}, {"nqn.host:b", 0}}));
  traffic.end(second);
  TrafficCounters third;
  traffic.begin("nqn.host:a", third);
  read(third, 1);
  CHECK((bytes_read(traffic) == Bytes{{"nqn.host:a", 4609}, {"nqn.host:b", 0}}));
}

TEST_CASE("What a host had over its share is counted in all") {
  HostTraffic traffic;
  TrafficCounters past;
  TrafficCounters present;
  traffic.begin("nqn.host:a", past);
  past.over_share.add(3);
  traffic.end(past);
  traffic.begin("nqn.host:a", present);
  present.over_share.add(4);
  uint64_t over_share = 0;
  traffic.visit([&](const std::string&, const TrafficCounters& total) { over_share = total.over_share.get(); });
  CHECK(over_share == 7);
}

TEST_CASE("A queue that never began to count may end") {
  HostTraffic traffic;
  const TrafficCounters admin_queue;
  traffic.end(admin_queue);
  CHECK(bytes_read(traffic).empty());
}

TEST_CASE("Of too many hosts that have left, those are forgotten that left first; who is there is not") {
  HostTraffic traffic;
  TrafficCounters stays;
  traffic.begin("nqn.host:stays", stays);
  const auto come_and_go = [&](const std::string& nqn) {
    const auto queue = std::make_unique<TrafficCounters>();
    traffic.begin(nqn, *queue);
    traffic.end(*queue);
  };
  come_and_go("nqn.host:second");
  come_and_go("nqn.host:first");
  come_and_go("nqn.host:second");
  for (size_t i = 0; i + 1 < limits::kMaxAbsentHosts; ++i) come_and_go("nqn.host:" + std::to_string(i));
  const Bytes known = bytes_read(traffic);
  CHECK(known.size() == limits::kMaxAbsentHosts + 1);
  CHECK(known.contains("nqn.host:stays"));
  CHECK(known.contains("nqn.host:second"));
  CHECK_FALSE(known.contains("nqn.host:first"));
}

}  // namespace
}  // namespace nvmf::core
