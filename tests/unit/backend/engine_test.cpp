#include "target/backend/engine.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <bit>
#include <cstring>
#include <thread>

#include "target/backend/block_channel.h"
#include "target/backend/status.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::Status;

namespace {

struct Bell {
  int fd = eventfd(0, EFD_NONBLOCK);
  std::vector<uint64_t> records;
  ~Bell() { close(fd); }
  static void on_record(void* self, uint64_t record) { static_cast<Bell*>(self)->records.push_back(record); }
  static bool on_readable(void* self) {
    on_record(self, 0);
    return true;
  }
};

// Whether anybody has the other end of a pipe open for reading, a READ in flight included.
bool has_reader(int pipe_end) {
  pollfd entry{pipe_end, POLLOUT, 0};
  poll(&entry, 1, 0);
  return (entry.revents & POLLERR) == 0;
}

DeviceSpec file_spec(const std::string& path) {
  return {.kind = DeviceKind::File, .path = path, .size_bytes = 0, .block_bytes = 512};
}

}  // namespace

TEST_SUITE_BEGIN("engine" * doctest::skip(without_io_uring()));

TEST_CASE("A record of a watched descriptor wakes a sleeping engine, time and again") {
  UringEngine engine;
  Bell bell;
  engine.watch(bell.fd, Bell::on_record, &bell);
  engine.start();
  for (uint64_t i = 1; i <= 20; ++i) {
    std::thread ringer([&] {
      usleep(i % 2 == 0 ? 500 : 0);
      eventfd_write(bell.fd, i);
    });
    while (bell.records.size() < i) engine.sleep(std::nullopt);
    CHECK(bell.records.back() == i);
    ringer.join();
  }
}

TEST_CASE("A record that came before the engine sleeps is not missed") {
  UringEngine engine;
  Bell bell;
  engine.watch(bell.fd, Bell::on_record, &bell);
  engine.start();
  eventfd_write(bell.fd, 7);
  engine.sleep(std::nullopt);
  CHECK(bell.records == std::vector<uint64_t>{7});
}

TEST_CASE("A descriptor is only looked at where its owner takes what is in it, once for each time that more comes") {
  struct Taker {
    Bell bell;
    int calls = 0;
    bool takes = false;
    bool dead = false;
    static bool on_readable(void* self) {
      auto& taker = *static_cast<Taker*>(self);
      ++taker.calls;
      eventfd_t value;
      if (taker.takes) eventfd_read(taker.bell.fd, &value);
      return !taker.dead;
    }
  };
  UringEngine engine;
  Taker taker;
  engine.watch_readable(taker.bell.fd, Taker::on_readable, &taker);
  engine.start();
  engine.sleep(1000);
  CHECK(taker.calls == 0);
  for (const int calls : {1, 2, 3}) {
    eventfd_write(taker.bell.fd, 7);
    while (taker.calls < calls) engine.sleep(std::nullopt);
    engine.sleep(1000);
    CHECK(taker.calls == calls);
  }
  taker.takes = true;
  eventfd_write(taker.bell.fd, 7);
  while (taker.calls < 4) engine.sleep(std::nullopt);
  engine.sleep(1000);
  CHECK(taker.calls == 4);
  eventfd_t value = 0;
  CHECK(eventfd_read(taker.bell.fd, &value) != 0);
  taker.takes = false;
  taker.dead = true;
  eventfd_write(taker.bell.fd, 1);
  while (taker.calls < 5) engine.sleep(std::nullopt);
  engine.sleep(1000);
  CHECK(taker.calls == 5);
  engine.unwatch(taker.bell.fd);
  engine.sleep(1000);
  CHECK(taker.calls == 5);
}

TEST_CASE("Sleep ends at its time-out") {
  UringEngine engine;
  Bell bell;
  engine.watch(bell.fd, Bell::on_record, &bell);
  engine.start();
  engine.sleep(2000);
  CHECK(bell.records.empty());
  eventfd_write(bell.fd, 1);
  engine.sleep(std::nullopt);
  CHECK(bell.records.size() == 1);
}

TEST_CASE("A descriptor that dies does not keep the engine awake") {
  UringEngine engine;
  Bell bell;
  int pipe_ends[2];
  REQUIRE(pipe2(pipe_ends, O_NONBLOCK) == 0);
  engine.watch(bell.fd, Bell::on_record, &bell);
  engine.watch(pipe_ends[0], Bell::on_record, &bell);
  engine.start();
  close(pipe_ends[1]);  // end of file from now on
  engine.sleep(1000);
  engine.sleep(1000);
  eventfd_write(bell.fd, 5);
  engine.sleep(std::nullopt);
  CHECK(bell.records == std::vector<uint64_t>{5});
  close(pipe_ends[0]);
}

TEST_CASE("A descriptor that is watched no more wakes nobody, and the engine lets go of its file") {
  UringEngine engine;
  Bell bell;
  engine.watch(bell.fd, Bell::on_record, &bell);
  engine.start();
  for (const auto& [asleep_before, is_read] : {std::pair{false, true}, {true, true}, {false, false}, {true, false}}) {
    Bell gone;
    int pipe_ends[2];
    REQUIRE(pipe2(pipe_ends, O_NONBLOCK) == 0);
    if (is_read)
      engine.watch(pipe_ends[0], Bell::on_record, &gone);
    else
      engine.watch_readable(pipe_ends[0], Bell::on_readable, &gone);
    if (asleep_before) engine.sleep(1000);
    engine.unwatch(pipe_ends[0]);
    close(pipe_ends[0]);
    engine.sleep(1000);
    CHECK_FALSE(has_reader(pipe_ends[1]));
    close(pipe_ends[1]);
    CHECK(gone.records.empty());
  }
  eventfd_write(bell.fd, 9);
  engine.sleep(std::nullopt);
  CHECK(bell.records == std::vector<uint64_t>{9});
}

TEST_CASE("A descriptor that died is watched no more; its number is watched again for another file") {
  UringEngine engine;
  Bell bell;
  engine.start();
  int pipe_ends[2];
  REQUIRE(pipe2(pipe_ends, O_NONBLOCK) == 0);
  engine.watch(pipe_ends[0], Bell::on_record, &bell);
  close(pipe_ends[1]);
  engine.sleep(1000);
  engine.unwatch(pipe_ends[0]);
  REQUIRE(dup2(bell.fd, pipe_ends[0]) == pipe_ends[0]);
  engine.watch(pipe_ends[0], Bell::on_record, &bell);
  eventfd_write(bell.fd, 4);
  engine.sleep(std::nullopt);
  CHECK(bell.records == std::vector<uint64_t>{4});
  close(pipe_ends[0]);
}

TEST_CASE("It is started on another thread than it was made on, and ends on a third") {
  auto engine = std::make_unique<UringEngine>();
  TemporaryFile file(1 << 20);
  const auto device = open_device(file_spec(file.path()));
  const auto channel = device->open_channel(*engine);
  Pages data(4096);
  CHECK(engine->register_buffer(data.begin(), data.size()) >= 0);
  std::thread([&] {
    engine->start();
    TestIo io = transfer(nvmf::core::IoKind::Write, 0, 8, data.begin(), 512);
    io.data.fixed_index = 0;
    channel->submit(io);
    while (io.times == 0) engine->sleep(std::nullopt);
    CHECK(io.status.ok());
  }).join();
}

TEST_CASE("A descriptor that becomes readable while the ring is full of completions wakes the engine afterwards, too") {
  TemporaryFile file(1 << 20);
  const auto device = open_device(file_spec(file.path()));
  Bench bench(*device, {.submission_entries = 8, .completion_entries = 16});
  Bell bell;
  bench.engine.watch_readable(bell.fd, Bell::on_readable, &bell);
  bench.start();
  bench.engine.sleep(1000);
  Pages data(1 << 20);
  std::vector<TestIo> ios(256);
  for (uint32_t i = 0; i < ios.size(); ++i) {
    ios[i] = transfer(nvmf::core::IoKind::Write, uint64_t{8} * i, 8, data.begin() + size_t{4096} * i, 512);
    bench.channel->submit(ios[i]);
    eventfd_write(bell.fd, 1);  // the kernel has no room to say so, and may give up the poll
  }
  for (const TestIo& io : ios) bench.wait(io);
  for (int i = 0; i < 3; ++i) {
    while (bench.engine.poll() != 0) continue;
    const size_t before = bell.records.size();
    bench.engine.sleep(1000);
    eventfd_write(bell.fd, 1);
    while (bell.records.size() == before) bench.engine.sleep(std::nullopt);
  }
}

TEST_CASE("More commands in a turn than the ring has entries: all are done") {
  TemporaryFile file(1 << 20);
  const auto device = open_device(file_spec(file.path()));
  Bench bench(*device, {.submission_entries = 8, .completion_entries = 16});
  bench.start();
  Pages data(1 << 20);
  data.fill(1);
  std::vector<TestIo> ios(256);
  for (uint32_t i = 0; i < ios.size(); ++i) {
    ios[i] = transfer(nvmf::core::IoKind::Write, uint64_t{8} * i, 8, data.begin() + size_t{4096} * i, 512);
    bench.channel->submit(ios[i]);
  }
  for (const TestIo& io : ios) bench.wait(io);
  for (const TestIo& io : ios) {
    CHECK(io.times == 1);
    CHECK(io.status.ok());
  }
  Pages back(1 << 20);
  CHECK(bench.read(0, 2048, back.begin()).ok());
  CHECK(std::memcmp(back.begin(), data.begin(), data.size()) == 0);
}

TEST_CASE("A command submitted while another's completion is handled") {
  TemporaryFile file(1 << 20);
  const auto device = open_device(file_spec(file.path()));
  Bench bench(*device);
  bench.start();
  Pages data(4096);
  struct Chain : TestIo {
    nvmf::core::IoChannel* channel = nullptr;
  } io;
  static_cast<TestIo&>(io) = transfer(nvmf::core::IoKind::Read, 0, 8, data.begin(), 512);
  io.channel = bench.channel.get();
  io.done = [](nvmf::core::Io& one, Status result) {
    auto& self = static_cast<Chain&>(one);
    self.status = result;
    if (++self.times < 100) self.channel->submit(self);
  };
  bench.channel->submit(io);
  bench.engine.poll();
  while (io.times < 100) bench.engine.sleep(std::nullopt);
  CHECK(io.status.ok());
}

TEST_CASE("Registered buffers") {
  TemporaryFile file(1 << 20);
  const auto device = open_device(file_spec(file.path()));
  Bench bench(*device, {.max_buffers = 2});
  Pages data(8192);
  data.fill(5);

  SUBCASE("carry data both ways") {
    const int index = bench.engine.register_buffer(data.begin(), data.size());
    REQUIRE(index >= 0);
    TestIo write = transfer(nvmf::core::IoKind::Write, 3, 8, data.begin(), 512);
    write.data.fixed_index = index;
    CHECK(bench.run(write).ok());
    TestIo read = transfer(nvmf::core::IoKind::Read, 3, 8, data.begin() + 4096, 512);
    read.data.fixed_index = index;
    CHECK(bench.run(read).ok());
    CHECK(std::memcmp(data.begin(), data.begin() + 4096, 4096) == 0);
  }
  SUBCASE("memory that cannot be pinned is refused, and costs no place") {
    CHECK(bench.engine.register_buffer(std::bit_cast<void*>(uintptr_t{4096}), 4096) == -1);
    CHECK(bench.engine.register_buffer(data.begin(), 4096) == 0);
  }
  SUBCASE("a full table refuses more") {
    CHECK(bench.engine.register_buffer(data.begin(), 4096) == 0);
    CHECK(bench.engine.register_buffer(data.begin() + 4096, 4096) == 1);
    CHECK(bench.engine.register_buffer(data.begin(), 8192) == -1);
  }
  SUBCASE("an unregistered one leaves its place to the next") {
    CHECK(bench.engine.register_buffer(data.begin(), 4096) == 0);
    CHECK(bench.engine.register_buffer(data.begin() + 4096, 4096) == 1);
    bench.engine.unregister_buffer(0);
    bench.engine.unregister_buffer(-1);
    CHECK(bench.engine.register_buffer(data.begin(), 8192) == 0);
    CHECK(bench.engine.register_buffer(data.begin(), 8192) == -1);
  }
}

TEST_CASE("A full table of files falls back to descriptors, until a reference goes") {
  UringEngine engine({.max_files = 1});
  Bell bell;
  {
    const FileReference first = engine.register_file(bell.fd);
    CHECK(first.sqe_flags == IOSQE_FIXED_FILE);
    const FileReference second = engine.register_file(bell.fd);
    CHECK(second.fd == bell.fd);
    CHECK(second.sqe_flags == 0);
  }
  CHECK(engine.register_file(bell.fd).sqe_flags == IOSQE_FIXED_FILE);
}

TEST_SUITE_END();

TEST_CASE("An Io of several parts ends once, with the first error") {
  TestIo io;
  UringEngine::begin_parts(io, 3);
  UringEngine::end_part(io, nvmf::core::kSuccess);
  UringEngine::end_part(io, NVME_SC_LBA_RANGE | NVME_SC_DNR);
  CHECK(io.times == 0);
  UringEngine::end_part(io, NVME_SC_INTERNAL);
  CHECK(io.times == 1);
  CHECK(io.status == Status(NVME_SC_LBA_RANGE | NVME_SC_DNR));
}

TEST_CASE("Results of commands and transfers as statuses") {
  CHECK(status_of_command(0).ok());
  CHECK(status_of_command(-EAGAIN) == Status(NVME_SC_CMD_INTERRUPTED));
  CHECK(status_of_command(NVME_SC_LBA_RANGE | NVME_SC_DNR) == Status(NVME_SC_LBA_RANGE | NVME_SC_DNR));
  CHECK(status_of_command(0x281) == nvmf::core::media_error(NVME_SC_READ_ERROR));
  // A retry delay and More concern only the device.
  CHECK(status_of_command(0x3800 | NVME_SC_NS_NOT_READY) == Status(NVME_SC_NS_NOT_READY));
  // The kernel's driver gave up on the command: the host should try again.
  CHECK(status_of_command(0x370) == Status(NVME_SC_CMD_INTERRUPTED));
  CHECK(status_of_command(0x4371) == Status(NVME_SC_CMD_INTERRUPTED));

  CHECK(status_of_transfer(4096, 4096).ok());
  CHECK(status_of_transfer(512, 4096) == Status(NVME_SC_INTERNAL));
  CHECK(status_of_transfer(0, 4096) == Status(NVME_SC_INTERNAL));
  CHECK(status_of_transfer(-ENOSPC, 4096) == Status(NVME_SC_CAP_EXCEEDED | NVME_SC_DNR));
}
