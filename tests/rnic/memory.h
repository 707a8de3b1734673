// Protection domains, memory regions and dma-bufs. Every transfer of the model asks resolve() first.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/rnic/device.h"

namespace nvmf::rnic {

struct ProtectionDomain : ibv_pd {
  explicit ProtectionDomain(Context& opened);
  ~ProtectionDomain();
  Context& owner;
  int users = 0;  // regions, shared receive queues and queue pairs
};

// Memory that another device lends: a descriptor, and what it stands for. The fabric's map finds it by the descriptor.
struct DmaBuf {
  DmaBuf(Fabric& fabric, int descriptor, std::byte* begin, size_t bytes, bool pinnable);
  ~DmaBuf();
  DmaBuf(const DmaBuf&) = delete;
  DmaBuf& operator=(const DmaBuf&) = delete;

  // The lender takes it away: transfers through the regions fail from now on.
  void revoke();

  std::byte* memory;
  size_t length_bytes;
  bool can_be_pinned;
  std::vector<MemoryRegion*> regions;

 private:
  Fabric& fabric_;
  int fd_;
};

// An access by the other side, before it is made.
struct RemoteAccess {
  std::byte* address;
  size_t length_bytes;
  bool writes;
};

struct MemoryRegion : ibv_mr {
  MemoryRegion(ProtectionDomain& domain_of, void* address, size_t length, uint64_t iova, int rights, DmaBuf* lent);
  ~MemoryRegion();
  // As a host's fast registration: the old keys are void, the new ones are valid.
  void renew_key();
  // What a SEND with invalidate of the other side does; false: the region's key cannot be invalidated.
  bool invalidate();

  ProtectionDomain& domain;
  uint64_t first;  // I/O virtual address
  int access;
  DmaBuf* dma_buf;
  bool valid = true;
  bool can_be_invalidated = false;                            // by the other side
  std::function<void(const RemoteAccess&)> on_remote_access;  // for tests
};

// Where [address, address + length) of the key lies; null when the key, the domain, the bounds or the rights do not
// allow it. `rights`: IBV_ACCESS_*, 0 to read locally.
std::byte* resolve(const ProtectionDomain& domain, uint32_t key, uint64_t address, uint64_t length, int rights);
// The same for the other side, which is told to on_remote_access.
std::byte* resolve_remote(const ProtectionDomain& domain, uint32_t key, uint64_t address, uint64_t length, bool writes);

}  // namespace nvmf::rnic
