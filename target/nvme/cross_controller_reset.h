// Cross-Controller Reset: NVMe Base 2.3, sections 5.4.3 (the command) and 5.2.12.3.1 (the log page). Command Quiesce
// Time is of Base 2.1. libnvme's headers of Debian 12 have none of it. The values are those of libnvme's later
// nvme-types-base.h (2026); the status codes and the event's information are those of the specification's Figures 103
// and 154 (2.3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::nvme {

inline constexpr uint8_t kAdminCrossControllerReset = 0x38;

// CDW10: ICID in bits 15:0, CIU in bits 23:16; CDW12 and CDW13: CIRN.
inline uint16_t impacted_controller(uint32_t cdw10) { return static_cast<uint16_t>(cdw10); }
inline uint8_t impacted_uniquifier(uint32_t cdw10) { return static_cast<uint8_t>(cdw10 >> 16); }

// Dword 0 of its completion. IRS: the reset was over before the command.
inline constexpr uint32_t kImmediateResetSuccessful = 1u << 0;
// With IRS only. V: the controller that the command names was there; CLRI: the command has begun its reset.
inline constexpr uint32_t kImmediateResetValidated = 1u << 1;
inline constexpr uint32_t kImmediateResetInitiated = 1u << 2;

// Command specific status codes.
inline constexpr uint16_t kCrossControllerResetInProgress = 0x3f;
inline constexpr uint16_t kCrossControllerResetLogPageFull = 0x40;
inline constexpr uint16_t kCrossControllerResetLimitExceeded = 0x41;

// Identify Controller, offsets in bytes.
inline constexpr size_t kIdentifyCiu = 135;    // Controller Instance Uniquifier, 8 bits
inline constexpr size_t kIdentifyCirn = 136;   // Controller Instance Random Number, 64 bits
inline constexpr size_t kIdentifyCqt = 386;    // Command Quiesce Time, 16 bits, milliseconds
inline constexpr size_t kIdentifyCcrl = 1807;  // Cross-Controller Reset Limit, 8 bits

// The event, a notice: its bit of OAES and of the Asynchronous Event Configuration feature, and its information.
inline constexpr uint32_t kCrossControllerResetNotices = 1u << 20;
inline constexpr uint8_t kNoticeCrossControllerResetCompleted = 0xf4;

inline constexpr uint8_t kLogCrossControllerReset = 0x1e;
inline constexpr uint8_t kRemoveCompleted = 1u << 0;  // LSP: the entries that are read, if they have ended

struct CrossControllerResetLogHeader {
  uint16_t entries;  // NE
  uint8_t reserved2[6];
};
static_assert(sizeof(CrossControllerResetLogHeader) == 8);

enum class CrossControllerResetStatus : uint8_t { InProgress = 0, Successful = 1, Failed = 2 };

struct CrossControllerResetLogEntry {
  uint16_t impacted;   // ICID
  uint8_t uniquifier;  // CIU
  uint8_t reserved3;
  uint16_t alternate;  // ACID: the controller that was asked
  CrossControllerResetStatus status;
  uint8_t flags;
};
static_assert(sizeof(CrossControllerResetLogEntry) == 8 && offsetof(CrossControllerResetLogEntry, alternate) == 4);

// CCRF: V, CLRI. Bits 3:2, RETRY, are of resets that have failed.
inline constexpr uint8_t kResetValidated = 1u << 0;
inline constexpr uint8_t kResetInitiated = 1u << 1;

inline constexpr size_t kMaxCrossControllerResetEntries = 511;

// Lost Host Communication, of the same technical proposal (TP8028): log page 1Fh, and the notice that it has changed.
// Fields and numbers are those of libnvme's nvme-types-base.h; the ratified text was not at hand. What it means is
// inferred from the names: the page of a controller lists other controllers of its host whose communication with that
// host was lost.
inline constexpr uint32_t kLostHostCommunicationNotices = 1u << 21;
inline constexpr uint8_t kNoticeLostHostCommunication = 0xf5;

inline constexpr uint8_t kLogLostHostCommunication = 0x1f;

struct LostHostCommunicationLogHeader {
  uint16_t entries;  // NE
  uint8_t reserved2[6];
};
static_assert(sizeof(LostHostCommunicationLogHeader) == 8);

struct LostHostCommunicationLogEntry {
  uint16_t cntlid;     // of the controller that lost its host
  uint8_t count;       // Loss Count
  uint8_t uniquifier;  // CIU
  uint8_t reserved4[4];
};
static_assert(sizeof(LostHostCommunicationLogEntry) == 8 && offsetof(LostHostCommunicationLogEntry, uniquifier) == 3);

inline constexpr size_t kMaxLostHostCommunicationEntries = 511;

}  // namespace nvmf::nvme
