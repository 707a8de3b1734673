// Devices are asked for their size beside the control thread: one that does not answer holds up nobody.
#include "target/daemon/device_looks.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

// Answers when it is let.
class Disk : public backend::Device {
 public:
  Disk() { info_.block_count = 8; }
  std::unique_ptr<core::IoChannel> open_channel(backend::UringEngine& /*engine*/) override { return nullptr; }
  backend::Measurement measure() const override {
    ++asked;
    asked_on = std::this_thread::get_id();
    answer.wait();
    return {.size_bytes = size_bytes};
  }
  mutable std::atomic<int> asked = 0;
  mutable std::thread::id asked_on{};
  std::shared_future<void> answer;
  std::atomic<uint64_t> size_bytes = 8192;
};

struct Looking {
  boost::asio::io_context io;
  DeviceLooks looks{io, milliseconds(200)};
  std::promise<void> later;
  std::shared_ptr<Disk> dead = std::make_shared<Disk>();
  std::shared_ptr<Disk> live = std::make_shared<Disk>();
  Looking() {
    std::promise<void> now;
    now.set_value();
    live->answer = now.get_future();
    dead->answer = later.get_future();
  }
  void look() {
    const auto measure = [&]() -> boost::asio::awaitable<void> {
      std::vector<std::weak_ptr<backend::Device>> devices = {dead, live};
      co_await looks.measure(std::move(devices));
    };
    boost::asio::co_spawn(io, measure(), boost::asio::detached);
    io.restart();
    io.run();
  }
};

TEST_CASE("a device that does not answer is waited for once, and is not asked again before it has") {
  Looking l;
  l.look();
  CHECK(l.dead->info().block_count == 8);
  CHECK(l.dead->asked_on != std::this_thread::get_id());
  for (int i = 0; i < 100 && l.live->info().block_count == 8; ++i) {
    l.look();
    std::this_thread::sleep_for(milliseconds(5));
  }
  CHECK(l.live->info().block_count == 16);
  CHECK(l.dead->info().block_count == 8);
  CHECK(l.dead->asked == 1);
}

TEST_CASE("what a device says late is taken by a later look, which asks it again") {
  Looking l;
  l.look();
  l.dead->size_bytes = 4096 * 3;
  l.later.set_value();
  for (int i = 0; i < 100 && l.dead->info().block_count == 8; ++i) {
    l.look();
    std::this_thread::sleep_for(milliseconds(5));
  }
  CHECK(l.dead->info().block_count == 24);
  l.dead->size_bytes = 4096;
  l.look();
  CHECK(l.dead->info().block_count == 8);
}

TEST_CASE("a device that is removed before it answers: another one does not get its size") {
  Looking l;
  l.look();
  l.dead = std::make_shared<Disk>();
  l.dead->answer = l.live->answer;
  l.dead->size_bytes = 4096 * 5;
  l.later.set_value();
  l.look();
  CHECK(l.dead->info().block_count == 40);
}

}  // namespace
}  // namespace nvmf::daemon
