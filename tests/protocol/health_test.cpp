// SMART / Health Information and its events: NVMe Base 2.0, sections 5.16.1.3, 5.2 and 5.27.1.3.
#include "target/core/subsystem/health.h"

#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kReliabilityDegraded = 0x020001;  // SMART, information, log page 02h
constexpr uint64_t kTemperatureThreshold = 0x020101;
constexpr uint64_t kSpareBelowThreshold = 0x020201;
constexpr uint32_t kUnder = 1u << 20;  // THSEL of feature 04h

// SSDs as the test says they are.
class Ssds : public core::HealthSource {
 public:
  std::vector<nvme_smart_log> health(const core::Subsystem& subsystem) const override {
    return subsystem.nqn() == World::kNqn ? pages : std::vector<nvme_smart_log>{};
  }
  std::vector<nvme_smart_log> pages;
};

void set_temperature(nvme_smart_log& smart, uint16_t kelvin) {
  smart.temperature[0] = static_cast<uint8_t>(kelvin);
  smart.temperature[1] = static_cast<uint8_t>(kelvin >> 8);
}

nvme_smart_log healthy_ssd() {
  nvme_smart_log smart{};
  set_temperature(smart, 310);
  smart.avail_spare = 100;
  smart.spare_thresh = 10;
  smart.temp_sensor[1] = 305;
  return smart;
}

uint64_t low(const uint8_t (&field)[16]) {
  uint64_t value;
  std::memcpy(&value, field, sizeof(value));
  return value;
}
void set_low(uint8_t (&field)[16], uint64_t value) { std::memcpy(field, &value, sizeof(value)); }

// A subsystem with one SSD, and a host that has enabled all SMART events.
struct Warned {
  World world;
  Ssds ssds;
  Host host{world};
  Warned() {
    ssds.pages = {healthy_ssd()};
    world.target.health_source = &ssds;
    host.bring_up();
    enable(0x1f);
  }
  nvme_smart_log& ssd() { return ssds.pages[0]; }
  void enable(uint32_t warnings) { REQUIRE(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, warnings).ok()); }
  void warn(uint8_t critical_warning) {
    ssd().critical_warning = critical_warning;
    world.subsystem.health_changed();
  }
  nvme_smart_log smart(bool retain = false) {
    return host.log_page(NVME_LOG_LID_SMART, 512, 0, retain).as<nvme_smart_log>();
  }
};

TEST_CASE("host reads the SMART log of one SSD: its figures, with the controller's own count of errors") {
  Warned w;
  nvme_smart_log& ssd = w.ssd();
  ssd.percent_used = 7;
  set_low(ssd.data_units_read, 1234);
  set_low(ssd.ctrl_busy_time, 55);
  set_low(ssd.num_err_log_entries, 99);
  ssd.warning_temp_time = 3;
  w.host.get_feature(0x7f);
  nvme_smart_log expected = ssd;
  set_low(expected.num_err_log_entries, 1);
  CHECK(to_bytes(w.smart()) == to_bytes(expected));
}

TEST_CASE("host reads the SMART log of two SSDs: the worse of each condition, the sum of each count") {
  Warned w;
  nvme_smart_log one = healthy_ssd();
  one.critical_warning = NVME_SMART_CRIT_SPARE | NVME_SMART_CRIT_PMR_RO;
  one.avail_spare = 5;
  one.percent_used = 20;
  set_low(one.data_units_written, ~uint64_t{0});
  set_low(one.power_on_hours, 10);
  set_low(one.media_errors, 2);
  one.thm_temp1_trans_count = 0xffffffff;
  nvme_smart_log two = healthy_ssd();
  set_temperature(two, 333);
  two.critical_warning = NVME_SMART_CRIT_MEDIA;
  two.spare_thresh = 15;
  two.percent_used = 101;
  set_low(two.data_units_written, 3);
  set_low(two.power_on_hours, 4);
  set_low(two.media_errors, 40);
  two.thm_temp1_trans_count = 2;
  w.ssds.pages = {one, two};

  const nvme_smart_log smart = w.smart();
  CHECK(smart.critical_warning == (NVME_SMART_CRIT_SPARE | NVME_SMART_CRIT_MEDIA));
  CHECK(core::composite_temperature(smart) == 333);
  CHECK(smart.avail_spare == 5);
  CHECK(smart.spare_thresh == 15);
  CHECK(smart.percent_used == 101);
  CHECK(low(smart.data_units_written) == 2);
  CHECK(smart.data_units_written[8] == 1);
  CHECK(low(smart.power_on_hours) == 10);
  CHECK(low(smart.media_errors) == 42);
  CHECK(smart.thm_temp1_trans_count == 0xffffffff);
  CHECK(smart.temp_sensor[1] == 0);
}

TEST_CASE("host reads the SMART log of what is no SSD: counts, in thousands of 512 bytes rounded up") {
  Warned w;
  w.ssds.pages = {core::health_of_counts(3, 512'001, 1, 512), core::health_of_counts(0, 0, 1, 512'000)};
  const nvme_smart_log smart = w.smart();
  CHECK(low(smart.host_reads) == 3);
  CHECK(low(smart.data_units_read) == 2);
  CHECK(low(smart.host_writes) == 2);
  CHECK(low(smart.data_units_written) == 2);
  CHECK(smart.avail_spare == 100);
  CHECK(core::composite_temperature(smart) == 0);
}

TEST_CASE("an SSD warns: hosts that have enabled it hear of it, once") {
  Warned w;
  const struct {
    uint8_t warning;
    uint64_t event;
  } rows[] = {{NVME_SMART_CRIT_SPARE, kSpareBelowThreshold},
              {NVME_SMART_CRIT_TEMPERATURE, kTemperatureThreshold},
              {NVME_SMART_CRIT_DEGRADED, kReliabilityDegraded},
              {NVME_SMART_CRIT_MEDIA, kReliabilityDegraded},
              {NVME_SMART_CRIT_VOLATILE_MEMORY, kReliabilityDegraded}};
  for (const auto& row : rows) {
    CAPTURE(row.warning);
    const size_t awaited = w.host.await_event();
    w.enable(0x1f & ~row.warning);
    w.warn(row.warning);
    CHECK_FALSE(w.host.admin.answered(awaited));
    w.warn(0);
    w.enable(row.warning);
    w.warn(row.warning);
    REQUIRE(w.host.admin.answered(awaited));
    CHECK(w.host.admin.take(awaited).result == row.event);
    CHECK(w.smart().critical_warning == row.warning);
    const size_t second = w.host.await_event();
    w.warn(row.warning);
    CHECK_FALSE(w.host.admin.answered(second));
    REQUIRE(w.host.admin.send(command(nvme_admin_abort_cmd, 0, uint32_t{w.host.admin.cid_of(second)} << 16)).ok());
    w.warn(0);
  }
}

TEST_CASE("host enables an event of a warning that there is already: reported") {
  Warned w;
  w.enable(0);
  w.warn(NVME_SMART_CRIT_SPARE);
  const size_t awaited = w.host.await_event();
  CHECK_FALSE(w.host.admin.answered(awaited));
  w.enable(NVME_SMART_CRIT_SPARE);
  CHECK(w.host.admin.take(awaited).result == kSpareBelowThreshold);
}

TEST_CASE("further SMART events wait until the host has read the log page") {
  Warned w;
  const size_t first = w.host.await_event();
  const size_t second = w.host.await_event();
  w.warn(NVME_SMART_CRIT_SPARE);
  w.warn(NVME_SMART_CRIT_SPARE | NVME_SMART_CRIT_DEGRADED);
  CHECK(w.host.admin.take(first).result == kSpareBelowThreshold);
  CHECK_FALSE(w.host.admin.answered(second));
  w.smart(true);
  CHECK_FALSE(w.host.admin.answered(second));
  w.smart();
  CHECK(w.host.admin.take(second).result == kReliabilityDegraded);
}

TEST_CASE("the temperature crosses a threshold of the host's: the warning, and the event") {
  Warned w;
  uint32_t cdw11 = 0;
  SUBCASE("over") { cdw11 = 320; }
  SUBCASE("under") { cdw11 = kUnder | 300; }
  REQUIRE(w.host.set_feature(NVME_FEAT_FID_TEMP_THRESH, cdw11).ok());
  const size_t awaited = w.host.await_event();
  w.world.subsystem.health_changed();
  CHECK_FALSE(w.host.admin.answered(awaited));
  CHECK(w.smart().critical_warning == 0);
  set_temperature(w.ssd(), cdw11 & 0xffff);
  w.world.subsystem.health_changed();
  CHECK(w.host.admin.take(awaited).result == kTemperatureThreshold);
  CHECK(w.smart().critical_warning == NVME_SMART_CRIT_TEMPERATURE);
}

TEST_CASE("host sets a threshold that the temperature has crossed already: the event at once, other hosts' not") {
  Warned w;
  Host other(w.world, "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555");
  other.hostid = {0x43};
  other.bring_up();
  REQUIRE(other.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 0x1f).ok());
  const size_t awaited = w.host.await_event();
  const size_t of_other = other.await_event();
  REQUIRE(w.host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 310).ok());
  CHECK(w.host.admin.take(awaited).result == kTemperatureThreshold);
  CHECK_FALSE(other.admin.answered(of_other));
}

TEST_CASE("without a sensor no threshold is crossed") {
  Warned w;
  w.ssds.pages = {core::health_of_counts(0, 0, 0, 0)};
  REQUIRE(w.host.set_feature(NVME_FEAT_FID_TEMP_THRESH, kUnder | 400).ok());
  CHECK(w.smart().critical_warning == 0);
}

TEST_CASE("host resets the controller: thresholds are the defaults, a warning is reported anew") {
  Warned w;
  REQUIRE(w.host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 310).ok());
  w.warn(NVME_SMART_CRIT_SPARE);
  w.host.enable(0);
  w.host.enable();
  CHECK(w.smart().critical_warning == NVME_SMART_CRIT_SPARE);
  const size_t awaited = w.host.await_event();
  w.enable(0x1f);
  CHECK(w.host.admin.take(awaited).result == kSpareBelowThreshold);
}

}  // namespace
}  // namespace nvmf::test
