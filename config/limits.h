// Upper bounds of everything in a config.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::config {

inline constexpr size_t kMostPorts = 256;
inline constexpr uint16_t kMostPortId = 65535;
inline constexpr uint16_t kMostService = 65535;
inline constexpr size_t kMostReferrals = 256;
inline constexpr size_t kMostSubsystems = 1024;
inline constexpr size_t kMostHosts = 4096;         // of one list
inline constexpr uint32_t kMostNamespaces = 1024;  // of one subsystem, and its greatest nsid
inline constexpr uint32_t kMostSsdNamespaces = 0xfffffffe;
inline constexpr uint32_t kMostAnaGroups = 128;
inline constexpr size_t kMostAnaStates = 4096;  // of one subsystem
inline constexpr uint16_t kMostControllers = 65519;
inline constexpr size_t kLongestSerial = 20;
inline constexpr size_t kLongestModel = 40;
inline constexpr size_t kLongestAdminLabel = 256;
inline constexpr uint32_t kMostInCapsuleBytes = 16384;
inline constexpr uint32_t kInCapsuleStepBytes = 16;
inline constexpr uint16_t kMostQueueDepth = 1024;
inline constexpr uint16_t kMostIoQueues = 1024;
inline constexpr uint32_t kLeastMdtsBytes = 16384;  // hosts read the ANA log page, 8,208 bytes, at once
inline constexpr uint32_t kMostMdtsBytes = 2U << 20U;
inline constexpr uint64_t kLeastMemoryBytes = 512;
inline constexpr uint64_t kMostMemoryBytes = uint64_t{1} << 50U;
inline constexpr uint32_t kMostIops = 100'000'000;
inline constexpr uint32_t kMostMibPerSecond = 1'000'000;

}  // namespace nvmf::config
