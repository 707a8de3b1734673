// The target's counters of controllers and refused Connects. Control thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nvmf::core {

// Why a Connect was refused on the control thread.
enum class ConnectRefusal : uint8_t {
  InvalidParameter,  // an invalid field, or one of another controller
  UnknownSubsystem,  // none of that name on the port
  HostNotAllowed,
  UnknownController,
  NoController,  // the subsystem, or this host on it, has reached a limit
  Sequence,      // the controller is not enabled, or already has the queue
};
inline constexpr size_t kConnectRefusals = 6;
const char* name_of(ConnectRefusal reason);

struct TargetCounters {
  uint64_t controllers_made = 0;  // including discovery controllers
  uint64_t keep_alive_expiries = 0;
  std::array<uint64_t, kConnectRefusals> refused_connects{};
};

}  // namespace nvmf::core
