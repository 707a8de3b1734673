#include "transport/rdma/queue_capacity.h"

#include <algorithm>

#include "target/core/datapath/limits.h"
#include "transport/rdma/queue_set.h"

namespace nvmf::rdma {

// Groups share the device's completion queues and shared receive queues, of which they leave half alone, and the
// memory.
PollGroupOptions bounded(PollGroupOptions options, const ibv_device_attr& device, size_t groups) {
  const auto queues = static_cast<uint64_t>(std::max(std::min(device.max_cq / 2, device.max_srq), 0));
  const uint64_t set_bytes = QueueSetLimits::of(device).memory_bytes(options.in_capsule_bytes);
  const uint64_t share = std::min(queues / 2, options.slot_memory_bytes / set_bytes) / groups;
  options.max_queue_sets = static_cast<uint32_t>(std::clamp<uint64_t>(share, 1, options.max_queue_sets));
  return options;
}

// An answer and one data transfer for each command, RDMA READs of the next, and one command with all descriptors.
uint32_t send_entries(const ibv_device_attr& device, uint32_t depth) {
  const uint32_t wanted = 3 * depth + core::limits::kMaxSglDescriptors + 1;
  return std::min(wanted, static_cast<uint32_t>(device.max_qp_wr));
}

uint32_t max_io_queue_pairs(const ibv_device_attr& device) {
  const auto all = static_cast<uint32_t>(std::max(device.max_qp, 0));
  return all - std::min(kMaxAdminQueues, all / 4);
}

// One group more than reactors: that of the admin queues.
uint32_t io_queue_capacity(const ibv_device_attr& device, const PollGroupOptions& options, size_t reactors,
                           uint32_t depth) {
  const PollGroupOptions of_group = bounded(options, device, reactors + 1);
  const uint64_t of_sets =
      uint64_t{of_group.max_queue_sets} * QueueSetLimits::of(device).capacity(depth, send_entries(device, depth));
  const uint64_t of_groups = reactors * std::min<uint64_t>(of_group.max_queue_pairs, of_sets);
  return static_cast<uint32_t>(std::min<uint64_t>(of_groups, max_io_queue_pairs(device)));
}

}  // namespace nvmf::rdma
