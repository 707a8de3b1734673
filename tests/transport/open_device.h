// Opens the RNIC of a port as the daemon does, but on the test's own thread, while the model goes on.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <utility>

#include "tests/rnic/fabric.h"
#include "transport/rdma/transport.h"

namespace nvmf::test {

// Null when it is open already. Throws what Transport::open_device_of() throws.
inline rdma::Rnic* open_device(boost::asio::io_context& io, rdma::Transport& transport, const core::Port& port) {
  rdma::Rnic* opened = nullptr;
  std::exception_ptr failure;
  bool over = false;
  const rdma::Transport::Elsewhere here = [](std::function<void()> work) -> boost::asio::awaitable<void> {
    work();
    co_return;
  };
  const auto task = [&]() -> boost::asio::awaitable<void> { opened = co_await transport.open_device_of(port, here); };
  boost::asio::co_spawn(io, task(), [&](std::exception_ptr thrown) {
    failure = std::move(thrown);
    over = true;
  });
  while (!over) {
    io.restart();
    io.poll();
    rnic::Schedule& schedule = rnic::Fabric::living().schedule();
    if (!schedule.step()) schedule.advance(1000);
  }
  if (failure) std::rethrow_exception(failure);
  return opened;
}

}  // namespace nvmf::test
