#include "target/core/subsystem/health.h"

#include <algorithm>
#include <cstring>

namespace nvmf::core {
namespace {

// There is no Persistent Memory Region that could fail.
constexpr uint8_t kWarnings = NVME_SMART_CRIT_SPARE | NVME_SMART_CRIT_TEMPERATURE | NVME_SMART_CRIT_DEGRADED |
                              NVME_SMART_CRIT_MEDIA | NVME_SMART_CRIT_VOLATILE_MEMORY;

// Counters of 16 bytes, the lowest first.
struct Wide {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator<(const Wide& a, const Wide& b) { return a.high != b.high ? a.high < b.high : a.low < b.low; }
};
using WideField = __u8[16];

Wide read(const WideField& field) {
  Wide value;
  std::memcpy(&value, field, sizeof(field));
  return value;
}
void write(WideField& field, const Wide& value) { std::memcpy(field, &value, sizeof(field)); }

void add(WideField& total, const WideField& part) {
  Wide sum = read(total);
  const Wide more = read(part);
  sum.low += more.low;
  sum.high += more.high + (sum.low < more.low ? 1 : 0);
  write(total, sum);
}

void add(__le32& total, __le32 part) { total = part > UINT32_MAX - total ? UINT32_MAX : total + part; }

void raise(WideField& most, const WideField& other) { write(most, std::max(read(most), read(other))); }

// Thousands of 512 bytes, rounded up.
constexpr uint64_t data_units(uint64_t bytes) {
  constexpr uint64_t kUnit = 512'000;
  return bytes / kUnit + (bytes % kUnit != 0 ? 1 : 0);
}

void put_in(nvme_smart_log& total, const nvme_smart_log& device) {
  total.critical_warning |= device.critical_warning & kWarnings;
  if (composite_temperature(total) < composite_temperature(device))
    std::copy(std::begin(device.temperature), std::end(device.temperature), total.temperature);
  total.avail_spare = std::min(total.avail_spare, device.avail_spare);
  total.spare_thresh = std::max(total.spare_thresh, device.spare_thresh);
  total.percent_used = std::max(total.percent_used, device.percent_used);
  raise(total.ctrl_busy_time, device.ctrl_busy_time);
  raise(total.power_cycles, device.power_cycles);
  raise(total.power_on_hours, device.power_on_hours);
  total.warning_temp_time = std::max(total.warning_temp_time, device.warning_temp_time);
  total.critical_comp_time = std::max(total.critical_comp_time, device.critical_comp_time);
  add(total.data_units_read, device.data_units_read);
  add(total.data_units_written, device.data_units_written);
  add(total.host_reads, device.host_reads);
  add(total.host_writes, device.host_writes);
  add(total.unsafe_shutdowns, device.unsafe_shutdowns);
  add(total.media_errors, device.media_errors);
  add(total.thm_temp1_trans_count, device.thm_temp1_trans_count);
  add(total.thm_temp2_trans_count, device.thm_temp2_trans_count);
  add(total.thm_temp1_total_time, device.thm_temp1_total_time);
  add(total.thm_temp2_total_time, device.thm_temp2_total_time);
}

}  // namespace

nvme_smart_log health_of_counts(uint64_t reads, uint64_t bytes_read, uint64_t writes, uint64_t bytes_written) {
  nvme_smart_log smart{};
  smart.avail_spare = 100;
  write(smart.data_units_read, {data_units(bytes_read)});
  write(smart.data_units_written, {data_units(bytes_written)});
  write(smart.host_reads, {reads});
  write(smart.host_writes, {writes});
  return smart;
}

nvme_smart_log put_together(std::span<const nvme_smart_log> devices) {
  nvme_smart_log total{};
  total.avail_spare = 100;
  for (const nvme_smart_log& device : devices) put_in(total, device);
  if (devices.size() == 1)
    std::copy(std::begin(devices[0].temp_sensor), std::end(devices[0].temp_sensor), total.temp_sensor);
  return total;
}

}  // namespace nvmf::core
