// A namespace in memory that the CPU reads and writes: the device's memory, and a reactor's channel to it.
//
// A command is done before submit() returns, unless it is long, or meets others at the same blocks (extent_claims.h):
// then it goes on in a later turn. A Read whose data is the namespace's own memory (MemoryKind::Namespace) copies
// nothing: it is done when its blocks are claimed for it, and they are until end_in_place().
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/backend/engine.h"
#include "target/core/datapath/extent_claims.h"
#include "target/core/datapath/io.h"
#include "target/core/datapath/limits.h"
#include "target/core/reactor/intrusive_list.h"

namespace nvmf::backend {

// A change may wait so long for RNICs that send the blocks of an extent: a host that takes its answers too slowly is
// disconnected then (limits.h). One of several extents may wait so for each.
inline constexpr uint32_t kLongestClaimMs = 2 * (core::limits::kSlowAnswersWhenDryMs + core::limits::kStallCheckMs);
static_assert(kLongestClaimMs < core::limits::kQuiesceTimeoutMs);

// Shared by the channels of all reactors; outlives them.
struct AddressableMemory {
  AddressableMemory(std::byte* begin, uint64_t bytes, uint8_t shift)
      : address(begin), length_bytes(bytes), lba_shift(shift), claims(bytes) {}

  std::byte* address;
  uint64_t length_bytes;
  uint8_t lba_shift;
  core::ExtentClaims claims;
  // Each for a piece of an extent that is claimed for a change. Deallocate, and Write Zeroes that may deallocate:
  // clears it. Null: the CPU writes zeroes.
  void (*clear)(std::byte* begin, size_t length_bytes) = nullptr;
  // After each change, before it is done. Null: there is nothing to do.
  void (*persist)(const std::byte* begin, size_t length_bytes) = nullptr;
};

class MemoryChannel final : public core::IoChannel, private Deferred {
 public:
  MemoryChannel(UringEngine& engine, AddressableMemory& memory) : engine_(engine), memory_(memory) {}

  void submit(core::Io& io) override;
  // Not of a Read, which changes nothing.
  void withdraw_rest(core::Io& io) override {
    if (io.kind != core::IoKind::Read) io.backend_step = kWithdrawn;
  }
  void end_in_place(core::Io& io) override;
  bool keeps_changes_waiting(const core::Io& io) const override;

 private:
  // After so much of a command the others have their turn.
  static constexpr uint64_t kBytesOfTurn = 1 << 20;
  // Io::backend_step of a command that goes on only to end.
  static constexpr uint32_t kWithdrawn = 1;

  // Bytes of the namespace.
  struct Range {
    uint64_t begin;
    uint64_t end;
  };

  unsigned try_again() override;
  void wait(core::Io& io);
  // True: it is done.
  bool go_on(core::Io& io);
  bool read(const core::Io& io);
  bool change(core::Io& io);
  void give_up(const core::Io& io);
  // Of a claimed extent, after `done_bytes` of the command's range.
  void change(const core::Io& io, uint64_t done_bytes, Range part);
  Range range_of(const core::Io& io) const;
  Range range_of(const core::Io& io, uint32_t index) const;  // of a Deallocate with several

  UringEngine& engine_;
  AddressableMemory& memory_;
  core::IntrusiveList<core::Io, &core::Io::next> waiting_;
};

}  // namespace nvmf::backend
