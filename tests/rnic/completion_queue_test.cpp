#include <unistd.h>

#include "tests/rnic/ends.h"

namespace nvmf::rnic {
namespace {

// The host sends a message that the target's end receives.
void deliver(Ends& ends) {
  REQUIRE(ends.target->post_receive({ends.target->piece(0, 1024)}, 1) == 0);
  REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 64)}, 1) == 0);
  ends.settle();
  REQUIRE(ends.host->sent().size() == 1);
}

bool arm(Ends& ends) { return ibv_req_notify_cq(ends.target->receives.get(), 0) == 0; }

TEST_CASE("an armed queue tells of the next completion, once") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    REQUIRE(arm(ends));
    CHECK(ends.target->next_event() == nullptr);
    deliver(ends);
    deliver(ends);
    CHECK(ends.target->next_event() == ends.target->receives.get());
    CHECK(ends.target->next_event() == nullptr);
    CHECK(ends.target->received().size() == 2);
  }
}

TEST_CASE("whoever takes events by ibv_get_cq_event() and arms again is woken each time") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    for (int i = 0; i < 10; ++i) {
      REQUIRE(arm(ends));
      CHECK(ends.target->received().empty());
      deliver(ends);
      CHECK(ends.target->next_event() == ends.target->receives.get());
      CHECK(ends.target->received().size() == 1);
    }
  }
}

// mlx5_arm_cq(), irdma_uarm_cq(): what the descriptor gives is no substitute for cq_event.
TEST_CASE("whoever reads the descriptor instead is woken once by ConnectX, irdma and efa, and never again") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    int woken = 0;
    for (int i = 0; i < 10; ++i) {
      REQUIRE(arm(ends));
      CHECK(ends.target->received().empty());
      deliver(ends);
      ibv_cq* record = nullptr;
      if (read(ends.target->channel->fd, &record, sizeof record) == sizeof record) {
        CHECK(record == ends.target->receives.get());
        ibv_ack_cq_events(record, 1);
        ++woken;
      }
      ends.target->received();
    }
    CHECK(woken == (profile.arming == Arming::Flag ? 10 : 1));
  }
}

TEST_CASE("completions that wait when a queue is armed fire at once where the doorbell carries the consumer index") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    deliver(ends);
    REQUIRE(arm(ends));
    ends.settle();
    CHECK((ends.target->next_event() != nullptr) == profile.arming_sees_waiting_completions);
  }
}

TEST_CASE("a queue whose events are not acknowledged cannot go") {
  Fabric fabric(1);
  {
    Device& device = fabric.add_device("rnic0", "192.0.2.1", connectx());
    ibv_context* const context = ibv_open_device(&device);
    {
      const auto channel = verbs::create_completion_channel(context);
      const auto queue = verbs::create_completion_queue(context, 4, channel.get());
      ibv_req_notify_cq(queue.get(), 0);
      static_cast<CompletionQueue*>(queue.get())->add({});
      fabric.schedule().advance(1'000'000);
      ibv_cq* told = nullptr;
      void* owner = nullptr;
      REQUIRE(ibv_get_cq_event(channel.get(), &told, &owner) == 0);
    }
    CHECK(fabric.faults() ==
          std::vector<std::string>{"ibv_destroy_cq() would wait for ever: 1 events were read, 0 acknowledged"});
    ibv_close_device(context);
  }
}

TEST_CASE("events that nobody has read go with their queue, and leave those of others") {
  Ends ends;
  const auto other = verbs::create_completion_queue(ends.target->context, 4, ends.target->channel.get());
  {
    const auto gone = verbs::create_completion_queue(ends.target->context, 4, ends.target->channel.get());
    for (ibv_cq* queue : {gone.get(), other.get()}) {
      ibv_req_notify_cq(queue, 0);
      static_cast<CompletionQueue*>(queue)->add({});
    }
    ends.settle();
  }
  CHECK(ends.target->next_event() == other.get());
  CHECK(ends.target->next_event() == nullptr);
}

TEST_CASE("a queue that overflows fails: IBV_EVENT_CQ_ERR, and later completions are lost") {
  EndOptions options;
  options.completions = 3;
  Ends ends(soft_roce(), options);
  for (int i = 0; i < 5; ++i) deliver(ends);
  CHECK(ends.target->received().size() == 3);
  CHECK(ends.target->told(IBV_EVENT_CQ_ERR));
  deliver(ends);
  CHECK(ends.target->received().empty());
}

TEST_CASE("destroying a queue pair removes its unread completions, or not, as the provider does") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    deliver(ends);
    ends.target->queue_pair.reset();
    const bool removes = profile.destroy_removes_completions && !profile.keeps_shared_completions;
    CHECK(static_cast<CompletionQueue*>(ends.target->receives.get())->waiting() == (removes ? 0 : 1));
    CHECK(static_cast<SharedReceiveQueue*>(ends.target->shared.get())->swallowed() == (removes ? 1 : 0));
    if (!profile.keeps_shared_completions) CHECK(ends.target->received().size() == (removes ? 0 : 1));
  }
}

TEST_CASE("irdma: a completion of a shared receive queue that is polled after its queue pair has gone is a fault") {
  Ends ends(irdma_gen3());
  deliver(ends);
  ends.target->queue_pair.reset();
  CHECK(ends.fabric.faults().empty());
  ends.target->received();
  CHECK(ends.fabric.take_faults().size() == 1);
}

}  // namespace
}  // namespace nvmf::rnic
