// The values of features that a host sets: NVMe Base 2.0, section 5.27.1. command/features.cpp has the table of
// features.
#pragma once

#include <array>
#include <cstdint>

namespace nvmf::core {

// WCTEMP and CCTEMP of Identify Controller, which must not be zero: the first as the specification recommends (70 °C),
// the second 15 kelvin above. SSDs that come and go have their own; what they warn of is passed on beside.
inline constexpr uint16_t kWarningTemperatureKelvin = 0x157;
inline constexpr uint16_t kCriticalTemperatureKelvin = kWarningTemperatureKelvin + 15;

// The values of one controller. Values kept elsewhere (keep-alive timer, number of queues, async events) are not here.
struct FeatureValues {
  uint32_t arbitration = 0;
  // Composite temperature, kelvin: over and under. The first's default is WCTEMP (section 5.27.1.3), the second's never
  // triggers.
  std::array<uint16_t, 2> temperature_threshold{kWarningTemperatureKelvin, 0};
  uint32_t write_atomicity = 0;
  bool advanced_command_retry = false;  // ACRE of Host Behavior Support

  // 0 kelvin: there is no sensor.
  bool is_too_hot_or_cold(uint16_t kelvin) const {
    return kelvin != 0 && (kelvin >= temperature_threshold[0] || kelvin <= temperature_threshold[1]);
  }
};

}  // namespace nvmf::core
