// Every bound of the target, in one place, with the relations between them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::core::limits {

inline constexpr uint32_t kSqeBytes = 64;
inline constexpr uint32_t kCqeBytes = 16;
inline constexpr uint32_t kPageBytes = 4096;

inline constexpr uint32_t kMaxInCapsuleBytes = 16384;
inline constexpr uint16_t kAdminQueueDepth = 32;  // entries; NVMe-oF requires at least 32
inline constexpr uint16_t kMaxQueueDepth = 1024;  // entries, CAP.MQES + 1
inline constexpr uint16_t kMaxIoQueues = 1024;    // per controller
// The ANA log page takes 8,208 bytes at most, and Linux reads it at once or does without ANA.
inline constexpr uint32_t kMinTransferBytes = 4 * kPageBytes;
inline constexpr uint32_t kMaxTransferBytes = 2u << 20;  // largest configurable MDTS
inline constexpr uint32_t kMaxNamespaces = 1024;         // NSIDs of a subsystem run from 1 to this
inline constexpr uint32_t kMaxAnaGroups = 128;           // ANAGRPIDs of a subsystem run from 1 to this
inline constexpr uint16_t kMaxCntlid = 0xffef;           // FFF0h and up are reserved
inline constexpr size_t kMaxNqnLength = 223;             // without the terminating zero
inline constexpr size_t kMaxAdminLabelLength = 256;
inline constexpr uint32_t kMaxSglDescriptors = 16;        // data descriptors of one command (MSDBD)
inline constexpr uint32_t kMaxAsyncEvents = 4;            // outstanding requests, AERL + 1
inline constexpr uint32_t kMaxAborts = 4;                 // outstanding Abort commands, ACL + 1
inline constexpr uint32_t kMaxCrossControllerResets = 4;  // in progress, asked of one controller (CCRL)
inline constexpr uint32_t kMaxDsmRanges = 256;
inline constexpr uint32_t kMaxRegistrants = 1024;             // of one namespace
inline constexpr uint32_t kMaxReservationNotifications = 64;  // unread, of one controller
inline constexpr uint32_t kMaxCopyRanges = 128;               // MSRC + 1: a page of them
inline constexpr uint32_t kMaxCopyBytes = 8u << 20;           // MCL, for a Copy that the target executes itself
inline constexpr uint32_t kCopyScratchBytes =
    (128u << 10) - kPageBytes;  // the most at once: together with the ranges a power of 2
// Every device of a zoned namespace takes so much at once: of a Zone Append (ZASL), and of a report of zones, which the
// target reads in such pieces.
inline constexpr uint32_t kMaxZoneAppendBytes = 128u << 10;
inline constexpr uint32_t kZoneReportPieceBytes = 128u << 10;
inline constexpr uint32_t kWriteZeroesPieceBytes = 128u << 10;  // of a Write Zeroes that the target writes out
inline constexpr size_t kMaxRemovedSubsystems = 1024;           // whose hosts are told not to come again
inline constexpr size_t kMaxAbsentHosts = 1024;  // hosts whose traffic is remembered after they have left: 5 KiB each
inline constexpr uint32_t kKeepAliveGranularityMs = 100;
inline constexpr uint32_t kConnectTimeoutMs = 5000;  // from RDMA connection request to a completed Connect command
// Of a queue's first authentication, from Connect on, and of each later one: all its messages, without the time that
// the target takes itself.
inline constexpr uint32_t kAuthenticationTimeoutMs = 30'000;
inline constexpr uint32_t kMaxNegotiations = 4;  // of a queue, until it is authenticated
// Then: so many at once, and one more each so many milliseconds.
inline constexpr uint32_t kRenegotiationBurst = 4;
inline constexpr uint32_t kRenegotiationMs = 10'000;
inline constexpr uint32_t kMaxUnauthenticatedControllers = 64;  // of one host address
// Of a subsystem's controller identifiers those that have not authenticated have one in so many. When all of these are
// taken, the oldest of the address that has most goes for the next one; an address's only one not before it has had so
// long, which is long for an honest host.
inline constexpr uint32_t kUnauthenticatedShare = 4;
inline constexpr uint32_t kUnauthenticatedLeastMs = 2000;
inline constexpr uint32_t kMaxAuthenticationBytes = 4096;   // of a message
inline constexpr uint32_t kLastAnswersTimeoutMs = 1000;     // from the target's decision to disconnect until it does
inline constexpr uint32_t kStalledAnswersMs = 10'000;       // a host that takes no answer for so long is disconnected
inline constexpr uint32_t kSlowAnswersMs = 30'000;          // and one that leaves an answer for twice so long
inline constexpr uint32_t kStallCheckMs = 1000;             // between two looks at that
inline constexpr uint32_t kFlushTimeoutMs = 5000;           // of an RNIC, to flush a failed queue pair
inline constexpr uint32_t kLastReceiveTimeoutMs = 200;      // of an RNIC, to say that it is done with a queue pair
inline constexpr uint32_t kMaxUnfinishedConnections = 64;   // without a Connect command, of one host address
inline constexpr uint32_t kStalledAnswersWhenDryMs = 3000;  // the same while others wait for the host's buffers
inline constexpr uint32_t kSlowAnswersWhenDryMs = 6000;
// A host address may hold at most so many times the memory of a pool that it leaves free. Further addresses than there
// are shares use theirs together with others.
inline constexpr uint32_t kShareOfFree = 3;
inline constexpr uint32_t kBufferShares = 2048;
// How long a reset, a shutdown or the end of a controller waits for commands that its disks have. Hosts are told to be
// a little more patient (CAP.TO, CRTO.CRWMT, RTD3E), so that they see the fatal status that follows.
inline constexpr uint32_t kQuiesceTimeoutMs = 29'000;
inline constexpr uint32_t kReadyTimeoutMs = 30'000;
// Command Quiesce Time (CQT), in which no command of a lost host is at a disk any more: as the disks promise, within
// these. The field has no room for more.
inline constexpr uint32_t kLeastCommandQuiesceMs = kReadyTimeoutMs;
inline constexpr uint32_t kMaxCommandQuiesceMs = UINT16_MAX;
inline constexpr uint32_t kConnectWaitMs = 3000;  // of a Connect, for the commands of its host's former controller

// A command's descriptors beyond the first are in the capsule after the SQE.
static_assert(kMaxSglDescriptors * 16 <= 4096);
static_assert(kMaxTransferBytes % kPageBytes == 0);
static_assert(kStallCheckMs < kStalledAnswersMs && kStalledAnswersMs < kSlowAnswersMs);
static_assert(kStallCheckMs < kStalledAnswersWhenDryMs && kStalledAnswersWhenDryMs < kSlowAnswersWhenDryMs);
static_assert(kSlowAnswersWhenDryMs < kStalledAnswersMs && kBufferShares <= UINT16_MAX);
static_assert(kQuiesceTimeoutMs < kReadyTimeoutMs && kReadyTimeoutMs <= 255 * 500);  // CAP.TO: 8 bits of 500 ms
static_assert(kLeastCommandQuiesceMs <= kMaxCommandQuiesceMs);
static_assert(kConnectWaitMs < kConnectTimeoutMs);
static_assert(kLastAnswersTimeoutMs + kFlushTimeoutMs + kLastReceiveTimeoutMs < kQuiesceTimeoutMs);

}  // namespace nvmf::core::limits
