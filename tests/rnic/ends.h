// Two devices with a connected queue pair each, for tests of the model: a target end with a shared receive queue, and a
// host end with its own receives.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <infiniband/verbs.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/device.h"
#include "tests/rnic/fabric.h"
#include "tests/rnic/memory.h"
#include "tests/rnic/queue_pair.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rnic {

constexpr int kAllRights = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;

struct EndOptions {
  uint32_t send_entries = 8;
  int completions = 64;
  uint32_t inline_bytes = 0;
  uint32_t shared_receives = 0;  // entries; 0: receives of its own
  uint8_t read_depth = 4;
  uint8_t not_ready_retries = 7;
  uint8_t not_ready_timer = 1;
  ibv_mtu mtu = IBV_MTU_1024;
};

// A queue pair with all that belongs to it, and 64 KiB of registered memory.
struct End {
  End(Device& of, const EndOptions& options)
      : device(of),
        context(ibv_open_device(&of)),
        domain(ibv_alloc_pd(context)),
        memory(65536),
        region(verbs::register_memory(domain.get(), memory.data(), memory.size(), kAllRights)),
        channel(verbs::create_completion_channel(context)),
        sends(verbs::create_completion_queue(context, options.completions, channel.get())),
        receives(verbs::create_completion_queue(context, options.completions, channel.get())) {
    if (options.shared_receives != 0)
      shared = verbs::create_shared_receive_queue(domain.get(), options.shared_receives, 2);
    ibv_qp_init_attr attributes{};
    attributes.send_cq = sends.get();
    attributes.recv_cq = receives.get();
    attributes.srq = shared.get();
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap = {options.send_entries, 16, 2, 2, options.inline_bytes};
    queue_pair.reset(ibv_create_qp(domain.get(), &attributes));
    REQUIRE(queue_pair);
  }
  ~End() {
    queue_pair.reset();
    shared.reset();
    sends.reset();
    receives.reset();
    channel.reset();
    region.reset();
    domain.reset();
    ibv_close_device(context);
  }

  void connect_to(uint32_t number, const EndOptions& options) {
    ibv_qp_attr next{};
    next.qp_state = IBV_QPS_INIT;
    next.port_num = 1;
    next.qp_access_flags = kAllRights;
    REQUIRE(ibv_modify_qp(queue_pair.get(), &next,
                          IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS) == 0);
    next.qp_state = IBV_QPS_RTR;
    next.path_mtu = options.mtu;
    next.dest_qp_num = number;
    next.max_dest_rd_atomic = options.read_depth;
    next.min_rnr_timer = options.not_ready_timer;
    REQUIRE(ibv_modify_qp(queue_pair.get(), &next,
                          IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                              IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER) == 0);
    next.qp_state = IBV_QPS_RTS;
    next.timeout = 10;
    next.retry_cnt = 3;
    next.rnr_retry = options.not_ready_retries;
    next.max_rd_atomic = options.read_depth;
    REQUIRE(ibv_modify_qp(queue_pair.get(), &next,
                          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                              IBV_QP_MAX_QP_RD_ATOMIC) == 0);
  }

  ibv_sge piece(size_t offset, uint32_t length) const {
    return {reinterpret_cast<uintptr_t>(memory.data() + offset), length, region->lkey};
  }

  int post(ibv_wr_opcode opcode, std::vector<ibv_sge> pieces, uint64_t wr_id, const End* remote = nullptr,
           size_t remote_offset = 0, unsigned flags = IBV_SEND_SIGNALED) {
    ibv_send_wr work{};
    work.wr_id = wr_id;
    work.sg_list = pieces.data();
    work.num_sge = static_cast<int>(pieces.size());
    work.opcode = opcode;
    work.send_flags = flags;
    if (opcode == IBV_WR_SEND_WITH_INV) {
      work.invalidate_rkey = remote->region->rkey;
    } else if (remote != nullptr) {
      work.wr.rdma.remote_addr = reinterpret_cast<uintptr_t>(remote->memory.data() + remote_offset);
      work.wr.rdma.rkey = remote->region->rkey;
    }
    ibv_send_wr* bad = nullptr;
    return ibv_post_send(queue_pair.get(), &work, &bad);
  }

  int post_receive(std::vector<ibv_sge> pieces, uint64_t wr_id) {
    ibv_recv_wr work{};
    work.wr_id = wr_id;
    work.sg_list = pieces.data();
    work.num_sge = static_cast<int>(pieces.size());
    ibv_recv_wr* bad = nullptr;
    return shared ? ibv_post_srq_recv(shared.get(), &work, &bad) : ibv_post_recv(queue_pair.get(), &work, &bad);
  }

  static std::vector<ibv_wc> poll(const verbs::CompletionQueue& queue) {
    std::vector<ibv_wc> entries(64);
    entries.resize(static_cast<size_t>(ibv_poll_cq(queue.get(), 64, entries.data())));
    return entries;
  }
  std::vector<ibv_wc> sent() const { return poll(sends); }
  std::vector<ibv_wc> received() const { return poll(receives); }
  QueuePair& model() const { return *static_cast<QueuePair*>(queue_pair.get()); }

  // Null: no event waits. Acknowledged at once.
  ibv_cq* next_event() const {
    ibv_cq* queue = nullptr;
    void* owner = nullptr;
    if (ibv_get_cq_event(channel.get(), &queue, &owner) != 0) return nullptr;
    ibv_ack_cq_events(queue, 1);
    return queue;
  }
  // All asynchronous events that wait, acknowledged.
  std::vector<ibv_event_type> async_events() const {
    fcntl(context->async_fd, F_SETFL, O_NONBLOCK);
    std::vector<ibv_event_type> types;
    for (ibv_async_event event; ibv_get_async_event(context, &event) == 0; ibv_ack_async_event(&event))
      types.push_back(event.event_type);
    return types;
  }
  bool told(ibv_event_type type) const {
    const auto types = async_events();
    return std::ranges::find(types, type) != types.end();
  }

  Device& device;
  ibv_context* context;
  verbs::ProtectionDomain domain;
  std::vector<std::byte> memory;
  verbs::MemoryRegion region;
  verbs::CompletionChannel channel;
  verbs::CompletionQueue sends;
  verbs::CompletionQueue receives;
  verbs::SharedReceiveQueue shared;
  verbs::QueuePair queue_pair;
};

// The target's end has the profile under test; the host's is a ConnectX.
struct Ends {
  explicit Ends(const Profile& profile = connectx(), EndOptions options = {}, uint64_t seed = 1)
      : fabric(seed),
        target_device(fabric.add_device("rnic0", "192.0.2.1", profile)),
        host_device(fabric.add_device("host0", "192.0.2.101", connectx())) {
    EndOptions host_options = options;
    if (options.shared_receives == 0) options.shared_receives = 16;
    host_options.shared_receives = 0;
    target.emplace(target_device, options);
    host.emplace(host_device, host_options);
    target->connect_to(host->queue_pair->qp_num, options);
    host->connect_to(target->queue_pair->qp_num, host_options);
  }
  ~Ends() {
    target.reset();
    host.reset();
    CHECK(fabric.faults() == std::vector<std::string>{});
  }

  // Until nothing happens any more, or a second is over.
  void settle() { fabric.schedule().advance(1'000'000'000); }
  void settle_all() {
    while (fabric.schedule().step()) {
    }
  }

  Fabric fabric;
  Device& target_device;
  Device& host_device;
  std::optional<End> target;
  std::optional<End> host;
};

inline void fill(std::vector<std::byte>& memory, size_t offset, size_t length, unsigned seed) {
  for (size_t i = 0; i < length; ++i) memory[offset + i] = static_cast<std::byte>((i * 7 + seed) & 0xff);
}

}  // namespace nvmf::rnic
