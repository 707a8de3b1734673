#include "tests/rnic/profile.h"

#include <array>

namespace nvmf::rnic {

Profile connectx() {
  Profile profile;
  profile.name = "ConnectX";
  profile.vendor_id = 0x02c9;
  // mlx5_arm_cq() rings with arm_sn, which only mlx5_cq_event() advances; the doorbell carries the consumer index, so
  // that completions beyond it are not missed. mlx4_arm_cq() and mlx4_cq_event() are the same.
  profile.arming = Arming::SequenceNumber;
  profile.arming_sees_waiting_completions = true;
  // mlx5_destroy_qp() and mlx5_modify_qp() to RESET call __mlx5_cq_clean(), which drops what has not been polled and
  // frees the shared receive queue's entries without a word.
  profile.destroy_removes_completions = true;
  // mlx5_wq_overflow() compares with wq->tail, which mlx5_poll_cq() moves to the entry that a completion names.
  profile.poll_frees_send_entries = true;
  // mlx5_free_srq_wqe() is called from mlx5_poll_cq(), and from __mlx5_cq_clean() (free_res_cqe()), and by nobody else:
  // the bit of an entry without a completion stays clear, and mlx5_post_srq_recv() answers ENOMEM where it meets one.
  profile.poll_frees_receive_entries = true;
  profile.removal_frees_receive_entries = true;
  // align_queue_size() in mlx5's create_cq() and mlx5_alloc_srq_buf(); mlx5_calc_sq_size() for a send queue.
  profile.rounds_up_queues = true;
  // The kernel's mlx5_ib_qp_event() passes MLX5_EVENT_TYPE_SRQ_LAST_WQE on; when it comes is assumed.
  profile.reports_last_wqe = true;
  // mlx5_handle_error_cqe() gives IBV_WC_WR_FLUSH_ERR; that the device has one for such an entry is assumed, and that
  // it flushes what is posted in the error state (InfiniBand Architecture Specification 10.3.1).
  profile.reports_half_received = true;
  profile.flushes_after_device_error = true;
  profile.on_demand_paging = true;
  return profile;
}

// irdma_ualloc_context() gives a context irdma_uctx_srq_ops only with IRDMA_FEATURE_SRQ, which the kernel's driver has
// for GEN_3.
Profile irdma_gen3() {
  Profile profile;
  profile.name = "irdma GEN_3";
  profile.vendor_id = 0x8086;
  // irdma_uarm_cq() only sets skip_arm while is_armed; irdma_cq_event() arms then, or resets is_armed.
  profile.arming = Arming::UntilEvent;
  profile.arming_sees_waiting_completions = false;
  // irdma_udestroy_qp() calls irdma_clean_cqes(). irdma_uk_clean_cq() finds the queue pair in the completion's second
  // quadword, where that of a shared receive queue has its wr_id: it stays, and irdma_uk_cq_poll_cmpl() takes the freed
  // queue pair from its sixth one.
  profile.destroy_removes_completions = true;
  profile.keeps_shared_completions = true;
  // irdma_uk_cq_poll_cmpl() moves the tail of srq_ring with each completion, and nobody else does.
  profile.removal_frees_receive_entries = false;
  // irdma_upost_send() asks for one more flush only when the ring is empty and ib_qp->state is the error state, which
  // only ibv_modify_qp() writes.
  profile.flushes_after_device_error = false;
  // The kernel's irdma_ib_qp_event() has three events to report: QP_FATAL, QP_ACCESS_ERR and QP_REQ_ERR.
  profile.reports_last_wqe = false;
  // irdma_qp_round_up(). irdma_uk_cq_poll_cmpl() moves the ring's tail to the entry that a completion names.
  profile.rounds_up_queues = true;
  profile.poll_frees_send_entries = true;
  profile.poll_frees_receive_entries = true;
  // That the device reports a flush of such an entry is assumed.
  profile.reports_half_received = true;
  // The kernel's irdma_reg_user_mr_dmabuf() calls ib_umem_dmabuf_get_pinned(), since 2026 its revocable variant.
  profile.pins_dma_bufs = true;
  profile.max_inline_bytes = 101;
  profile.max_qp_wr = 4063;
  profile.max_cqe = 1048573;
  profile.max_srq_wr = 4063;
  profile.max_sge = 13;
  profile.max_read_depth = 127;
  return profile;
}

Profile irdma_gen2() {
  Profile profile = irdma_gen3();
  profile.name = "irdma GEN_2";
  // create_srq() of libibverbs' dummy_ops.c; the kernel's irdma_query_device() leaves max_srq at 0.
  profile.has_shared_receive_queues = false;
  profile.max_srq = profile.max_srq_wr = 0;
  return profile;
}

// Of the devices of iWARP, irdma's have no shared receive queues; siw, cxgb4 with T6 and qedr have. ucma_shutdown() of
// librdmacm moves their queue pairs to SQD, not to the error state.
Profile siw() {
  Profile profile;
  profile.name = "siw";
  profile.transport = IBV_TRANSPORT_IWARP;
  profile.vendor_id = 0x626d74;
  // RFC 5040: the sink of an RDMA READ is a tagged buffer that the peer writes to. The kernel's rdma_rw_init_one_mr()
  // adds REMOTE_WRITE for iWARP.
  profile.read_sink_needs_remote_write = true;
  // siw_notify_cq() sets a flag; the kernel's siw_cq_notify_now() takes it away with the event.
  profile.arming = Arming::Flag;
  profile.arming_sees_waiting_completions = false;
  // siw_destroy_qp() and the kernel's leave the completion queue alone; siw_poll_cq() gives what lies in it.
  profile.destroy_removes_completions = false;
  // The kernel's siw_activate_tx_from_sq() and siw_rqe_get() give an entry back when its message begins.
  profile.poll_frees_send_entries = false;
  profile.poll_frees_receive_entries = false;
  // The kernel's siw_create_qp(), siw_create_cq() and siw_create_srq().
  profile.rounds_up_queues = true;
  // The kernel's siw_rq_flush() completes it (when the queue pair is destroyed, too: here it does not), and raises no
  // event.
  profile.reports_half_received = true;
  profile.reports_last_wqe = false;
  // The kernel's siw_post_send() does nothing in the error state for a user's work request, nor does siw_qp_modify().
  profile.error_is_final = true;
  // A message that finds no entry ends the connection (the kernel's siw_proc_send()); here it waits, as on InfiniBand.
  // siw_post_send() calls siw_db(), a system call, and sets *bad_wr to null; siw_post_srq_recv() calls nobody.
  profile.posts_fail_after_removal = true;
  // siw-abi.h; the kernel's siw.h.
  profile.max_inline_bytes = 80;
  profile.max_qp = 102400;
  profile.max_cq = 102400;
  profile.max_srq = 102400;
  profile.max_qp_wr = 32768;
  profile.max_cqe = 3276800;
  profile.max_srq_wr = 327680;
  profile.max_sge = 6;
  profile.max_read_depth = 128;
  return profile;
}

Profile bnxt_re() {
  Profile profile;
  profile.name = "bnxt_re";
  profile.vendor_id = 0x14e4;
  // bnxt_re_arm_cq() rings each time; there is no cq_event in bnxt_re's verbs_context_ops.
  profile.arming = Arming::Flag;
  profile.arming_sees_waiting_completions = true;
  // bnxt_re_cleanup_cq() clears the handle of the queue pair in each completion; bnxt_re_poll_one() skips those, and so
  // does not come to bnxt_re_release_srqe(): bnxt_re_post_srq_recv() answers ENOMEM when none is left.
  profile.destroy_removes_completions = true;
  profile.removal_frees_receive_entries = false;
  // bnxt_re_poll_err_rcqe() calls bnxt_re_release_srqe(), and returns 0 for BNXT_RE_RSP_ST_HW_FLUSH. That the device
  // has a completion for such an entry, with that status, is assumed.
  profile.reports_half_received = false;
  profile.silent_flush_frees_receive_entries = true;
  // The kernel's bnxt_re_handle_qp_async_event() raises it.
  profile.reports_last_wqe = true;
  // bnxt_re_poll_flush_wcs() completes all that is in the send queue of a queue pair in the error state.
  profile.flushes_after_device_error = true;
  // bnxt_re_poll_success_scqe() moves the queue's head; bnxt_re_post_srq_recv() takes from srq->srwrid's list.
  profile.poll_frees_send_entries = true;
  profile.poll_frees_receive_entries = true;
  // bnxt_re_init_depth(), unless the device has BNXT_RE_COMP_MASK_UCNTX_POW2_DISABLED.
  profile.rounds_up_queues = true;
  // The kernel's bnxt_re_reg_user_mr_dmabuf() calls ib_umem_dmabuf_get_pinned().
  profile.pins_dma_bufs = true;
  // bnxt_re_post_send() takes IBV_WR_SEND_WITH_INV; bnxt_re_ibv_to_bnxt_wr_opcd() has no code for it and gives
  // BNXT_RE_WR_OPCD_INVAL.
  profile.remote_invalidate = RemoteInvalidate::Fails;
  profile.max_inline_bytes = 96;
  profile.max_qp = 65536;
  profile.max_qp_wr = 4351;
  profile.max_srq_wr = 4096;
  profile.max_sge = 6;
  profile.max_read_depth = 126;
  return profile;
}

Profile vmw_pvrdma() {
  Profile profile;
  profile.name = "vmw_pvrdma";
  profile.vendor_id = 0x15ad;
  // pvrdma_req_notify_cq() rings each time, without a consumer index.
  profile.arming = Arming::Flag;
  profile.arming_sees_waiting_completions = false;
  // pvrdma_destroy_qp() calls pvrdma_cq_clean_int().
  profile.destroy_removes_completions = true;
  // pvrdma_post_send() and pvrdma_post_srq_recv() ask pvrdma_idx_ring_has_space(), which compares with an index that
  // the device moves: assumed, when it is done with a send, and when a message takes a receive entry.
  profile.poll_frees_send_entries = false;
  profile.poll_frees_receive_entries = false;
  // align_next_power2() in pvrdma_create_cq(), pvrdma_create_qp() and pvrdma_create_srq().
  profile.rounds_up_queues = true;
  // The kernel's pvrdma_intr1_handler() passes PVRDMA_EVENT_QP_LAST_WQE_REACHED on. The rest is the device's, and is
  // assumed.
  profile.reports_last_wqe = true;
  profile.reports_half_received = true;
  profile.flushes_after_device_error = true;
  // pvrdma_post_send() posts IBV_WR_SEND_WITH_INV, without its key. ibv_wr_opcode_to_pvrdma() is a cast: 9 is
  // PVRDMA_WR_RDMA_READ_WITH_INV. What the device does with that is assumed.
  profile.remote_invalidate = RemoteInvalidate::Fails;
  profile.max_inline_bytes = 0;
  profile.max_qp_wr = 16384;
  profile.max_srq_wr = 4096;
  profile.max_sge = 16;
  return profile;
}

// The rules of hns; the limits are so small that the simulation meets them.
Profile small_hns() {
  Profile profile;
  profile.name = "small hns";
  profile.vendor_id = 0x19e5;
  // hns_roce_u_v2_arm_cq() rings with arm_sn, which only hns_roce_u_cq_event() advances, and with the consumer index.
  profile.arming = Arming::SequenceNumber;
  profile.arming_sees_waiting_completions = true;
  // __hns_roce_v2_cq_clean() drops what has not been polled, and calls hns_roce_free_srq_wqe() for it. Nobody else does
  // but parse_cqe_for_srq(): get_wqe_idx() answers ENOMEM when all entries are taken.
  profile.destroy_removes_completions = true;
  profile.poll_frees_receive_entries = true;
  profile.removal_frees_receive_entries = true;
  // hns_roce_v2_wq_overflow() compares with wq->tail, which parse_cqe_for_req() moves.
  profile.poll_frees_send_entries = true;
  // roundup_pow_of_two() in hns_roce_u_verbs.c, of completion, send and shared receive queues.
  profile.rounds_up_queues = true;
  // The kernel's hns_roce_ib_qp_event() passes HNS_ROCE_EVENT_TYPE_SRQ_LAST_WQE_REACH on. That the device flushes such
  // an entry, and what is posted in the error state, is assumed.
  profile.reports_last_wqe = true;
  profile.reports_half_received = true;
  profile.flushes_after_device_error = true;
  // 32 slots of an admin queue; the answer of a command of 16 descriptors; 2 pieces of a receive slot.
  profile.max_inline_bytes = 32;
  profile.max_qp_wr = 32;
  profile.max_cqe = 255;
  profile.max_srq_wr = 63;
  profile.max_sge = 2;
  profile.max_read_depth = 1;
  return profile;
}

// Without the device's limits, which the device tells.
Profile ocrdma() {
  Profile profile;
  profile.name = "ocrdma";
  profile.vendor_id = 0x10df;
  // The kernel's ocrdma_query_device() claims IB_DEVICE_MEM_MGT_EXTENSIONS; ocrdma_post_send() answers EINVAL.
  profile.remote_invalidate = RemoteInvalidate::Refused;
  // ocrdma_arm_cq(); ocrdma_discard_cqes() of ocrdma_destroy_qp(). All else is assumed.
  profile.arming = Arming::Flag;
  profile.destroy_removes_completions = true;
  return profile;
}

Profile soft_roce() {
  Profile profile;
  profile.name = "Soft-RoCE";
  profile.vendor_id = 0xffffff;
  // The kernel's rxe_req_notify_cq() sets cq->notify; rxe_cq_post() takes it away with the event.
  profile.arming = Arming::Flag;
  profile.arming_sees_waiting_completions = false;
  // rxe_destroy_qp() leaves the completion queue alone; rxe_poll_cq() gives what lies in it.
  profile.destroy_removes_completions = false;
  // Since Linux 6.5 flush_recv_queue() reports the last WQE; a seed of the simulation may take an older kernel's rxe.
  profile.reports_last_wqe = true;
  // The kernel's get_srq_wqe() takes the entry at the first packet; at teardown nothing is reported of it
  // (rxe_drain_req_pkts(), flush_recv_queue()): tried in the lab.
  profile.reports_half_received = false;
  // In the error state the kernel's rxe_completer() calls flush_send_queue().
  profile.flushes_after_device_error = true;
  // rxe's post_one_send() asks queue_full(), and the kernel advances the queue with each work request that is done.
  profile.poll_frees_send_entries = false;
  profile.poll_frees_receive_entries = false;
  profile.rounds_up_queues = false;
  // rxe_post_send() sets *bad_wr to null, puts the work requests into its queue, and returns what the system call of
  // post_send_db() gives: an error when the device is disassociated. rxe_post_srq_recv() calls nobody.
  profile.posts_fail_after_removal = true;
  // The kernel's __rxe_cleanup() waits for the last reference to the queue pair, 50 s at most, while its caller is in
  // the system call.
  profile.slow_destroy_ns = 4'000'000'000;
  profile.on_demand_paging = true;
  profile.max_inline_bytes = 512;
  profile.max_qp_wr = 1048576;
  profile.max_cqe = 32767;
  profile.max_srq_wr = 1048576;
  profile.max_sge = 32;
  profile.max_read_depth = 128;
  return profile;
}

std::span<const Profile> all_profiles() {
  static const std::array kProfiles{connectx(), irdma_gen3(), siw(), bnxt_re(), vmw_pvrdma(), small_hns(), soft_roce()};
  return kProfiles;
}

}  // namespace nvmf::rnic
