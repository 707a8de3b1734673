// The target's counters of controllers, refused Connects and authentications. Control thread only.
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
  NoController,    // the subsystem, or this host on it, has reached a limit
  Sequence,        // the controller is not enabled, or already has the queue
  FailedAttempts,  // hosts of its address have failed to authenticate too often
};
inline constexpr size_t kConnectRefusals = 7;
const char* name_of(ConnectRefusal reason);

// Why a host, or the controller to a host, was not authenticated.
enum class AuthenticationFailure : uint8_t {
  WrongResponse,  // made with another key
  NoKey,          // the host has no key that the target could read, or asks for a response and there is no key for it
  Protocol,       // a message breaks a rule, or offers nothing that can be used
  HostRejected,   // the host has ended it
  TimedOut,
  Internal,
  Abandoned,  // the queue's connection has ended before the authentication was done
};
inline constexpr size_t kAuthenticationFailures = 7;
const char* name_of(AuthenticationFailure failure);

struct TargetCounters {
  uint64_t controllers_made = 0;  // including discovery controllers
  uint64_t keep_alive_expiries = 0;
  std::array<uint64_t, kConnectRefusals> refused_connects{};
  uint64_t authentications = 0;  // of queues, that have succeeded
  std::array<uint64_t, kAuthenticationFailures> failed_authentications{};
};

}  // namespace nvmf::core
