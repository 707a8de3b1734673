// An address that moves to another RNIC, on the model RNIC: no kernel event need tell of it.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "target/core/reactor/mailbox.h"
#include "tests/rnic/connection_manager.h"
#include "tests/rnic/device.h"
#include "tests/rnic/fabric.h"
#include "tests/transport/open_device.h"
#include "transport/rdma/transport.h"

namespace nvmf::rdma {
namespace {

core::Port port(uint16_t id, const char* address) { return {.id = id, .address = address, .service = 4420}; }

PollGroupOptions small_groups() {
  PollGroupOptions options;
  options.dram_pool_bytes = 4U << 20U;
  return options;
}

struct World {
  World() {
    first.add_address("192.0.2.1");
    transport.on_port_lost = [this](uint16_t id) { lost.push_back(id); };
  }

  // Null when it is open already.
  Rnic* open(const core::Port& wanted) {
    Rnic* const opened = test::open_device(io, transport, wanted);
    if (opened) transport.put_in_service(*opened);
    return opened;
  }
  // Port 1 on the first device, port 2 on the second.
  void listen_on_both() {
    for (const core::Port& one : {port(1, "192.0.2.1"), port(2, "192.0.2.2")}) {
      REQUIRE(open(one) != nullptr);
      transport.listen(one);
    }
  }

  rnic::Fabric fabric{1};
  rnic::Device& first = fabric.add_device("first", "192.0.2.9", rnic::connectx());
  rnic::Device& second = fabric.add_device("second", "192.0.2.2", rnic::connectx());
  boost::asio::io_context io;
  core::Target target{core::TargetOptions{}};
  core::Mailbox control;
  Transport transport{io, target, control, {}, small_groups()};
  std::vector<uint16_t> lost;
};

TEST_CASE("the address of a port moves to another device: the port is lost, and listens there") {
  World world;
  world.listen_on_both();
  world.transport.close_moved_listeners();
  CHECK(world.lost.empty());

  world.first.remove_address("192.0.2.1");
  world.transport.close_moved_listeners();
  CHECK(world.lost.empty());  // nobody has it: it may come back

  world.second.add_address("192.0.2.1");
  world.transport.close_moved_listeners();
  CHECK(world.lost == std::vector<uint16_t>{1});
  CHECK_FALSE(world.transport.is_listening(1));
  CHECK(world.transport.is_listening(2));

  CHECK(world.open(port(1, "192.0.2.1")) == nullptr);
  world.transport.listen(port(1, "192.0.2.1"));
  world.transport.close_moved_listeners();
  CHECK(world.transport.is_listening(1));
  CHECK(world.lost.size() == 1);
}

TEST_CASE("a bond has another of its devices take over the address of a port: the port is lost, and listens there") {
  World world;
  world.listen_on_both();
  world.fabric.connections().address_changed(world.first);
  for (int turn = 0; turn < 1000 && world.lost.empty(); ++turn) {
    world.io.restart();
    world.io.poll();
    world.fabric.schedule().step();
  }
  CHECK(world.lost == std::vector<uint16_t>{1});
  CHECK_FALSE(world.transport.is_listening(1));
  CHECK(world.transport.is_listening(2));
  world.transport.listen(port(1, "192.0.2.1"));
  CHECK(world.transport.is_listening(1));
}

TEST_CASE("while a removed RNIC is not closed yet, only it cannot be opened, and addresses that move are found") {
  World world;
  rnic::Device& third = world.fabric.add_device("third", "192.0.2.3", rnic::connectx());
  bool drained = false;
  world.transport.on_device_drained = [&](Rnic&) { drained = true; };
  REQUIRE(world.open(port(1, "192.0.2.1")) != nullptr);
  Rnic* const leaving = world.open(port(3, "192.0.2.3"));
  REQUIRE(leaving != nullptr);
  world.transport.listen(port(1, "192.0.2.1"));
  world.fabric.remove(third);
  for (int turn = 0; turn < 1000 && !leaving->is_leaving(); ++turn) {
    world.io.restart();
    world.io.poll();
    world.fabric.schedule().step();
  }
  REQUIRE(leaving->is_leaving());
  world.fabric.add_device("third", "192.0.2.3", rnic::connectx());
  CHECK_FALSE(world.transport.has_device_for(port(3, "192.0.2.3")));
  CHECK(world.transport.has_device_for(port(2, "192.0.2.2")));
  CHECK(world.open(port(2, "192.0.2.2")) != nullptr);

  world.first.remove_address("192.0.2.1");
  world.second.add_address("192.0.2.1");
  world.transport.close_moved_listeners();
  CHECK(world.lost == std::vector<uint16_t>{1});

  for (int turn = 0; turn < 1000 && !drained; ++turn) {
    world.io.restart();
    world.io.poll();
    world.control.receive();
  }
  REQUIRE(drained);
  world.transport.close(*leaving);
  CHECK(world.transport.has_device_for(port(3, "192.0.2.3")));
}

TEST_CASE("a port listens on several addresses of several devices, and lets go of one") {
  using Addresses = std::vector<std::string>;
  World world;
  for (const char* const address : {"192.0.2.1", "192.0.2.2"}) {
    world.open(port(1, address));
    world.transport.listen(port(1, address));
  }
  CHECK(world.transport.addresses_of(1) == Addresses{"192.0.2.1", "192.0.2.2"});
  world.transport.stop_listening(1, "192.0.2.1");
  CHECK(world.transport.addresses_of(1) == Addresses{"192.0.2.2"});
  CHECK(world.transport.is_listening(1));
  world.transport.listen(port(1, "192.0.2.1"));  // the address is free again

  world.second.add_address("192.0.2.8");  // a device has one always
  world.second.remove_address("192.0.2.2");
  world.first.add_address("192.0.2.2");
  world.transport.close_moved_listeners();
  CHECK(world.lost == std::vector<uint16_t>{1});
  CHECK(world.transport.addresses_of(1) == Addresses{"192.0.2.1"});
  world.transport.stop_listening(1);
  CHECK(world.transport.addresses_of(1).empty());
}

TEST_CASE("a device that is removed while it is opened is not kept") {
  World world;
  std::optional<std::string> failure;
  const Transport::Elsewhere elsewhere = [&](std::function<void()> work) -> boost::asio::awaitable<void> {
    work();
    world.fabric.remove(world.first);
    boost::asio::steady_timer until_told(world.io, std::chrono::milliseconds(0));
    for (int turn = 0; turn < 100 && world.fabric.schedule().step(); ++turn) {
      until_told.expires_after(std::chrono::milliseconds(0));
      co_await until_told.async_wait(boost::asio::use_awaitable);
    }
  };
  const auto task = [&]() -> boost::asio::awaitable<void> {
    try {
      co_await world.transport.open_device_of(port(1, "192.0.2.1"), elsewhere);
    } catch (const verbs::VerbsError& error) {
      failure = error.what();
    }
  };
  boost::asio::co_spawn(world.io, task(), [&](const std::exception_ptr&) { world.io.stop(); });
  world.io.run();
  REQUIRE(failure.has_value());
  CHECK(world.transport.rnics().empty());
}

}  // namespace
}  // namespace nvmf::rdma
