// libibverbs objects as owning types: one type per verbs object, destroyed by its one destroy call. A child must be
// destroyed before its parent (a memory region before its protection domain, a queue pair before its completion
// queues): owners declare parents first. Creation is control plane and throws VerbsError, which names call and remedy;
// the data path uses the raw pointers and return codes.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

namespace nvmf::verbs {

class VerbsError : public std::system_error {
 public:
  VerbsError(int error, const std::string& what) : std::system_error(error, std::generic_category(), what) {}
};

template <auto Destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
template <class T, auto Destroy>
using Owned = std::unique_ptr<T, Destroyer<Destroy>>;

// From now on, objects of a device that is gone can be destroyed; otherwise libibverbs would keep them. Call it before
// the first use of libibverbs, while no other thread runs.
void let_go_of_gone_devices();

using ProtectionDomain = Owned<ibv_pd, ibv_dealloc_pd>;
using MemoryRegion = Owned<ibv_mr, ibv_dereg_mr>;
using CompletionChannel = Owned<ibv_comp_channel, ibv_destroy_comp_channel>;
using CompletionQueue = Owned<ibv_cq, ibv_destroy_cq>;
using SharedReceiveQueue = Owned<ibv_srq, ibv_destroy_srq>;
using QueuePair = Owned<ibv_qp, ibv_destroy_qp>;

ProtectionDomain allocate_protection_domain(ibv_context* context);

// Registers [address, address + length). `access` is IBV_ACCESS_*; IBV_ACCESS_ON_DEMAND for memory that cannot be
// pinned.
MemoryRegion register_memory(ibv_pd* domain, void* address, size_t length, int access);
// The access that memory needs into which RDMA READs bring data: iWARP carries them out as writes of the other side.
int read_sink_access(ibv_context* context);
// Faults in the pages of an on-demand region before its first use; best effort, false when the device cannot.
bool prefetch(ibv_mr* region);

// Non-blocking. Events are taken by next_completion_event(), never read from the descriptor: providers note in the verb
// that one was taken, and arm the queue anew only then.
CompletionChannel create_completion_channel(ibv_context* context);
// The queue whose armed event fired; null when no event waits, and errno says EAGAIN, or why. Each that was taken must
// be acknowledged (ibv_ack_cq_events) before its queue is destroyed.
ibv_cq* next_completion_event(ibv_comp_channel* channel);
// `channel` may be null: then the queue is only polled.
CompletionQueue create_completion_queue(ibv_context* context, int entries, ibv_comp_channel* channel);
SharedReceiveQueue create_shared_receive_queue(ibv_pd* domain, uint32_t max_work_requests, uint32_t max_sge);

// Empty, or what to tell the operator: the device has none. Some drivers do not have them (efa, erdma, ionic, mana, and
// irdma for E810 and X722).
std::string lack_of_shared_receive_queues(const ibv_device& device, const ibv_device_attr& attributes);

ibv_device_attr query_device(ibv_context* context);
ibv_port_attr query_port(ibv_context* context, uint8_t port);
// Whether an RC queue pair of this device can send, RDMA WRITE and RDMA READ with on-demand memory regions.
bool supports_on_demand_paging(ibv_context* context);

// Bytes of an ibv_mtu.
constexpr uint32_t mtu_bytes(ibv_mtu mtu) { return 128u << mtu; }
static_assert(mtu_bytes(IBV_MTU_4096) == 4096);
// The path MTU that a connected queue pair has agreed on, in bytes.
uint32_t path_mtu_bytes(ibv_qp* queue_pair);

}  // namespace nvmf::verbs
