#include "tests/rnic/memory.h"

#include <cstdlib>

namespace nvmf::rnic {
namespace {

MemoryRegion* find(const ProtectionDomain& domain, uint32_t key, uint64_t address, uint64_t length) {
  const auto found = domain.owner.device.regions.find(key);
  if (found == domain.owner.device.regions.end()) return nullptr;
  MemoryRegion& region = *found->second;
  const bool inside =
      address >= region.first && length <= region.length && address - region.first <= region.length - length;
  return &region.domain == &domain && region.valid && inside ? &region : nullptr;
}

std::byte* place_in(const MemoryRegion& region, uint64_t address) {
  return static_cast<std::byte*>(region.addr) + (address - region.first);
}

}  // namespace

ProtectionDomain::ProtectionDomain(Context& opened) : ibv_pd{}, owner(opened) {
  context = &opened.context;
  ++owner.objects;
}

ProtectionDomain::~ProtectionDomain() { --owner.objects; }

DmaBuf::DmaBuf(Fabric& fabric, int descriptor, std::byte* begin, size_t bytes, bool pinnable)
    : memory(begin), length_bytes(bytes), can_be_pinned(pinnable), fabric_(fabric), fd_(descriptor) {
  fabric_.dma_bufs[fd_] = this;
}

DmaBuf::~DmaBuf() {
  revoke();
  fabric_.dma_bufs.erase(fd_);
}

void DmaBuf::revoke() {
  for (MemoryRegion* region : regions) {
    region->valid = false;
    region->dma_buf = nullptr;
  }
  regions.clear();
}

MemoryRegion::MemoryRegion(ProtectionDomain& domain_of, void* address, size_t bytes, uint64_t iova, int rights,
                           DmaBuf* lent)
    : ibv_mr{}, domain(domain_of), first(iova), access(rights), dma_buf(lent) {
  context = domain_of.context;
  pd = &domain_of;
  addr = address;
  length = bytes;
  // Some distance apart: the low byte is the consumer's part of a key.
  lkey = rkey = domain.owner.device.fabric().new_number() << 8;
  domain.owner.device.regions[lkey] = this;
  ++domain.users;
  ++domain.owner.objects;
  if (dma_buf != nullptr) dma_buf->regions.push_back(this);
}

MemoryRegion::~MemoryRegion() {
  domain.owner.device.regions.erase(lkey);
  --domain.users;
  --domain.owner.objects;
  if (dma_buf != nullptr) std::erase(dma_buf->regions, this);
}

void MemoryRegion::renew_key() {
  auto& regions = domain.owner.device.regions;
  regions.erase(lkey);
  lkey = rkey = (lkey & ~0xffu) | ((lkey + 1) & 0xffu);
  regions[lkey] = this;
  valid = true;
}

bool MemoryRegion::invalidate() {
  if (!can_be_invalidated || !valid) return false;
  valid = false;
  return true;
}

std::byte* resolve(const ProtectionDomain& domain, uint32_t key, uint64_t address, uint64_t length, int rights) {
  const MemoryRegion* const region = find(domain, key, address, length);
  return region != nullptr && (region->access & rights) == rights ? place_in(*region, address) : nullptr;
}

std::byte* resolve_remote(const ProtectionDomain& domain, uint32_t key, uint64_t address, uint64_t length,
                          bool writes) {
  const int right = writes ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ;
  const MemoryRegion* const region = find(domain, key, address, length);
  if (region == nullptr || (region->access & right) == 0) return nullptr;
  std::byte* const place = place_in(*region, address);
  if (region->on_remote_access) region->on_remote_access({place, length, writes});
  return place;
}

}  // namespace nvmf::rnic
