// Fabrics commands: NVMe over Fabrics 1.1 / NVMe Base 2.0, section 6.
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/nvme/command.h"

namespace nvmf::nvme {

inline constexpr char kDiscoveryNqn[] = "nqn.2014-08.org.nvmexpress.discovery";

// Connect command, section 6.3. Its data is struct nvmf_connect_data, 1,024 bytes.
struct ConnectCommand {
  uint8_t opcode;
  uint8_t flags;
  uint16_t cid;
  uint8_t fctype;
  uint8_t reserved5[19];
  SglDescriptor sgl1;
  uint16_t recfmt;
  uint16_t qid;
  uint16_t sqsize_z;
  uint8_t cattr;
  uint8_t reserved47;
  uint32_t kato_ms;
  uint8_t reserved52[12];
};
static_assert(sizeof(ConnectCommand) == 64);
static_assert(offsetof(ConnectCommand, recfmt) == 40 && offsetof(ConnectCommand, kato_ms) == 48);
static_assert(sizeof(nvmf_connect_data) == 1024);

// CATTR bits.
inline constexpr uint8_t kCattrDisableSqFlowControl = 1 << 2;

// CNTLID values in Connect data for the dynamic controller model, and the static model's "any".
inline constexpr uint16_t kCntlidDynamic = 0xffff;
inline constexpr uint16_t kCntlidStaticAny = 0xfffe;
// In reports of a dispersed namespace: a controller of another subsystem that it is in.
inline constexpr uint16_t kCntlidOtherSubsystem = 0xfffd;

// Result of Connect: CNTLID on success; on Connect Invalid Parameters, IATTR and IPO.
inline constexpr uint32_t kIattrInData = 1;  // the parameter is in the data, not in the SQE

// Property Get and Property Set, sections 6.5 and 6.6.
struct PropertyCommand {
  uint8_t opcode;
  uint8_t flags;
  uint16_t cid;
  uint8_t fctype;
  uint8_t reserved5[35];
  uint8_t attrib;  // bits 2:0: 0 = 4 bytes, 1 = 8 bytes
  uint8_t reserved41[3];
  uint32_t offset;
  uint64_t value;  // Property Set
  uint8_t reserved56[8];
};
static_assert(sizeof(PropertyCommand) == 64);
static_assert(offsetof(PropertyCommand, attrib) == 40 && offsetof(PropertyCommand, value) == 48);

// Disconnect, section 6.4.
struct DisconnectCommand {
  uint8_t opcode;
  uint8_t flags;
  uint16_t cid;
  uint8_t fctype;
  uint8_t reserved5[19];
  SglDescriptor sgl1;
  uint16_t recfmt;
  uint8_t reserved42[22];
};
static_assert(sizeof(DisconnectCommand) == 64);

}  // namespace nvmf::nvme
