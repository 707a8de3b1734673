#include <cerrno>

#include "tests/rnic/ends.h"

namespace nvmf::rnic {
namespace {

SharedReceiveQueue& shared(Ends& ends) { return *static_cast<SharedReceiveQueue*>(ends.target->shared.get()); }

// The host sends two pieces, of which the device cannot reach the second: one packet leaves.
void send_half(Ends& ends) {
  const ibv_sge out_of_reach{ends.host->piece(0, 1).addr, 1024, 0xbad};
  REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 1024), out_of_reach}, 1) == 0);
}

constexpr uint32_t kFullQueue = 3;  // entries, which every provider has as they are

// Every entry is posted, and half of a message takes one.
void fill_and_send_half(Ends& ends) {
  for (uint64_t i = 0; i < kFullQueue; ++i) REQUIRE(ends.target->post_receive({ends.target->piece(0, 4096)}, i) == 0);
  send_half(ends);
  ends.settle();
}

TEST_CASE("an entry that a message takes falls below the limit, which is told once") {
  Ends ends;
  for (uint64_t i = 0; i < 4; ++i) REQUIRE(ends.target->post_receive({ends.target->piece(0, 1024)}, i) == 0);
  ibv_srq_attr attributes{};
  attributes.srq_limit = 3;
  REQUIRE(ibv_modify_srq(ends.target->shared.get(), &attributes, IBV_SRQ_LIMIT) == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 64)}, 1) == 0);
  ends.settle();
  const auto events = ends.target->async_events();
  CHECK(std::ranges::count(events, IBV_EVENT_SRQ_LIMIT_REACHED) == 1);
  CHECK(shared(ends).posted() == 1);
}

TEST_CASE("ConnectX has room for a new entry only when the old one's completion has been polled") {
  for (const Profile& profile : {connectx(), soft_roce()}) {
    CAPTURE(profile.name);
    EndOptions options;
    options.shared_receives = 3;
    Ends ends(profile, options);
    for (uint64_t i = 0; i < 3; ++i) REQUIRE(ends.target->post_receive({ends.target->piece(0, 64)}, i) == 0);
    CHECK(ends.target->post_receive({ends.target->piece(0, 64)}, 3) == ENOMEM);
    REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 64)}, 1) == 0);
    ends.settle();
    CHECK(ends.target->post_receive({ends.target->piece(0, 64)}, 4) ==
          (profile.poll_frees_receive_entries ? ENOMEM : 0));
    CHECK(ends.target->received().size() == 1);
    CHECK(ends.target->post_receive({ends.target->piece(0, 64)}, 5) ==
          (profile.poll_frees_receive_entries ? 0 : ENOMEM));
  }
}

TEST_CASE("a half-received message: its entry is flushed in the error state, but Soft-RoCE and bnxt_re swallow it") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    REQUIRE(ends.target->post_receive({ends.target->piece(0, 4096)}, 77) == 0);
    send_half(ends);
    ends.settle();
    CHECK(ends.host->sent().at(0).status == IBV_WC_LOC_PROT_ERR);
    CHECK(ends.target->received().empty());
    CHECK(shared(ends).posted() == 0);

    ibv_qp_attr error{};
    error.qp_state = IBV_QPS_ERR;
    REQUIRE(ibv_modify_qp(ends.target->queue_pair.get(), &error, IBV_QP_STATE) == 0);
    ends.settle();
    const auto received = ends.target->received();
    if (profile.reports_half_received) {
      REQUIRE(received.size() == 1);
      CHECK(received[0].status == IBV_WC_WR_FLUSH_ERR);
      CHECK(received[0].wr_id == 77);
    } else {
      CHECK(received.empty());
      CHECK(shared(ends).swallowed() == 1);
    }
    CHECK(ends.target->told(IBV_EVENT_QP_LAST_WQE_REACHED) == profile.reports_last_wqe);
  }
}

TEST_CASE("a queue pair that is destroyed at once takes the entry of a half-received message with it") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    REQUIRE(ends.target->post_receive({ends.target->piece(0, 4096)}, 77) == 0);
    send_half(ends);
    ends.settle();
    ends.target->queue_pair.reset();
    ends.settle();
    CHECK(ends.target->received().empty());
    CHECK(shared(ends).swallowed() == 1);
  }
}

TEST_CASE("the room of a half-received message's entry comes back in the error state, with a completion or without") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile, {.shared_receives = kFullQueue});
    fill_and_send_half(ends);
    ibv_qp_attr error{};
    error.qp_state = IBV_QPS_ERR;
    REQUIRE(ibv_modify_qp(ends.target->queue_pair.get(), &error, IBV_QP_STATE) == 0);
    ends.settle();
    CHECK(ends.target->received().size() == (profile.reports_half_received ? 1 : 0));
    CHECK(ends.target->post_receive({ends.target->piece(0, 4096)}, kFullQueue) == 0);
  }
}

// Soft-RoCE has the room back as soon as the message takes the entry.
TEST_CASE("the room of an entry that was swallowed comes back, or does not, as the provider has it") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile, {.shared_receives = kFullQueue});
    fill_and_send_half(ends);
    ends.target->queue_pair.reset();
    CHECK(shared(ends).swallowed() == 1);
    CHECK(ends.target->post_receive({ends.target->piece(0, 4096)}, kFullQueue) ==
          (profile.poll_frees_receive_entries ? ENOMEM : 0));
  }
}

TEST_CASE("a device without shared receive queues says so, and gives none") {
  Fabric fabric(1);
  ibv_context* const context = ibv_open_device(&fabric.add_device("rnic0", "192.0.2.1", irdma_gen2()));
  REQUIRE(context != nullptr);
  {
    const auto domain = verbs::allocate_protection_domain(context);
    ibv_srq_init_attr wanted{};
    wanted.attr = {.max_wr = 8, .max_sge = 1, .srq_limit = 0};
    CHECK(ibv_create_srq(domain.get(), &wanted) == nullptr);
    CHECK(errno == EOPNOTSUPP);
    CHECK(verbs::query_device(context).max_srq == 0);
  }
  ibv_close_device(context);
}

TEST_CASE("a queue that has failed takes no message: the sender waits as if there were no entry") {
  Ends ends;
  REQUIRE(ends.target->post_receive({ends.target->piece(0, 64)}, 1) == 0);
  shared(ends).fail();
  REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 64)}, 1) == 0);
  ends.settle();
  CHECK(ends.target->told(IBV_EVENT_SRQ_ERR));
  CHECK(ends.host->sent().empty());
}

}  // namespace
}  // namespace nvmf::rnic
