// Asynchronous Event Request and Abort: NVMe Base 2.0, sections 5.1 and 5.2.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kNamespaces = NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES;
constexpr uint64_t kNamespaceChanged = 0x040002;  // notice, namespace attribute changed, log page 04h
constexpr uint64_t kDiscoveryChanged = 0x70f002;

Answer abort(Host& host, uint16_t sqid, uint16_t cid) {
  return host.admin.send(command(nvme_admin_abort_cmd, 0, sqid | uint32_t{cid} << 16));
}

TEST_CASE("host awaits an event: no answer until one comes") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t awaited = host.await_event();
  CHECK_FALSE(host.admin.answered(awaited));
  world.subsystem.namespace_changed(3);
  REQUIRE(host.admin.answered(awaited));
  CHECK(host.admin.take(awaited).ok());
  CHECK(host.admin.take(awaited).result == kNamespaceChanged);
  const auto changed = host.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>();
  CHECK(changed.ns[0] == 3);
  CHECK(changed.ns[1] == 0);
  CHECK(host.log_page(NVME_LOG_LID_CHANGED_NS, 4096).data == Bytes(4096));
}

TEST_CASE("a namespace is added: hosts hear of it and see it") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t awaited = host.await_event();
  world.subsystem.add_namespace({.nsid = 2, .lba_shift = 9, .block_count = 7});
  CHECK(host.admin.take(awaited).result == kNamespaceChanged);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[1] == 2);
}

TEST_CASE("an event that came before the request is reported with it") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  world.subsystem.namespace_changed(1);
  CHECK(host.admin.take(host.await_event()).result == kNamespaceChanged);
}

TEST_CASE("an event that the host has not enabled is not reported") {
  World world;
  Host host(world);
  host.bring_up();
  const size_t awaited = host.await_event();
  world.subsystem.namespace_changed(1);
  CHECK_FALSE(host.admin.answered(awaited));
}

TEST_CASE("an event is reported once until the host reads its log page") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t first = host.await_event();
  const size_t second = host.await_event();
  world.subsystem.namespace_changed(1);
  world.subsystem.namespace_changed(3);
  CHECK(host.admin.answered(first));
  CHECK_FALSE(host.admin.answered(second));

  SUBCASE("reading with RAE keeps it masked and keeps the list") {
    const auto list = host.log_page(NVME_LOG_LID_CHANGED_NS, 4096, 0, true).as<nvme_ns_list>();
    CHECK(list.ns[0] == 1);
    CHECK(list.ns[1] == 3);
    CHECK_FALSE(host.admin.answered(second));
    CHECK(host.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>().ns[1] == 3);
  }
  SUBCASE("reading without RAE lets what came meanwhile be reported") {
    host.log_page(NVME_LOG_LID_CHANGED_NS, 4096);
    CHECK(host.admin.answered(second));
  }
}

TEST_CASE("host awaits more events than Identify allows: Asynchronous Event Request Limit Exceeded") {
  World world;
  Host host(world);
  host.bring_up();
  for (int i = 0; i < 4; ++i) CHECK_FALSE(host.admin.answered(host.await_event()));
  const Answer answer = host.admin.take(host.await_event());
  CHECK(answer.status == specific(NVME_SC_ASYNC_LIMIT));
  CHECK(answer.do_not_retry);
}

TEST_CASE("host aborts a request for events: both are answered") {
  World world;
  Host host(world);
  host.bring_up();
  const size_t first = host.await_event();
  const size_t second = host.await_event();
  const uint16_t cid_of_second = 4;  // Connect, Property Set, then the requests
  const Answer answer = abort(host, 0, cid_of_second);
  CHECK(answer.ok());
  CHECK(answer.result == 0);
  CHECK_FALSE(host.admin.answered(first));
  REQUIRE(host.admin.answered(second));
  CHECK(host.admin.take(second).cid == cid_of_second);
  CHECK(host.admin.take(second).status == NVME_SC_ABORT_REQ);
}

TEST_CASE("host aborts what is not there: not aborted") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(abort(host, 0, 999).result == 1);
  CHECK(abort(host, 1, 1).result == 1);
  CHECK(abort(host, 77, 1).result == 1);
}

TEST_CASE("host resets the controller: awaited events come back aborted") {
  World world;
  Host host(world);
  host.bring_up();
  const size_t awaited = host.await_event();
  host.enable(0);
  REQUIRE(host.admin.answered(awaited));
  CHECK(host.admin.take(awaited).status == NVME_SC_ABORT_QUEUE);
}

TEST_CASE(
    "host resets the controller with an event reported and unread, and one to come: the new life begins without") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t unread = host.await_event();
  world.subsystem.namespace_changed(1);
  REQUIRE(host.admin.answered(unread));
  SUBCASE("reported alone") {}
  SUBCASE("the same has come again") { world.subsystem.namespace_changed(3); }
  SUBCASE("read, and the next one has come") {
    host.log_page(NVME_LOG_LID_CHANGED_NS, 4096);
    world.subsystem.namespace_changed(3);
  }
  host.enable(0);
  REQUIRE(host.enable().ok());
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == 0);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t awaited = host.await_event();
  CHECK_FALSE(host.admin.answered(awaited));
  world.subsystem.namespace_changed(1);
  REQUIRE(host.admin.answered(awaited));
  CHECK(host.admin.take(awaited).result == kNamespaceChanged);
}

TEST_CASE("an event that comes while a reset waits for the disk is none of the controller's next life") {
  World world;
  Host host(world);
  host.bring_up(1);
  world.disk_1.hold = true;
  host.io(1).post(command(nvme_cmd_write, 1), Bytes(512));
  REQUIRE(host.enable(0).ok());
  REQUIRE(host.csts() == 1u << NVME_CSTS_RDY_SHIFT);
  SUBCASE("a device fails") { host.controller().events().post(core::AsyncEvent::TransientInternalError); }
  SUBCASE("a reservation is preempted") {
    host.controller().events().post(core::AsyncEvent::ReservationLogPageAvailable);
  }
  world.disk_1.complete_all();
  REQUIRE(host.csts() == 0);
  REQUIRE(host.enable().ok());
  const size_t event = host.await_event();
  CHECK_FALSE(host.admin.answered(event));
}

TEST_CASE("host aborts one of several requests for events: that one, and the next event takes the oldest") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
  const size_t awaited[] = {host.await_event(), host.await_event(), host.await_event()};
  CHECK(abort(host, 0, host.admin.cid_of(awaited[1])).result == 0);
  CHECK(host.admin.take(awaited[1]).status == NVME_SC_ABORT_REQ);
  world.subsystem.namespace_changed(1);
  CHECK(host.admin.take(awaited[0]).result == kNamespaceChanged);
  CHECK_FALSE(host.admin.answered(awaited[2]));
}

TEST_CASE("the connection ends: awaited events come back, and so do those that arrive late") {
  World world;
  Host host(world);
  host.bring_up();
  const size_t awaited = host.await_event();
  core::drop_parked(host.admin.queue);
  CHECK(host.admin.take(awaited).status == NVME_SC_ABORT_QUEUE);
  CHECK(host.admin.take(host.await_event()).status == NVME_SC_ABORT_QUEUE);
}

TEST_CASE("more namespaces changed than the list holds: FFFFFFFFh") {
  World world;
  Host host(world);
  host.bring_up();
  for (uint32_t nsid = 1; nsid <= 1024; ++nsid) world.subsystem.namespace_changed(nsid);
  CHECK(host.log_page(NVME_LOG_LID_CHANGED_NS, 4096, 0, true).as<nvme_ns_list>().ns[1023] == 1024);
  host.controller().namespace_changed(1025);
  const auto list = host.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>();
  CHECK(list.ns[0] == NVME_NSID_ALL);
  CHECK(list.ns[1] == 0);
}

TEST_CASE("what discovery shows changes: persistent discovery controllers report it") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn, 10000);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31);
  const size_t awaited = host.await_event();
  world.target.add_port({.id = 3, .address = "192.0.2.3", .service = 4420});
  REQUIRE(host.admin.answered(awaited));
  CHECK(host.admin.take(awaited).result == kDiscoveryChanged);
}

}  // namespace
}  // namespace nvmf::test
