// What the target counts of hosts that come and go. Control thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nvmf::core {

// Why a Connect was refused that had reached the control thread.
enum class ConnectRefusal : uint8_t {
  InvalidParameter,  // a field that no retry can mend, or of another controller
  UnknownSubsystem,  // none of that name on the port
  HostNotAllowed,
  UnknownController,
  NoController,  // the subsystem, or this host on it, has all it may have
  Sequence,      // the controller is not enabled, or has the queue already
};
inline constexpr size_t kConnectRefusals = 6;
const char* name_of(ConnectRefusal reason);

struct TargetCounters {
  uint64_t controllers_made = 0;  // discovery's included
  uint64_t keep_alive_expiries = 0;
  std::array<uint64_t, kConnectRefusals> refused_connects{};
};

}  // namespace nvmf::core
