// SMART / Health Information: NVMe Base 2.0, section 5.16.1.3, log page 02h.
//
// A controller's values combine those of all devices behind its subsystem's namespaces:
//
//   Critical Warning                                   all warnings of any device
//   Composite Temperature, Available Spare Threshold,
//   Percentage Used, Controller Busy Time, Power
//   Cycles, Power On Hours, minutes over temperature   the greatest
//   Available Spare                                    the smallest
//   Data Units, Host Commands, Unsafe Shutdowns,
//   Media Errors, thermal management                   the sum
//   Temperature Sensors                                of a single device only: sensors of several are not the same
//   ones
//
// The Number of Error Information Log Entries is the controller's own. A device that is not an SSD has no sensor and no
// wear: it adds the target's own counts of data and commands.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "target/nvme/types.h"

namespace nvmf::core {

class Subsystem;

// The source of the devices' health. Control thread.
class HealthSource {
 public:
  virtual ~HealthSource() = default;
  // A page for each device behind the subsystem's namespaces, as last read: does not wait for devices.
  virtual std::vector<nvme_smart_log> health(const Subsystem& subsystem) const = 0;
};

// The page of a device that is not an SSD, from the target's own counts.
nvme_smart_log health_of_counts(uint64_t reads, uint64_t bytes_read, uint64_t writes, uint64_t bytes_written);

nvme_smart_log put_together(std::span<const nvme_smart_log> devices);

// Kelvin; 0: there is no sensor.
inline uint16_t composite_temperature(const nvme_smart_log& smart) {
  return static_cast<uint16_t>(smart.temperature[0] | smart.temperature[1] << 8);
}

}  // namespace nvmf::core
