// Submission queue entry, completion queue entry and SGL descriptor: NVMe Base 2.0, sections 3.3.3, 4.1 and 4.6.
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/nvme/types.h"

namespace nvmf::nvme {

// SGL Descriptor Type (upper nibble of the identifier byte), Figure 83.
enum class SglType : uint8_t {
  DataBlock = 0x0,
  BitBucket = 0x1,
  Segment = 0x2,
  LastSegment = 0x3,
  KeyedDataBlock = 0x4,
  TransportDataBlock = 0x5,
};

// SGL Descriptor Sub Type (lower nibble of the identifier byte), Figure 84 and RDMA Transport 1.0, Figure 8.
enum class SglSubtype : uint8_t {
  Address = 0x0,
  Offset = 0x1,              // of an in-capsule data block or segment
  InvalidateRemotely = 0xf,  // keyed data block: invalidate the key with the response (SEND with invalidate)
};

// Bytes 24 to 39 of a command: one SGL descriptor. Every type has its identifier in byte 15.
struct SglDescriptor {
  uint64_t address;
  uint8_t specific[7];
  uint8_t identifier;

  SglType type() const { return static_cast<SglType>(identifier >> 4); }
  SglSubtype subtype() const { return static_cast<SglSubtype>(identifier & 0x0f); }
  // Data block, segment and last segment descriptors: 32-bit length.
  uint32_t length() const {
    return uint32_t{specific[0]} | uint32_t{specific[1]} << 8 | uint32_t{specific[2]} << 16 |
           uint32_t{specific[3]} << 24;
  }
  // Keyed data block descriptors: 24-bit length, then the 32-bit remote key.
  uint32_t keyed_length() const {
    return uint32_t{specific[0]} | uint32_t{specific[1]} << 8 | uint32_t{specific[2]} << 16;
  }
  uint32_t key() const {
    return uint32_t{specific[3]} | uint32_t{specific[4]} << 8 | uint32_t{specific[5]} << 16 |
           uint32_t{specific[6]} << 24;
  }
};
static_assert(sizeof(SglDescriptor) == 16);

// Command dword 0, byte 1.
enum class Fuse : uint8_t { Normal = 0, First = 1, Second = 2, Reserved = 3 };
enum class Psdt : uint8_t { Prp = 0, SglMptrContiguous = 1, SglMptrSgl = 2, Reserved = 3 };

// Submission queue entry of admin and NVM commands; fabrics commands (fabrics.h) share bytes 0 to 3 and 24 to 39.
struct Sqe {
  uint8_t opcode;
  uint8_t flags;
  uint16_t cid;
  uint32_t nsid;
  uint32_t cdw2;
  uint32_t cdw3;
  uint64_t mptr;
  SglDescriptor sgl1;
  uint32_t cdw10;
  uint32_t cdw11;
  uint32_t cdw12;
  uint32_t cdw13;
  uint32_t cdw14;
  uint32_t cdw15;

  Fuse fuse() const { return static_cast<Fuse>(flags & 0x3); }
  Psdt psdt() const { return static_cast<Psdt>(flags >> 6); }
  // Fabrics commands carry their command type where NSID's first byte is.
  uint8_t fctype() const { return static_cast<uint8_t>(nsid & 0xff); }
};
static_assert(sizeof(Sqe) == 64);
static_assert(offsetof(Sqe, sgl1) == 24 && offsetof(Sqe, cdw10) == 40);

// Completion queue entry. `status` is the phase-less status field shifted as on the wire: bit 0 is the (unused) phase.
struct Cqe {
  uint64_t result;
  uint16_t sqhd;
  uint16_t sqid;
  uint16_t cid;
  uint16_t status;
};
static_assert(sizeof(Cqe) == 16);

}  // namespace nvmf::nvme
