// The queue pairs of one RNIC on one thread: they share a receive queue, a receive completion queue that the thread can
// sleep on, and a send completion queue that is mostly only polled, so that an answer's own completion does not wake
// the thread; several sets of these when one is not enough (queue_set.h).
//
// The data path is poll_group_datapath.cpp and poll_group_answer_datapath.cpp. Set-up, slabs and queue pairs arriving
// and leaving: poll_group.cpp. The end of what an RNIC does not flush, and of the group: poll_group_end.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "target/core/datapath/buffer_pool.h"
#include "target/core/datapath/io_counters.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/reactor/clock.h"
#include "target/core/reactor/invariant.h"
#include "target/core/reactor/reactor.h"
#include "transport/rdma/namespace_tables.h"
#include "transport/rdma/queue_abort.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/queue_set.h"
#include "transport/rdma/receive_slab.h"
#include "transport/rdma/waiting_capsules.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rdma {

// How memory is registered for the reactor's disks: as io_uring buffers, by their index; -1: not possible. On the
// reactor's thread, or before it runs.
struct FixedBuffers {
  std::function<int(void* address, size_t length_bytes)> add;  // empty: there are no disks
  std::function<void(int index)> remove;
};

struct PollGroupOptions {
  uint32_t in_capsule_bytes = 4096;  // 0 for admin queues
  uint64_t dram_pool_bytes = 64u << 20;
  uint32_t max_transfer_bytes = 1u << 20;
  uint32_t initial_slots = 128;  // capsules; grows with the queues
  uint32_t max_queue_pairs = 65536;
  uint32_t max_queue_sets = 128;
  // For receive slots and request objects, of all groups of an RNIC together; one set each there is always.
  uint64_t slot_memory_bytes = UINT64_MAX;
  uint32_t connect_timeout_ms = core::limits::kConnectTimeoutMs;
  uint32_t stall_check_ms = core::limits::kStallCheckMs;  // between two looks for hosts that take no answers
  bool wake_on_reads_in_place = false;  // where other reactors may wait for the blocks that they are sent out of
  bool wake_on_responses = false;       // for a thread that does not poll anyway (the control thread)
};

// What the group's thread tells the control thread about a queue pair. Each call is made on the control thread.
class QueuePairOwner {
 public:
  virtual ~QueuePairOwner() = default;
  virtual void queue_pair_failed(QueuePair& queue_pair, const std::string& reason) = 0;
  // After abandon(): it has failed.
  virtual void queue_pair_abandoned(QueuePair& queue_pair) = 0;
  // After end_unflushed() that has found commands: QueuePair says how many, and whether they have ended.
  virtual void queue_pair_not_flushed(QueuePair& queue_pair) = 0;
  virtual void queue_pair_drained(QueuePair& queue_pair) = 0;
  virtual void queue_pair_dismissed(QueuePair& queue_pair) = 0;
  // After PollGroup::leave().
  virtual void group_left(PollGroup& group) = 0;
  // After PollGroup::rebuild(): empty, or why the RNIC could not do it.
  virtual void group_rebuilt(PollGroup& group, const std::string& failure) = 0;
};

class PollGroup final : public core::Poller {
 public:
  // `thread`: the mailbox of the thread that polls this group. `control`: the control thread's. Throws VerbsError.
  PollGroup(ibv_context* context, ibv_pd* domain, core::Mailbox& thread, core::Mailbox& control,
            const PollGroupOptions& options, FixedBuffers fixed_buffers);
  ~PollGroup() override;

  // Control thread ------------------------------------------------------------------------------------------------

  // For how many queues of `depth` entries that post at most `send_entries` there is room when there is no other, and
  // whether there is for one more.
  uint32_t capacity(uint32_t depth, uint32_t send_entries) const;
  bool has_room(uint32_t depth, uint32_t send_entries) const;
  // Of a set. More slots have been added for those, but not without end.
  bool may_have_lost_most_slots() const;
  // Makes room for a queue of `depth` entries that posts at most `send_entries`: null when the RNIC's limits are
  // reached. May make a set of queues, and map and register memory: throws VerbsError, std::system_error. Given back by
  // unreserve().
  QueueSet* reserve(uint32_t depth, uint32_t send_entries);
  void unreserve(QueueSet& queues, uint32_t depth, uint32_t send_entries);
  // Before the connection is accepted. The thread drives the queue pair from then on.
  void adopt(QueuePair& queue_pair);
  // Takes no more capsules, drops those that wait and answers those that a disk has; `owner` hears that it is drained
  // when that is done.
  void retire(QueuePair& queue_pair);
  // When it is drained, in its error state, and the RNIC takes no more receive slots for it: `owner` hears that it is
  // dismissed when no completion of it is left to be found, and owns the queue pair again.
  void dismiss(QueuePair& queue_pair);
  // After a queue pair was destroyed: slots that it took with it are posted anew.
  void find_lost_slots(const QueuePair& destroyed);
  // Once in a while: queue pairs whose hosts take no answers fail.
  void find_stalled_hosts();
  // After retire(): no host waits for the answers any more. Only waits for what disks and RNIC still have. `owner`
  // hears when the queue pair has failed.
  void abandon(QueuePair& queue_pair);
  // Some time after queue_pair_abandoned(): the RNIC has to let go of the commands that it has not flushed, and they
  // end without it.
  void end_unflushed(QueuePair& queue_pair);
  // See core::QueueLink. Not after `owner` was notified that the queue pair is drained.
  void abort(QueuePair& queue_pair, uint16_t cid, std::function<void(bool aborted)> done);
  void abort_all(QueuePair& queue_pair, uint32_t nsid, std::function<void()> done);
  void quiesce(QueuePair& queue_pair, std::function<void()> done);
  void set_owner(QueuePairOwner& owner) { owner_ = &owner; }

  // What I/O commands may reach through this group: NamespaceTables says how.
  void open_table(const core::Subsystem& subsystem) { tables_.open(subsystem); }
  std::unique_ptr<core::IoNamespaceTable> close_table(const core::Subsystem& subsystem) {
    return tables_.close(subsystem);
  }
  const core::IoNamespaceTable* namespaces(const core::Subsystem& subsystem) const { return tables_.find(subsystem); }
  void change_namespace(NamespaceChange& change) { tables_.change(change); }

  ibv_context* context() const { return context_; }
  ibv_pd* domain() const { return domain_; }
  const std::vector<std::unique_ptr<QueueSet>>& queue_sets() const { return sets_; }
  bool owns(const ibv_cq* queue) const;
  bool owns(const ibv_srq* queue) const;
  core::Mailbox& mailbox() const { return thread_mailbox_; }
  core::BufferPool& dram() { return *dram_; }
  uint32_t in_capsule_bytes() const { return options_.in_capsule_bytes; }
  uint32_t queue_pairs() const { return queue_pairs_; }
  // Commands from capsule to the completion of their answer.
  uint64_t commands_in_flight() const { return in_flight_.get(); }
  // Commands that concern no namespace: Fabrics and admin commands, and invalid ones.
  const core::CommandCounters& other_commands() const { return other_commands_; }

  // From now on it takes no more queue pairs: it is about to leave().
  void close_to_queue_pairs();
  // The RNIC is gone, or has lost the completions of this group: each queue pair must have been abandoned. The RNIC's
  // work for their requests counts as ended, so that they drain; later completions are ignored. Takes some turns of the
  // group's thread.
  void leave();
  // Of a group that has left, and whose last queue pair was destroyed: new completion queues, and a new shared receive
  // queue. Does nothing before its `owner` has heard that it has left.
  void rebuild();
  // From close_to_queue_pairs() or leave() until it is rebuilt.
  bool takes_no_queue_pairs() const { return life_ != Life::Serves; }
  // leave() was called: no completion is found any more of a queue pair that is dismissed from now on.
  bool ignores_completions() const { return life_ == Life::Leaves || life_ == Life::HasLeft; }
  // It takes no queue pairs, and will again.
  bool is_to_be_rebuilt() const { return takes_no_queue_pairs() && (life_ != Life::HasLeft || queue_pairs_ != 0); }
  // It is leaving or being rebuilt: its thread must not stop polling it before that has ended.
  bool is_changing() const { return life_ == Life::Leaves || life_ == Life::IsRebuilt; }

  // The group's thread: core::Poller ------------------------------------------------------------------------------

  // Before the first turn.
  void open();
  // After the last turn: no queue pair is left, and the group may be destroyed.
  void close();

  unsigned poll() override;
  void flush() override;
  bool arm() override;
  int wake_fd() const override { return channel_->fd; }
  bool on_wake() override;
  uint64_t due_ns() const override;

 private:
  // A place in the tables of queue pairs.
  struct TablePlace {
    size_t set = 0;  // of polled_
    size_t place = 0;
  };
  // From the first turn of leaving to the last one.
  enum class LeavingStep : uint8_t { None, FailQueuePairs, TakeCompletions, EndRequests };
  struct Leaving {
    LeavingStep step = LeavingStep::None;
    TablePlace at = {};  // FailQueuePairs; EndRequests: its set
  };
  enum class Life : uint8_t { Serves, TakesNoMore, Leaves, HasLeft, IsRebuilt };

  // Set-up and change (poll_group.cpp).
  QueueSet* find_room(uint32_t depth, uint32_t send_entries) const;
  QueueSet& add_queue_set();
  void send(QueueSet& queues);
  void send(ReceiveSlab& slab);
  int add_fixed(std::span<std::byte> memory);
  void install(QueueSet& queues);
  void install(ReceiveSlab& slab);
  void install(QueuePair& queue_pair);
  void begin_retire(QueuePair& queue_pair);
  void begin_abandon(QueuePair& queue_pair);
  void begin_dismiss(QueuePair& queue_pair);
  void report_dismissed();
  void check_nothing_is_left() const;
  void on_dismissed(QueuePair& queue_pair);
  void find_lost_slots(QueueSet& queues);
  void post_lost_slots(QueueSet& queues);
  void fail_stalled_hosts();
  bool others_wait_for(const QueuePair& queue_pair) const;

  // The end of what an RNIC does not flush, and of the group (poll_group_end.cpp).
  void begin_end_unflushed(QueuePair& queue_pair);
  void take_send_completions(QueueSet& queues);
  void go_on_leaving();
  bool fail_some_queue_pairs();
  // Of a set's queue pairs at most `most`, from a place on, which goes on. False: there are no more, in any set.
  template <class Visitor>
  bool visit_some(TablePlace& at, unsigned most, Visitor visitor) const {
    if (at.set == polled_.size()) return false;
    const QueuePairTable& table = polled_[at.set]->by_number;
    at.place = table.visit_some(at.place, most, visitor);
    if (at.place == table.end()) at = {.set = at.set + 1};
    return at.set != polled_.size();
  }
  void end_what_rnic_has(const QueuePair& queue_pair);
  void go_on_rebuilding();
  std::string make_queues_anew(QueueSet& queues);

  void report_drained();
  // Has call(*this) made on the control thread: at once where this is it.
  template <class Call>
  void tell_control(core::Message& message, Call call) {
    if (&thread_mailbox_ == &control_mailbox_) return call(*this);
    control_mailbox_.send(message, *this, call);
  }
  void send_back(QueuePair& queue_pair, core::Message& message);
  static void came_back(QueuePair& queue_pair);

  // The data path (poll_group_datapath.cpp, poll_group_answer_datapath.cpp), in the order of a command's life.
  static constexpr int kCompletionsAtOnce = 32;
  unsigned poll_receives(QueueSet& queues);
  void on_capsule(QueueSet& queues, const ibv_wc& completion);
  RdmaRequest& take_request(ReceiveSlot& slot);
  void drop_waiting_capsules(QueuePair& queue_pair);
  void start_waiting_capsules();
  void start(RdmaRequest& request);
  void throttle(RdmaRequest& request);
  unsigned resume_throttled();
  void drop_waiting(QueuePair& queue_pair);
  void drop_held(QueuePair& queue_pair);
  void place_data(RdmaRequest& request);
  static bool is_read_in_place(const RdmaRequest& request);
  void use_namespace_memory(RdmaRequest& request);
  void execute(RdmaRequest& request);
  void use_capsule_room(RdmaRequest& request);
  void use_in_capsule_data(RdmaRequest& request);
  void take_buffer(RdmaRequest& request);
  void proceed_with_buffer(RdmaRequest& request);
  void begin_reads(RdmaRequest& request);
  void read_from_host(RdmaRequest& request);
  void link_reads(RdmaRequest& request);
  void on_read_done(RdmaRequest& request, bool good);
  static void respond(core::Request& request);
  void answer(RdmaRequest& request);
  static bool carries_data(const RdmaRequest& request);
  static uint32_t entries_of_answer(const RdmaRequest& request);
  void link_answer(RdmaRequest& request);
  ibv_send_wr* link_segments(RdmaRequest& request, uint32_t first, uint32_t count, ibv_wr_opcode opcode);
  void link(QueuePair& queue_pair, ibv_send_wr& work);
  void one_command_less(QueuePair& queue_pair);
  static void give_back_entries(QueuePair& queue_pair, uint32_t count);
  static void repost(ReceiveSlot& slot);
  static void post_receives(QueueSet& queues);
  unsigned poll_sends(QueueSet& queues);
  void on_sent(const QueueSet& queues, const ibv_wc& completion);
  bool on_send_failed(const QueueSet& queues, const ibv_wc& completion);
  void resume_waiting(QueuePair& queue_pair);
  void end(RdmaRequest& request);
  void release_buffer(RdmaRequest& request);
  void end_in_place(RdmaRequest& request);
  unsigned serve_waiters();
  void fail(QueuePair& queue_pair, ibv_wc_status status, const char* reason = nullptr);
  static std::string reason_of(const QueuePair& failed);
  template <class List>
  void drop_waiting_posts(List& waiting);
  void on_post_failed(QueuePair& queue_pair, ibv_send_wr* bad);
  static void on_receives_refused(QueueSet& queues, ibv_recv_wr* bad);
  static void repost_refused(QueueSet& queues);
  static void count_down(uint32_t& count) {
    NVMF_INVARIANT(count != 0);
    --count;
  }
  bool arm(const verbs::CompletionQueue& queue);
  bool has_work_of_its_own() const;
  bool send_events_wanted() const;
  void note_event(const ibv_cq* queue);

  // Commands to be aborted (poll_group_abort.cpp).
  static constexpr uint32_t kAbortsPerTurn = 16;  // looked at
  void send(QueuePair& queue_pair, std::unique_ptr<QueueAbort> abort);
  void end_abort(QueueAbort& ended);
  void begin_abort(QueueAbort& abort);
  void begin_quiesce(QueueAbort& abort);
  void abort_waiting_capsule(QueueAbort& abort);
  void start_aborted(RdmaRequest& request);
  bool abort_waiting(RdmaRequest& request, core::Status status);
  bool withdraw(RdmaRequest& request);
  bool withdraw_before_its_data(RdmaRequest& request);
  void report_aborted(uint32_t most);

  // Read once for all that is found at a time: reading the clock costs as much as counting.
  uint64_t now_ns() {
    if (now_ns_ == 0) now_ns_ = core::steady_ns();
    return now_ns_;
  }
  void count(const RdmaRequest& request);
  void count_other(const RdmaRequest& request);
  void count_moved(RdmaRequest& request, core::RdmaDirection direction);
  static void count_fallback(const RdmaRequest& request, core::Fallback reason);

  ibv_context* context_;
  ibv_pd* domain_;
  core::Mailbox& thread_mailbox_;
  core::Mailbox& control_mailbox_;
  PollGroupOptions options_;
  FixedBuffers fixed_buffers_;
  QueuePairOwner* owner_ = nullptr;

  verbs::CompletionChannel channel_;
  const QueueSetLimits set_limits_;
  Pages dram_pages_;
  verbs::MemoryRegion dram_region_;
  std::unique_ptr<core::BufferPool> dram_;

  NamespaceTables tables_;

  // Control thread.
  std::vector<std::unique_ptr<QueueSet>> sets_;
  uint32_t queue_pairs_ = 0;
  std::vector<std::unique_ptr<QueueAbort>> aborts_;
  Life life_ = Life::Serves;
  core::Message leave_;  // this and those below come back
  core::Message rebuild_;
  core::Message stalled_hosts_;
  bool finding_stalled_hosts_ = false;
  std::string rebuild_failure_;  // travels with rebuild_

  // The group's thread.
  int completions_at_once_ = kCompletionsAtOnce;  // that are asked for; 0 when the RNIC is gone
  int dram_fixed_index_ = -1;
  Leaving leaving_;
  size_t sets_rebuilt_ = 0;
  static constexpr unsigned kQueuePairsPerLook = 64;
  TablePlace looked_at_;           // by fail_stalled_hosts()
  uint32_t throttled_ = 0;         // requests that wait for their namespace's limit
  std::vector<QueueSet*> polled_;  // the sets that have been installed
  WaitingCapsules waiting_capsules_;
  core::IntrusiveList<QueuePair, &QueuePair::next_dirty> dirty_;
  struct ExtraSegment {
    ibv_sge piece;
    ibv_send_wr work;
  };
  std::vector<ExtraSegment> extra_segments_;  // work requests of this turn beyond a command's first segment
  size_t extra_used_ = 0;
  uint32_t reads_in_flight_ = 0;
  uint32_t retiring_ = 0;  // queue pairs whose end the control thread awaits
  core::IntrusiveList<QueuePair, &QueuePair::next_retiring> drained_;  // of these: nothing is outstanding
  core::IntrusiveList<QueuePair, &QueuePair::next_retiring> dismissing_;
  core::IntrusiveList<QueueAbort, &QueueAbort::next_waiting> aborting_;  // that wait for answers to leave
  uint32_t aborts_waiting_ = 0;                                          // of these
  uint32_t waiting_posts_ = 0;      // requests that wait for send queue entries or read depth
  uint32_t waiting_buffers_ = 0;    // requests that wait for a buffer
  bool buffers_came_free_ = false;  // since waiting requests were served
  uint32_t reads_in_place_ = 0;     // commands that have claimed blocks of a namespace in memory, or are to
  unsigned found_ = 0;              // by the last poll()
  bool event_comes_ = false;        // with the next completion: what is armed has been found empty since
  uint64_t now_ns_ = 0;             // when the present events were found; 0: the clock has not been read
  uint32_t naps_ = 0;               // times that its thread may have slept
  core::Counter in_flight_;
  core::CommandCounters other_commands_;
};

}  // namespace nvmf::rdma
