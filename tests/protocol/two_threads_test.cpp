// Commands of I/O queues that change controllers: from a reactor to the control thread and back.
#include <doctest/doctest.h>

#include <thread>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

// An I/O queue as on a reactor: what goes to the control thread waits in a mailbox, and so does what comes back.
struct OnReactor {
  World world;
  Host host{world};
  core::Mailbox control;
  core::Mailbox reactor;

  OnReactor() {
    host.bring_up();
    wire().queue.control = &control;
    wire().queue.reactor = &reactor;
  }
  Wire& wire() { return host.io(1); }
  Bytes data() const { return to_bytes(host.connect_data(World::kNqn, host.cntlid)); }
  size_t connect() { return wire().post(connect_command(1, kIoSqsize), data()); }
};

TEST_CASE("host connects an I/O queue: the control thread decides, the reactor answers") {
  OnReactor q;
  const size_t number = q.connect();
  CHECK(q.wire().queue.connect_forwarded);
  CHECK_FALSE(q.wire().answered(number));

  CHECK(q.control.receive() == 1);
  CHECK(q.wire().queue.controller == &q.host.controller());
  CHECK_FALSE(q.wire().queue.connected);
  CHECK_FALSE(q.wire().answered(number));

  CHECK(q.reactor.receive() == 1);
  CHECK(q.wire().queue.connected);
  CHECK(q.wire().take(number).ok());
  CHECK(q.wire().take(number).result == q.host.cntlid);
  CHECK(q.wire().queue.namespaces == &q.world.table);
}

TEST_CASE("host sends commands while its Connect is with the control thread: Command Sequence Error") {
  OnReactor q;
  const size_t number = q.connect();
  const size_t again = q.connect();
  CHECK(q.wire().take(again).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(q.wire().send(command(nvme_cmd_flush, 1)).status == NVME_SC_CMD_SEQ_ERROR);
  q.control.receive();
  q.reactor.receive();
  CHECK(q.wire().take(number).ok());
}

TEST_CASE("a refused Connect leaves the queue free to try again") {
  OnReactor q;
  const size_t refused = q.wire().post(connect_command(1, kIoSqsize), to_bytes(q.host.connect_data(World::kNqn, 999)));
  q.control.receive();
  q.reactor.receive();
  CHECK(q.wire().take(refused).status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  CHECK(q.wire().take(refused).result == (16 | 1 << 16));
  const size_t number = q.connect();
  q.control.receive();
  q.reactor.receive();
  CHECK(q.wire().take(number).ok());
}

TEST_CASE(
    "the controller goes while its queue's Connect comes back: the queue connects, is told to close, runs nothing") {
  OnReactor q;
  const size_t number = q.connect();
  q.control.receive();
  q.host.admin.close();
  CHECK(q.wire().drops(command(nvme_cmd_flush, 1)));
  q.reactor.receive();
  CHECK(q.wire().take(number).ok());
  CHECK(q.wire().drops(command(nvme_cmd_flush, 1)));
  CHECK_FALSE(q.wire().disconnected());
  q.control.receive();
  CHECK(q.wire().disconnected());
}

TEST_CASE("host sends Disconnect: the answer is on its way before the connection is closed") {
  OnReactor q;
  const size_t connected = q.connect();
  q.control.receive();
  q.reactor.receive();
  CHECK(q.wire().take(connected).ok());
  const size_t number = q.wire().post(disconnect_command());
  CHECK_FALSE(q.wire().disconnected());
  q.control.receive();
  CHECK(q.reactor.receive() == 1);
  CHECK(q.wire().quiesced());
  CHECK_FALSE(q.wire().disconnected());
  q.control.receive();
  CHECK(q.wire().disconnected());
  CHECK_FALSE(q.wire().answered(number));
  CHECK(q.reactor.receive() == 1);
  CHECK(q.wire().take(number).ok());
  CHECK_FALSE(q.host.controller().has_io_queue(1));
}

TEST_CASE("two threads: I/O, errors, resets and the error log do not race") {
  OnReactor q;
  std::atomic<bool> stop{false};
  std::atomic<bool> connected{false};
  std::thread reactor([&] {
    const size_t number = q.connect();
    while (!q.wire().answered(number)) q.reactor.receive();
    connected = true;
    while (!stop) {
      q.wire().post(command(nvme_cmd_read, 1), Bytes(512));
      q.wire().post(command(nvme_cmd_read, 7), Bytes(512));
      q.reactor.receive();
    }
  });
  while (!connected) q.control.receive();
  // Until the other thread has had its time, too.
  for (int i = 0; i < 200 || q.host.controller().errors().count() == 0; ++i) {
    q.host.log_page(NVME_LOG_LID_ERROR, 4096);
    q.host.admin.send(command(nvme_admin_keep_alive));
    q.world.target.expire(core::Target::Clock::now());
  }
  q.host.enable(0);
  stop = true;
  reactor.join();
  q.reactor.receive();
  q.control.receive();
  CHECK(q.wire().disconnected());
  CHECK(q.host.controller().errors().count() > 0);
}

}  // namespace
}  // namespace nvmf::test
