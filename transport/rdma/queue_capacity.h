// How many queues an RNIC has room for: what follows from its limits, and from the memory that the receive slots
// of all of them may take.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>

#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {

// The options of each of `groups` poll groups, which share the device.
PollGroupOptions bounded(PollGroupOptions options, const ibv_device_attr& device, size_t groups);
// Work requests that a queue of `depth` entries posts at most.
uint32_t send_entries(const ibv_device_attr& device, uint32_t depth);
// Queue pairs of I/O queues: without those that are left to admin queues.
uint32_t max_io_queue_pairs(const ibv_device_attr& device);
inline constexpr uint32_t kMaxAdminQueues = 4096;  // on a device with few queue pairs, a quarter

// Of I/O queues of `depth` entries, all reactors together. `options`: as they are given to Rnic.
uint32_t io_queue_capacity(const ibv_device_attr& device, const PollGroupOptions& options, size_t reactors,
                           uint32_t depth);

}  // namespace nvmf::rdma
