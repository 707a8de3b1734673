// Common parts of the parsers of I/O commands: NVM Command Set 1.0, section 3.
#pragma once

#include "target/core/command/command.h"
#include "target/core/datapath/queue.h"

namespace nvmf::core {

// Command dword 12. What needs directives or extensions is refused: no namespace has them. None has protection
// information either, so PRINFO and STC are ignored (Figures 9 and 10) but for the bits that a command's own section
// wants cleared.
inline constexpr uint32_t kFua = uint32_t{NVME_IO_FUA} << 16;
inline constexpr uint32_t kDeallocate = uint32_t{NVME_IO_DEAC} << 16;
inline constexpr uint32_t kPract = 1u << 29;
inline constexpr uint32_t kPrchk = 0x7u << 26;
inline constexpr uint32_t kStc = uint32_t{NVME_IO_STC} << 16;
inline constexpr uint32_t kDtype = 0xfu << 20;
inline constexpr uint32_t kCetype = 0xfu << 16;

inline constexpr Status kCompareFailure = media_error(NVME_SC_COMPARE_FAILED);
inline constexpr Status kLbaOutOfRange = Status(NVME_SC_LBA_RANGE).do_not_retry();

inline bool in_range(const IoNamespace& ns, uint64_t slba, uint64_t blocks) {
  return slba <= ns.block_count && blocks <= ns.block_count - slba;
}

// Finds the command's namespace, and checks that its host may execute the command on it.
Status find_namespace(Request& request, Denials forbidding);
// Invalid Field at the field of dword 12 that the highest of `bits` belongs to.
Status refuse_dword12(Request& request, uint32_t bits);
// Namespace, SLBA, NLB and FUA; any of `refused_bits` in dword 12 is refused.
Status parse_range(Request& request, IoKind kind, Denials forbidding, uint32_t refused_bits);
// The same for a command with NLB blocks of data.
Status parse_transfer(Request& request, IoKind kind, Transfer transfer, Denials forbidding, uint32_t refused_bits);

// Gives the command the executor for commands that change data.
Status as_change(Request& request, Status status);

// The disk executes the whole command.
void execute_io(Request& request);
void io_done(Io& io, Status status);
// The same for a command that changes data, through the namespace's gate.
void execute_change(Request& request);
void change_done(Io& io, Status status);

// For a command that is not half of a fused operation (command.cpp).
Status parse_normal(Request& request);

// By chapter.
Status parse_write(Request& request);                    // io_command.cpp
Status parse_compare(Request& request);                  // compare.cpp
Status parse_verify(Request& request);                   // compare.cpp
Status parse_copy(Request& request);                     // copy.cpp
Status parse_write_uncorrectable(Request& request);      // io_command.cpp
Status parse_zone_append(Request& request);              // zone_command.cpp
Status parse_zone_management_send(Request& request);     // zone_command.cpp
Status parse_zone_management_receive(Request& request);  // zone_command.cpp

}  // namespace nvmf::core
