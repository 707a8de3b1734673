#include <cerrno>

#include "tests/rnic/ends.h"

namespace nvmf::rnic {
namespace {

int to_state(End& end, ibv_qp_state state) {
  ibv_qp_attr attributes{};
  attributes.qp_state = state;
  return ibv_modify_qp(end.queue_pair.get(), &attributes, IBV_QP_STATE);
}

TEST_CASE("a device gives as many queue pairs, completion queues and shared receive queues as it says, and no more") {
  Profile profile = connectx();
  profile.max_qp = profile.max_cq = profile.max_srq = 2;
  Fabric fabric(1);
  ibv_context* const context = ibv_open_device(&fabric.add_device("rnic0", "192.0.2.1", profile));
  REQUIRE(context != nullptr);
  {
    const auto domain = verbs::allocate_protection_domain(context);
    std::vector<verbs::CompletionQueue> completions;
    std::vector<verbs::SharedReceiveQueue> receives;
    std::vector<verbs::QueuePair> queue_pairs;
    for (int i = 0; i < 2; ++i) {
      completions.push_back(verbs::create_completion_queue(context, 8, nullptr));
      receives.push_back(verbs::create_shared_receive_queue(domain.get(), 8, 1));
    }
    CHECK(ibv_create_cq(context, 8, nullptr, nullptr, 0) == nullptr);
    CHECK(errno == ENOMEM);
    ibv_srq_init_attr one_more{};
    one_more.attr = {.max_wr = 8, .max_sge = 1, .srq_limit = 0};
    CHECK(ibv_create_srq(domain.get(), &one_more) == nullptr);
    CHECK(errno == ENOMEM);

    ibv_qp_init_attr attributes{};
    attributes.send_cq = attributes.recv_cq = completions[0].get();
    attributes.cap = {8, 8, 1, 1, 0};
    attributes.qp_type = IBV_QPT_RC;
    for (int i = 0; i < 2; ++i) queue_pairs.emplace_back(ibv_create_qp(domain.get(), &attributes));
    CHECK(queue_pairs[1] != nullptr);
    CHECK(ibv_create_qp(domain.get(), &attributes) == nullptr);
    CHECK(errno == ENOMEM);
    queue_pairs.pop_back();
    queue_pairs.emplace_back(ibv_create_qp(domain.get(), &attributes));
    CHECK(queue_pairs[1] != nullptr);
  }
  ibv_close_device(context);
  CHECK(fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("states are gone through in order, with the attributes that each needs") {
  Ends ends;
  CHECK(to_state(*ends.target, IBV_QPS_INIT) == EINVAL);
  CHECK(to_state(*ends.target, IBV_QPS_RTR) == EINVAL);
  CHECK(to_state(*ends.target, IBV_QPS_RESET) == 0);
  CHECK(to_state(*ends.target, IBV_QPS_INIT) == EINVAL);  // without its attributes
  CHECK(ends.target->post(IBV_WR_SEND, {}, 1) == EINVAL);
  CHECK(to_state(*ends.target, IBV_QPS_ERR) == EINVAL);
}

TEST_CASE("data goes both ways, in one packet and in several") {
  for (const Profile& profile : all_profiles()) {
    for (const uint32_t length : {1u, 1024u, 1025u, 20'000u}) {
      CAPTURE(profile.name);
      CAPTURE(length);
      Ends ends(profile);
      fill(ends.host->memory, 0, length, 1);
      fill(ends.target->memory, 30'000, length, 2);
      REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {ends.target->piece(0, length)}, 1, &*ends.host) == 0);
      REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(30'000, length)}, 2, &*ends.host, 30'000) == 0);
      ends.settle();
      const auto sent = ends.target->sent();
      REQUIRE(sent.size() == 2);
      CHECK(sent[0].status == IBV_WC_SUCCESS);
      CHECK(sent[0].wr_id == 1);
      CHECK(sent[1].status == IBV_WC_SUCCESS);
      CHECK(std::memcmp(ends.target->memory.data(), ends.host->memory.data(), length) == 0);
      CHECK(std::memcmp(ends.target->memory.data() + 30'000, ends.host->memory.data() + 30'000, length) == 0);
    }
  }
}

TEST_CASE("messages arrive in their order, spread over the pieces of an entry") {
  Ends ends;
  for (uint64_t i = 0; i < 8; ++i)
    REQUIRE(ends.target->post_receive({ends.target->piece(i * 4096, 64), ends.target->piece(i * 4096 + 64, 2000)}, i) ==
            0);
  for (size_t i = 0; i < 8; ++i) {
    fill(ends.host->memory, i * 4096, 1500, static_cast<unsigned>(i));
    REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(i * 4096, 1500)}, i) == 0);
  }
  ends.settle();
  const auto received = ends.target->received();
  REQUIRE(received.size() == 8);
  for (size_t i = 0; i < 8; ++i) {
    CHECK(received[i].wr_id == i);
    CHECK(received[i].byte_len == 1500);
    CHECK(received[i].qp_num == ends.target->queue_pair->qp_num);
    CHECK(std::memcmp(ends.target->memory.data() + i * 4096, ends.host->memory.data() + i * 4096, 1500) == 0);
  }
}

TEST_CASE("what is sent inline may be overwritten at once, other data must stay") {
  EndOptions options;
  options.inline_bytes = 16;
  Ends ends(connectx(), options);
  for (const unsigned flag : {unsigned{IBV_SEND_INLINE}, 0u}) {
    fill(ends.target->memory, 0, 16, 9);
    REQUIRE(ends.host->post_receive({ends.host->piece(0, 64)}, 1) == 0);
    REQUIRE(ends.target->post(IBV_WR_SEND, {ends.target->piece(0, 16)}, 1, nullptr, 0, IBV_SEND_SIGNALED | flag) == 0);
    const std::vector<std::byte> posted = ends.target->memory;
    fill(ends.target->memory, 0, 16, 100);
    ends.settle();
    CHECK((std::memcmp(ends.host->memory.data(), posted.data(), 16) == 0) == (flag != 0));
  }
  CHECK(ends.target->post(IBV_WR_SEND, {ends.target->piece(0, 17)}, 1, nullptr, 0, IBV_SEND_INLINE) == EINVAL);
}

TEST_CASE("unsignalled entries are free when a later completion has been polled; with Soft-RoCE when they are done") {
  for (const Profile& profile : {connectx(), soft_roce()}) {
    CAPTURE(profile.name);
    EndOptions options;
    options.send_entries = 4;
    Ends ends(profile, options);
    const auto write = [&](unsigned flags) {
      return ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 8)}, 1, &*ends.host, 0, flags);
    };
    for (int i = 0; i < 3; ++i) REQUIRE(write(0) == 0);
    REQUIRE(write(IBV_SEND_SIGNALED) == 0);
    CHECK(write(0) == ENOMEM);
    ends.settle();
    CHECK(ends.target->model().free_send_entries() == (profile.poll_frees_send_entries ? 0 : 4));
    CHECK(ends.target->sent().size() == 1);
    CHECK(ends.target->model().free_send_entries() == 4);
    CHECK(write(0) == 0);
  }
}

TEST_CASE("in the error state every work request is flushed, unsignalled ones too, in order") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    for (uint64_t i = 0; i < 8; ++i)
      REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 8)}, i, &*ends.host, 0, 0) == 0);
    REQUIRE(to_state(*ends.target, IBV_QPS_ERR) == 0);
    CHECK(ends.target->sent().empty());
    ends.settle();
    const auto sent = ends.target->sent();
    REQUIRE(sent.size() == 8);
    for (uint64_t i = 0; i < 8; ++i) {
      CHECK(sent[i].status == IBV_WC_WR_FLUSH_ERR);
      CHECK(sent[i].wr_id == i);
    }
    REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 8)}, 9, &*ends.host, 0, 0) == 0);
    ends.settle();
    CHECK(ends.target->sent().size() == (profile.error_is_final ? 0 : 1));
  }
}

// irdma_upost_send() looks at ib_qp->state, which the device's own error does not change.
TEST_CASE("irdma does not flush what is posted after the device's own error until the program says error, too") {
  for (const Profile& profile : all_profiles()) {
    if (profile.error_is_final) continue;
    CAPTURE(profile.name);
    Ends ends(profile);
    ends.target->model().fail();
    ends.settle();
    CHECK(ends.target->told(IBV_EVENT_QP_FATAL));
    REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 8)}, 1, &*ends.host) == 0);
    ends.settle();
    CHECK(ends.target->sent().size() == (profile.flushes_after_device_error ? 1 : 0));
    REQUIRE(to_state(*ends.target, IBV_QPS_ERR) == 0);
    ends.settle();
    CHECK(ends.target->sent().size() == (profile.flushes_after_device_error ? 0 : 1));
  }
}

TEST_CASE("siw never flushes what is posted in the error state, and leaves that for no other") {
  for (const bool by_device : {false, true}) {
    CAPTURE(by_device);
    Ends ends(siw());
    if (by_device)
      ends.target->model().fail();
    else
      REQUIRE(to_state(*ends.target, IBV_QPS_ERR) == 0);
    ends.settle();
    REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 8)}, 1, &*ends.host) == 0);
    for (const ibv_qp_state next : {IBV_QPS_ERR, IBV_QPS_RESET}) {
      CHECK(to_state(*ends.target, next) == 0);
      ends.settle();
      CHECK(ends.target->sent().empty());
      CHECK(ends.target->model().now == IBV_QPS_ERR);
    }
  }
}

TEST_CASE("RDMA READs beyond the own depth wait; beyond the other side's they end the connection") {
  EndOptions options;
  options.read_depth = 2;
  Ends ends(connectx(), options);
  for (uint64_t i = 0; i < 8; ++i)
    REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {ends.target->piece(i * 4096, 4096)}, i, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().size() == 8);

  ends.host->model().attributes.max_dest_rd_atomic = 1;
  for (uint64_t i = 0; i < 2; ++i)
    REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {ends.target->piece(i * 4096, 4096)}, i, &*ends.host) == 0);
  ends.settle();
  const auto sent = ends.target->sent();
  REQUIRE(sent.size() == 2);
  CHECK(sent.back().status == IBV_WC_REM_INV_REQ_ERR);
}

TEST_CASE("a receiver that is not ready makes the sender try again, as often as it was told") {
  EndOptions options;
  options.not_ready_retries = 2;
  Ends ends(connectx(), options);
  REQUIRE(ends.target->post(IBV_WR_SEND, {ends.target->piece(0, 16)}, 1) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_RNR_RETRY_EXC_ERR);
  CHECK(ends.target->model().now == IBV_QPS_ERR);
}

TEST_CASE("with seven retries a sender waits for ever, and everything behind it with it") {
  Ends ends;
  REQUIRE(ends.target->post(IBV_WR_SEND, {ends.target->piece(0, 16)}, 1) == 0);
  REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, 2, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().empty());
  REQUIRE(ends.host->post_receive({ends.host->piece(0, 64)}, 1) == 0);
  ends.settle();
  CHECK(ends.target->sent().size() == 2);
}

TEST_CASE("a message longer than the entry ends both sides") {
  Ends ends;
  REQUIRE(ends.target->post_receive({ends.target->piece(0, 64)}, 5) == 0);
  REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 65)}, 1) == 0);
  ends.settle();
  CHECK(ends.host->sent().at(0).status == IBV_WC_REM_INV_REQ_ERR);
  const auto received = ends.target->received();
  REQUIRE(received.size() == 1);
  CHECK(received[0].status == IBV_WC_LOC_LEN_ERR);
  CHECK(received[0].wr_id == 5);
  CHECK(ends.target->told(IBV_EVENT_QP_REQ_ERR));
}

TEST_CASE("a SEND with invalidate takes the host's key away, where the device does not lie about it") {
  std::vector<Profile> profiles(all_profiles().begin(), all_profiles().end());
  profiles.push_back(ocrdma());
  for (const Profile& profile : profiles) {
    CAPTURE(profile.name);
    CHECK((Ends(profile).target_device.attributes().device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS) != 0);
    Ends ends(profile);
    auto& region = *static_cast<MemoryRegion*>(ends.host->region.get());
    region.can_be_invalidated = true;
    REQUIRE(ends.host->post_receive({ends.host->piece(0, 64)}, 1) == 0);
    const auto other = verbs::register_memory(ends.host->domain.get(), ends.host->memory.data(), 64, kAllRights);
    ends.host->post_receive({{ends.host->piece(0, 64).addr, 64, other->lkey}}, 2);
    const int posted = ends.target->post(IBV_WR_SEND_WITH_INV, {ends.target->piece(0, 16)}, 1, &*ends.host);
    if (profile.remote_invalidate == RemoteInvalidate::Refused) {
      CHECK(posted == EINVAL);
      continue;
    }
    REQUIRE(posted == 0);
    ends.settle();
    if (profile.remote_invalidate == RemoteInvalidate::Fails) {
      CHECK(ends.target->sent().at(0).status == IBV_WC_LOC_QP_OP_ERR);
      continue;
    }
    CHECK(ends.target->sent().at(0).status == IBV_WC_SUCCESS);
    const auto received = ends.host->received();
    REQUIRE(received.size() == 1);
    CHECK((received[0].wc_flags & IBV_WC_WITH_INV) != 0);
    CHECK(received[0].invalidated_rkey == ends.host->region->rkey);
    CHECK_FALSE(region.valid);
    region.renew_key();
    CHECK(region.valid);
  }
}

TEST_CASE("a key that cannot be invalidated ends the connection") {
  Ends ends;
  REQUIRE(ends.host->post_receive({ends.host->piece(0, 64)}, 1) == 0);
  REQUIRE(ends.target->post(IBV_WR_SEND_WITH_INV, {ends.target->piece(0, 16)}, 1, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_REM_ACCESS_ERR);
}

TEST_CASE("nobody answers: the retries are used up, unless the link comes back before") {
  Ends ends;
  ends.host_device.set_link(false);
  REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, 1, &*ends.host) == 0);
  ends.fabric.schedule().advance(6'000'000);
  CHECK(ends.target->sent().empty());
  ends.host_device.set_link(true);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_SUCCESS);
  CHECK(ends.host->told(IBV_EVENT_PORT_ERR));

  ends.host->queue_pair.reset();
  REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, 2, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_RETRY_EXC_ERR);
}

TEST_CASE("an event of a queue pair that goes before the event is told is not told any more") {
  Ends ends(connectx(), {.shared_receives = 4});
  ibv_qp_attr error{};
  error.qp_state = IBV_QPS_ERR;
  REQUIRE(ibv_modify_qp(ends.target->queue_pair.get(), &error, IBV_QP_STATE) == 0);
  ends.target->queue_pair.reset();
  ends.settle();
  CHECK(ends.target->async_events().empty());
}

TEST_CASE("RESET drops everything: nothing of it completes") {
  Ends ends;
  for (uint64_t i = 0; i < 4; ++i)
    REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {ends.target->piece(0, 4096)}, i, &*ends.host) == 0);
  ends.fabric.schedule().advance(2'000);
  REQUIRE(to_state(*ends.target, IBV_QPS_RESET) == 0);
  ends.settle();
  CHECK(ends.target->sent().empty());
}

TEST_CASE("a destroyed queue pair's events are not heard of any more") {
  Ends ends;
  ends.target->model().fail();
  ends.target->queue_pair.reset();
  ends.settle();
  CHECK(ends.target->async_events().empty());
}

TEST_CASE("a device that is removed says so, and soon nothing completes any more") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    ends.fabric.remove(ends.target_device);
    CHECK(to_state(*ends.target, IBV_QPS_ERR) == EIO);
    CHECK(ibv_open_device(&ends.target_device) == nullptr);
    ends.settle();
    CHECK(ends.target_device.has_stopped());
    CHECK(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, 2, &*ends.host) ==
          (profile.posts_fail_after_removal ? EIO : 0));
    ends.settle();
    CHECK(ends.target->sent().empty());
    CHECK(ends.target->async_events() == std::vector{IBV_EVENT_DEVICE_FATAL});
  }
}

TEST_CASE("what a device had when it was removed may still complete, for a short time") {
  bool some_complete = false;
  bool some_do_not = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Ends ends(connectx(), {}, seed);
    for (uint64_t i = 0; i < 8; ++i)
      REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, i, &*ends.host) == 0);
    ends.fabric.remove(ends.target_device);
    ends.settle();
    const size_t completed = ends.target->sent().size();
    some_complete |= completed != 0;
    some_do_not |= completed != 8;
  }
  CHECK(some_complete);
  CHECK(some_do_not);
}

TEST_CASE("Soft-RoCE names no work request when posting fails because the device is gone") {
  for (const Profile& profile : {connectx(), soft_roce()}) {
    CAPTURE(profile.name);
    Ends ends(profile);
    ends.fabric.remove(ends.target_device);
    ibv_sge piece = ends.target->piece(0, 16);
    ibv_send_wr work{};
    work.sg_list = &piece;
    work.num_sge = 1;
    work.opcode = IBV_WR_SEND;
    ibv_send_wr* bad = &work;
    const int error = ibv_post_send(ends.target->queue_pair.get(), &work, &bad);
    CHECK(error == (profile.posts_fail_after_removal ? EIO : 0));
    if (error != 0) CHECK(bad == nullptr);
  }
}

TEST_CASE("in SQD nothing more is sent, and what arrives is taken; only then comes the error state") {
  Ends ends;
  REQUIRE(to_state(*ends.target, IBV_QPS_SQD) == 0);
  REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 16)}, 1, &*ends.host) == 0);
  REQUIRE(ends.target->post_receive({ends.target->piece(0, 64)}, 7) == 0);
  REQUIRE(ends.host->post(IBV_WR_SEND, {ends.host->piece(0, 16)}, 1) == 0);
  ends.settle();
  CHECK(ends.target->sent().empty());
  CHECK(ends.target->received().size() == 1);
  REQUIRE(to_state(*ends.target, IBV_QPS_ERR) == 0);
  ends.settle();
  const auto sent = ends.target->sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].status == IBV_WC_WR_FLUSH_ERR);
  CHECK(to_state(*ends.target, IBV_QPS_SQD) == EINVAL);
}

}  // namespace
}  // namespace nvmf::rnic
