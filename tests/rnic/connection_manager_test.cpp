#include "tests/rnic/connection_manager.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/rnic/fabric.h"
#include "tests/rnic/queue_pair.h"
#include "transport/verbs/cm.h"

namespace nvmf::rnic {
namespace {

sockaddr_storage ipv4(const char* address, uint16_t service) {
  sockaddr_storage storage{};
  auto& in = reinterpret_cast<sockaddr_in&>(storage);
  in.sin_family = AF_INET;
  in.sin_port = htons(service);
  inet_pton(AF_INET, address, &in.sin_addr);
  return storage;
}

sockaddr* raw(sockaddr_storage& storage) { return reinterpret_cast<sockaddr*>(&storage); }

// A side's channel, and its queue pairs' completion queue.
struct Side {
  explicit Side(Device& of) : device(of), channel(verbs::create_cm_channel()) {}

  // The next event, after some time; null: none comes within ten seconds.
  verbs::CmEvent event() {
    if (auto waiting = verbs::next_event(channel.get())) return waiting;
    const uint64_t deadline = device.schedule().now_ns() + 10'000'000'000;
    while (device.schedule().next_ns().value_or(deadline) < deadline) {
      device.schedule().step();
      if (auto came = verbs::next_event(channel.get())) return came;
    }
    return nullptr;
  }
  bool hears(rdma_cm_event_type type) {
    const auto came = event();
    if (came) CHECK(std::string(rdma_event_str(came->event)) == rdma_event_str(type));
    return came && came->event == type;
  }

  void make_queue_pair(rdma_cm_id* id) {
    if (!domain) {
      domain = verbs::allocate_protection_domain(id->verbs);
      completions = verbs::create_completion_queue(id->verbs, 16, nullptr);
    }
    ibv_qp_init_attr attributes{};
    attributes.send_cq = attributes.recv_cq = completions.get();
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap = {4, 4, 1, 1, 0};
    REQUIRE(rdma_create_qp(id, domain.get(), &attributes) == 0);
  }

  Device& device;
  verbs::CmChannel channel;
  verbs::CmId keeps_open;  // as librdmacm does while an id uses the device
  verbs::ProtectionDomain domain;
  verbs::CompletionQueue completions;
};

struct Network {
  Network()
      : target(fabric.add_device("rnic0", "192.0.2.1", soft_roce())),
        host(fabric.add_device("host0", "192.0.2.101", connectx())) {
    auto address = ipv4("192.0.2.1", 0);
    target.keeps_open = verbs::open_device(target.channel.get(), address);
    address = ipv4("192.0.2.101", 0);
    host.keeps_open = verbs::open_device(host.channel.get(), address);
  }
  ~Network() { CHECK(fabric.faults() == std::vector<std::string>{}); }

  verbs::CmId listen(int backlog = 8) {
    auto address = ipv4("192.0.2.1", 4420);
    return verbs::listen(target.channel.get(), raw(address), backlog);
  }
  // An id of the host that can ask for a connection.
  verbs::CmId resolved() {
    rdma_cm_id* id = nullptr;
    REQUIRE(rdma_create_id(host.channel.get(), &id, nullptr, RDMA_PS_TCP) == 0);
    auto from = ipv4("192.0.2.101", 0);
    auto to = ipv4("192.0.2.1", 4420);
    REQUIRE(rdma_resolve_addr(id, raw(from), raw(to), 1000) == 0);
    REQUIRE(host.hears(RDMA_CM_EVENT_ADDR_RESOLVED));
    REQUIRE(rdma_resolve_route(id, 1000) == 0);
    REQUIRE(host.hears(RDMA_CM_EVENT_ROUTE_RESOLVED));
    return verbs::CmId(id);
  }
  static int ask(rdma_cm_id* id, const std::string& words = "hello") {
    rdma_conn_param parameters{};
    parameters.private_data = words.data();
    parameters.private_data_len = static_cast<uint8_t>(words.size());
    parameters.responder_resources = 3;
    parameters.initiator_depth = 5;
    parameters.retry_count = 7;
    parameters.rnr_retry_count = 6;
    parameters.qp_num = 4711;  // of an id without a queue pair
    return rdma_connect(id, &parameters);
  }
  // Both sides connected, with a queue pair each.
  std::pair<verbs::CmId, verbs::CmId> connected() {
    const verbs::CmId listener = listen();
    verbs::CmId asking = resolved();
    host.make_queue_pair(asking.get());
    REQUIRE(ask(asking.get()) == 0);
    verbs::CmId accepted;
    {
      const auto request = target.event();
      REQUIRE(request);
      accepted.reset(request->id);
    }
    target.make_queue_pair(accepted.get());
    rdma_conn_param parameters{};
    parameters.initiator_depth = 3;
    parameters.rnr_retry_count = 7;
    REQUIRE(rdma_accept(accepted.get(), &parameters) == 0);
    REQUIRE(host.hears(RDMA_CM_EVENT_ESTABLISHED));
    REQUIRE(target.hears(RDMA_CM_EVENT_ESTABLISHED));
    return {std::move(asking), std::move(accepted)};
  }
  static void close(verbs::CmId& id) {
    rdma_destroy_qp(id.get());
    id.reset();
  }

  Fabric fabric{1};
  Side target;
  Side host;
};

TEST_CASE("a request carries padded private data and the depths as the other side sees them") {
  Network network;
  const auto listener = network.listen();
  const auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  verbs::CmId accepted;
  {
    const auto request = network.target.event();
    REQUIRE(request);
    CHECK(request->event == RDMA_CM_EVENT_CONNECT_REQUEST);
    CHECK(request->listen_id == listener.get());
    CHECK(request->param.conn.private_data_len == 56);
    CHECK(std::memcmp(request->param.conn.private_data, "hello\0\0\0", 8) == 0);
    CHECK(request->param.conn.initiator_depth == 3);
    CHECK(request->param.conn.responder_resources == 5);
    CHECK(verbs::host_of(rdma_get_peer_addr(request->id)) == "192.0.2.101");
    CHECK(verbs::to_string(rdma_get_local_addr(request->id)) == "192.0.2.1:4420");
    accepted.reset(request->id);
  }
  CHECK(accepted->verbs == listener->verbs);
}

TEST_CASE("a handshake connects the queue pairs with the depths and retries that were agreed") {
  Network network;
  auto [asking, accepted] = network.connected();
  const auto& near = *static_cast<QueuePair*>(accepted->qp);
  const auto& far = *static_cast<QueuePair*>(asking->qp);
  CHECK(near.now == IBV_QPS_RTS);
  CHECK(far.now == IBV_QPS_RTS);
  CHECK(near.attributes.dest_qp_num == far.qp_num);
  CHECK(far.attributes.dest_qp_num == near.qp_num);
  CHECK(near.attributes.max_rd_atomic == 3);
  CHECK(far.attributes.max_dest_rd_atomic == 3);
  CHECK(near.attributes.rnr_retry == 6);  // what the other side has asked for
  CHECK(far.attributes.rnr_retry == 7);
  CHECK(verbs::path_mtu_bytes(accepted->qp) == 4096);
  Network::close(asking);
  Network::close(accepted);
}

TEST_CASE("without a queue pair on its id a host ends the handshake itself") {
  Network network;
  const auto listener = network.listen();
  const auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  verbs::CmId accepted;
  {
    const auto request = network.target.event();
    accepted.reset(request->id);
  }
  network.target.make_queue_pair(accepted.get());
  rdma_conn_param parameters{};
  REQUIRE(rdma_accept(accepted.get(), &parameters) == 0);
  REQUIRE(network.host.hears(RDMA_CM_EVENT_CONNECT_RESPONSE));
  CHECK(rdma_establish(asking.get()) == 0);
  CHECK(network.target.hears(RDMA_CM_EVENT_ESTABLISHED));
  Network::close(accepted);
}

TEST_CASE("a rejection carries the target's private data and the reason «by the consumer»") {
  Network network;
  const auto listener = network.listen();
  const auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  verbs::CmId refused;
  {
    const auto request = network.target.event();
    refused.reset(request->id);
  }
  CHECK(rdma_reject(refused.get(), "no", 2) == 0);
  refused.reset();
  const auto rejected = network.host.event();
  REQUIRE(rejected);
  CHECK(rejected->event == RDMA_CM_EVENT_REJECTED);
  CHECK(rejected->status == 28);
  CHECK(rejected->param.conn.private_data_len == 148);
  CHECK(std::memcmp(rejected->param.conn.private_data, "no", 2) == 0);
}

TEST_CASE("a request is rejected when nobody listens, when the id is destroyed, when the backlog is full") {
  Network network;
  auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  CHECK(network.host.hears(RDMA_CM_EVENT_REJECTED));

  auto listener = network.listen(1);
  asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  {
    verbs::CmId destroyed;
    const auto request = network.target.event();
    REQUIRE(request);
    destroyed.reset(request->id);
  }
  CHECK(network.host.hears(RDMA_CM_EVENT_REJECTED));

  asking = network.resolved();
  const auto second = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  REQUIRE(Network::ask(second.get()) == 0);
  CHECK(network.host.hears(RDMA_CM_EVENT_REJECTED));
  listener.reset();  // with a request that nobody has read
  CHECK(network.host.hears(RDMA_CM_EVENT_REJECTED));
  CHECK(verbs::next_event(network.target.channel.get()) == nullptr);
}

TEST_CASE("a host that vanishes before it is accepted is heard of, and cannot be accepted any more") {
  Network network;
  const auto listener = network.listen();
  auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  verbs::CmId asked;
  {
    const auto request = network.target.event();
    asked.reset(request->id);
  }
  asking.reset();
  CHECK(network.target.hears(RDMA_CM_EVENT_REJECTED));
  rdma_conn_param parameters{};
  CHECK(rdma_accept(asked.get(), &parameters) != 0);
}

TEST_CASE("a host that says nothing after its acceptance is unreachable in the end") {
  Network network;
  const auto listener = network.listen();
  const auto asking = network.resolved();
  REQUIRE(Network::ask(asking.get()) == 0);
  verbs::CmId accepted;
  {
    const auto request = network.target.event();
    accepted.reset(request->id);
  }
  network.target.make_queue_pair(accepted.get());
  rdma_conn_param parameters{};
  REQUIRE(rdma_accept(accepted.get(), &parameters) == 0);
  CHECK(network.target.hears(RDMA_CM_EVENT_UNREACHABLE));
  Network::close(accepted);
}

TEST_CASE("both sides hear of a disconnection, once, and of the end of its wait") {
  Network network;
  auto [asking, accepted] = network.connected();
  CHECK(rdma_disconnect(asking.get()) == 0);
  CHECK(static_cast<QueuePair*>(asking->qp)->now == IBV_QPS_ERR);
  CHECK(network.target.hears(RDMA_CM_EVENT_DISCONNECTED));
  CHECK(static_cast<QueuePair*>(accepted->qp)->now == IBV_QPS_RTS);  // until its owner disconnects, too
  CHECK(rdma_disconnect(accepted.get()) == 0);
  CHECK(static_cast<QueuePair*>(accepted->qp)->now == IBV_QPS_ERR);
  CHECK(network.target.hears(RDMA_CM_EVENT_TIMEWAIT_EXIT));
  CHECK(network.target.event() == nullptr);
  CHECK(network.host.hears(RDMA_CM_EVENT_DISCONNECTED));
  CHECK(network.host.hears(RDMA_CM_EVENT_TIMEWAIT_EXIT));
  Network::close(asking);
  Network::close(accepted);
}

TEST_CASE("a host that dies without a word is heard of only by what is sent to it") {
  Network network;
  auto [asking, accepted] = network.connected();
  network.host.device.set_link(false);
  Network::close(asking);
  CHECK(network.target.event() == nullptr);
  CHECK(rdma_disconnect(accepted.get()) == 0);
  CHECK(network.target.hears(RDMA_CM_EVENT_DISCONNECTED));
  Network::close(accepted);
}

TEST_CASE("every id of a removed device hears of it, and the device's return is a new device") {
  Network network;
  auto [asking, accepted] = network.connected();
  network.fabric.remove(network.target.device);
  CHECK(network.target.hears(RDMA_CM_EVENT_DEVICE_REMOVAL));  // of the id that keeps it open
  CHECK(network.target.hears(RDMA_CM_EVENT_DEVICE_REMOVAL));  // of the connection
  CHECK(rdma_disconnect(accepted.get()) != 0);
  auto address = ipv4("192.0.2.1", 0);
  CHECK_THROWS_AS(verbs::open_device(network.target.channel.get(), address), verbs::VerbsError);
  network.fabric.add_device("rnic0", "192.0.2.1", soft_roce());
  const auto back = verbs::open_device(network.target.channel.get(), address);
  CHECK(back->verbs != accepted->verbs);
  Network::close(asking);
  Network::close(accepted);
}

TEST_CASE("every id of a device hears when its addresses change, and goes on as before") {
  Network network;
  auto [asking, accepted] = network.connected();
  const auto listener = network.listen();
  network.fabric.connections().address_changed(network.target.device);
  for (int ids = 0; ids < 3; ++ids)  // the one that keeps the device open, the connection, the listener
    CHECK(network.target.hears(RDMA_CM_EVENT_ADDR_CHANGE));
  const auto another = network.resolved();
  REQUIRE(Network::ask(another.get()) == 0);
  {
    const auto request = network.target.event();
    REQUIRE(request);
    CHECK(request->event == RDMA_CM_EVENT_CONNECT_REQUEST);
    rdma_reject(request->id, nullptr, 0);
    const verbs::CmId rejected(request->id);
  }
  CHECK(rdma_disconnect(accepted.get()) == 0);
  CHECK(network.target.hears(RDMA_CM_EVENT_DISCONNECTED));
  Network::close(asking);
  Network::close(accepted);
}

TEST_CASE("an id cannot go while an event of it is not acknowledged") {
  Fabric fabric(1);
  fabric.add_device("rnic0", "192.0.2.1", connectx());
  {
    const auto channel = verbs::create_cm_channel();
    auto address = ipv4("192.0.2.1", 0);
    rdma_cm_id* id = nullptr;
    REQUIRE(rdma_create_id(channel.get(), &id, nullptr, RDMA_PS_TCP) == 0);
    REQUIRE(rdma_resolve_addr(id, raw(address), raw(address), 1000) == 0);
    fabric.schedule().advance(1'000'000'000);
    rdma_cm_event* event = nullptr;
    REQUIRE(rdma_get_cm_event(channel.get(), &event) == 0);
    auto& counts = static_cast<CmEvent*>(event)->counts_for;
    counts->unacknowledged = 1;
    rdma_destroy_id(id);
    CHECK(fabric.faults().size() == 1);
    delete static_cast<CmEvent*>(event);
  }
}

TEST_CASE("an address in use, of no device, or of the wrong family is told by errno") {
  Network network;
  const auto listener = network.listen();
  CHECK_THROWS_AS(network.listen(), verbs::VerbsError);
  auto nowhere = ipv4("198.51.100.1", 4420);
  CHECK_THROWS_AS(verbs::listen(network.target.channel.get(), raw(nowhere), 1), verbs::VerbsError);
}

}  // namespace
}  // namespace nvmf::rnic
