// The rules in which the provider families differ, as far as a program that uses libibverbs can see them. profile.cpp
// names the function of rdma-core's provider, or of the kernel's driver, in which each rule was read, or says that it
// is assumed: what hardware and firmware do is in neither.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <span>
#include <string>

namespace nvmf::rnic {

// What makes ibv_req_notify_cq() ask for an event.
enum class Arming : uint8_t {
  Flag,            // each call does
  SequenceNumber,  // a call with a sequence number that has had its event does not; only cq_event counts on
  UntilEvent,      // the first call does; later ones only take effect in cq_event
};

// What becomes of a SEND with invalidate whose device advertises IBV_DEVICE_MEM_MGT_EXTENSIONS.
enum class RemoteInvalidate : uint8_t {
  Works,
  Refused,   // ibv_post_send() fails with EINVAL
  Fails,     // the work request completes with IBV_WC_LOC_QP_OP_ERR
  WrongKey,  // it is sent with another key than the one that was posted: no known device
};

struct Profile {
  std::string name;
  ibv_transport_type transport = IBV_TRANSPORT_IB;
  uint32_t vendor_id = 0;

  Arming arming = Arming::Flag;
  bool arming_sees_waiting_completions = true;  // an event at once when the queue is not empty

  bool destroy_removes_completions = true;  // of the queue pair, from its completion queues; RESET too
  bool reports_half_received = true;        // IBV_WC_WR_FLUSH_ERR for the entry of a message that was cut off
  bool reports_last_wqe = true;             // IBV_EVENT_QP_LAST_WQE_REACHED
  // Whether a work request that is posted when the device has moved the queue pair to the error state, and nothing is
  // in its send queue, is flushed. Otherwise ibv_modify_qp() to the error state has it flushed.
  bool flushes_after_device_error = true;
  // Nothing leads out of the error state but ibv_destroy_qp(), and what is posted there is never flushed.
  bool error_is_final = false;

  bool poll_frees_send_entries = true;     // false: they are free when the device is done with them
  bool poll_frees_receive_entries = true;  // the same, of a shared receive queue
  bool rounds_up_queues = true;            // to a power of two
  // Posting a send rings by a system call. When the device is gone, that fails without naming a work request.
  bool posts_fail_after_removal = false;  // false: they are lost
  // Room in a shared receive queue that an entry takes, where poll_frees_receive_entries: whether it comes back with a
  // completion that was removed unread. That of an entry for which no completion came never does.
  bool removal_frees_receive_entries = true;
  // The same of a message that was cut off, where not reports_half_received: ibv_poll_cq() takes the completion, frees
  // the room and returns nothing.
  bool silent_flush_frees_receive_entries = false;
  // A completion of a shared receive queue's entry stays when its queue pair is destroyed, and points into the memory
  // that the queue pair had: reading it is a fault.
  bool keeps_shared_completions = false;
  bool has_shared_receive_queues = true;  // false: ibv_create_srq() fails with EOPNOTSUPP

  // How long ibv_destroy_qp() can block its caller; it does in that many percent of the calls, by default never.
  uint64_t slow_destroy_ns = 0;
  unsigned slow_destroy_percent = 0;

  RemoteInvalidate remote_invalidate = RemoteInvalidate::Works;
  bool checks_invalidated_keys = true;        // false: a SEND with invalidate arrives whatever its key is
  bool read_sink_needs_remote_write = false;  // the local memory of an RDMA READ
  bool on_demand_paging = false;
  bool pins_dma_bufs = false;  // ibv_reg_dmabuf_mr() needs an exporter whose buffers can be pinned; otherwise none does
  uint32_t max_inline_bytes = 256;

  // Limits.
  int max_qp = 131072;
  int max_cq = 65536;
  int max_srq = 65536;
  int max_qp_wr = 32768;
  int max_cqe = 4194303;
  int max_srq_wr = 32767;
  int max_sge = 30;
  int max_read_depth = 16;  // max_qp_rd_atom and max_qp_init_rd_atom
};

Profile connectx();    // mlx5, mlx4
Profile irdma_gen3();  // irdma with IRDMA_FEATURE_SRQ: Intel's E2000
Profile siw();         // iWARP in software
Profile bnxt_re();     // Broadcom
Profile vmw_pvrdma();  // VMware's paravirtual device
Profile small_hns();   // HiSilicon, with smaller limits than any of its devices has
Profile soft_roce();   // rxe
// Of which a seed of the simulation chooses one.
std::span<const Profile> all_profiles();

// E810, X722: irdma GEN_1 and GEN_2. As efa, erdma, ionic and mana, without shared receive queues.
Profile irdma_gen2();
// Emulex OneConnect.
Profile ocrdma();

}  // namespace nvmf::rnic
