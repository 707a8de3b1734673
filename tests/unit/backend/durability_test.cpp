// What hosts ask for beyond the data (FUA, DEAC) as the kernel gets it, and how commands of several parts end.
#include <sys/resource.h>
#include <sys/uio.h>

#include <csignal>

#include "target/backend/block_channel.h"
#include "target/backend/nvme_channel.h"
#include "tests/unit/backend/recorder.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::IoKind;
using nvmf::core::Status;

namespace {

constexpr int kZero = 16;
constexpr int kPunch = 3;
constexpr uint32_t kFua = 1u << 30;
constexpr uint32_t kDeac = 1u << 25;

constexpr BlockGeometry kGeometry{
    .lba_shift = 9, .zero_mode = kZero, .punch_mode = kPunch, .deallocate = Deallocate::Punch};

// A channel to a block device of which nothing is asked.
struct BlockRecorder : Recorder {
  int null = open("/dev/null", O_RDWR);
  BlockChannel channel;
  explicit BlockRecorder(const BlockGeometry& geometry) : channel(engine, null, geometry) {}
  ~BlockRecorder() { close(null); }
};

struct NvmeRecorder : Recorder {
  int null = open("/dev/null", O_RDWR);
  NvmeChannel channel;
  explicit NvmeRecorder(const NvmeGeometry& geometry = {}) : channel(engine, null, geometry) {}
  ~NvmeRecorder() { close(null); }
};

TestIo on_blocks(IoKind kind, bool fua = false, bool deallocate = false) {
  alignas(4096) static std::byte memory[4096];
  TestIo io = transfer(kind, 64, 8, memory, 512);
  io.fua = fua;
  io.deallocate = deallocate;
  return io;
}

TestIo deallocate_of(const std::vector<nvme_dsm_range>& ranges) {
  TestIo io;
  io.kind = IoKind::Deallocate;
  io.data.address = reinterpret_cast<std::byte*>(const_cast<nvme_dsm_range*>(ranges.data()));
  io.range_count = static_cast<uint32_t>(ranges.size());
  return io;
}

}  // namespace

TEST_SUITE_BEGIN("durability" * doctest::skip(without_io_uring()));

TEST_CASE("FUA of a write to a block device or file is RWF_DSYNC") {
  for (const bool fua : {false, true}) {
    for (const int fixed_index : {-1, 3}) {
      BlockRecorder recorder(kGeometry);
      TestIo io = on_blocks(IoKind::Write, fua);
      io.data.fixed_index = fixed_index;
      recorder.channel.submit(io);
      const io_uring_sqe entry = recorder.entries(1)[0];
      CHECK(entry.opcode == (fixed_index < 0 ? IORING_OP_WRITE : IORING_OP_WRITE_FIXED));
      CHECK(entry.rw_flags == (fua ? RWF_DSYNC : 0));
      CHECK(entry.off == 64 * 512);
      CHECK(entry.len == 4096);
      CHECK_FALSE(is_linked(entry));
    }
  }
}

TEST_CASE("The rest of a write that was cut short is as durable as its beginning") {
  for (const bool fua : {false, true}) {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::Write, fua);
    recorder.channel.submit(io);
    reinterpret_cast<Unfinished*>(io.backend_word)->write_rest(io, 512);  // as the engine does
    const io_uring_sqe entry = recorder.entries(2)[1];
    CHECK(entry.opcode == IORING_OP_WRITE);
    CHECK(entry.rw_flags == (fua ? RWF_DSYNC : 0));
    CHECK(entry.off == 65 * 512);
    CHECK(entry.len == 4096 - 512);
  }
}

TEST_CASE("The rest of a write whose queue is being ended never reaches the disk, and the write ends") {
  BlockRecorder recorder(kGeometry);
  TestIo io = on_blocks(IoKind::Write);
  const auto end_short = [&io] { reinterpret_cast<Unfinished*>(io.backend_word)->write_rest(io, 512); };
  SUBCASE("its beginning is at the disk") {
    recorder.channel.submit(io);
    recorder.channel.withdraw_rest(io);
    end_short();
    CHECK(io.status == Status(NVME_SC_ABORT_QUEUE));
    TestIo after = on_blocks(IoKind::Write);
    recorder.channel.submit(after);
    for (const io_uring_sqe& entry : recorder.entries(2)) CHECK(entry.off == 64 * 512);
  }
  SUBCASE("another life of the request is not concerned") {
    recorder.channel.submit(io);
    recorder.channel.withdraw_rest(io);
    end_short();
    recorder.channel.submit(io);
    end_short();
    CHECK(recorder.entries(3)[2].off == 65 * 512);
  }
  SUBCASE("the rest is at the disk already, or the command is of another kind: it ends by its own result") {
    recorder.channel.submit(io);
    end_short();
    const uint64_t rest = io.backend_word;
    recorder.channel.withdraw_rest(io);
    CHECK(io.backend_word == rest);
    TestIo zeroes = on_blocks(IoKind::WriteZeroes, true);
    recorder.channel.submit(zeroes);
    recorder.channel.withdraw_rest(zeroes);
    CHECK(zeroes.backend_word == 2);
  }
}

TEST_CASE(
    "A long range of a Deallocate goes to the kernel in steps of a GiB, which end where a GiB of the device does") {
  constexpr uint64_t kGiB = 1 << 30;
  const std::vector<nvme_dsm_range> ranges = {range(8, 5 << 20), range((6 << 20) + 8, 8)};  // 2.5 GiB, 4 KiB
  TestIo io = deallocate_of(ranges);
  const auto end_step = [&io] { reinterpret_cast<Unfinished*>(io.backend_word)->next_step(io, 0); };
  const uint64_t end = uint64_t{8 + (5 << 20)} * 512;
  BlockRecorder recorder(kGeometry);
  recorder.channel.submit(io);
  SUBCASE("all of it") {
    for (int step = 0; step < 3; ++step) end_step();
    CHECK(io.times == 0);
    end_step();
    CHECK(io.status == Status(NVME_SC_SUCCESS));
    const auto entries = recorder.entries(4);
    CHECK(entries[0].off == 8 * 512);
    CHECK(entries[0].addr == kGiB - 8 * 512);
    CHECK(entries[1].off == kGiB);
    CHECK(entries[1].addr == kGiB);
    CHECK(entries[2].off == 2 * kGiB);
    CHECK(entries[2].addr == end - 2 * kGiB);
    CHECK(entries[3].off == 3 * kGiB + 8 * 512);
    CHECK(entries[3].addr == 8 * 512);
  }
  SUBCASE("its queue is being ended") {
    recorder.channel.withdraw_rest(io);
    end_step();
    CHECK(io.status == Status(NVME_SC_ABORT_QUEUE));
    recorder.channel.submit(io);
    CHECK_MESSAGE(recorder.entries(2)[1].off == 8 * 512, "another life of the request begins at the beginning");
  }
}

TEST_CASE("The further ranges of a Deallocate whose queue is being ended never reach the disk, and it ends") {
  const std::vector<nvme_dsm_range> ranges = {range(8, 16), range(100, 2)};
  BlockRecorder recorder(kGeometry);
  TestIo io = deallocate_of(ranges);
  const auto end_step = [&io] { reinterpret_cast<Unfinished*>(io.backend_word)->next_step(io, 0); };
  recorder.channel.submit(io);
  recorder.channel.withdraw_rest(io);
  CHECK(io.times == 0);
  end_step();
  CHECK(io.status == Status(NVME_SC_ABORT_QUEUE));
  SUBCASE("and nothing more is at the disk") {
    TestIo after = on_blocks(IoKind::Write);
    recorder.channel.submit(after);
    CHECK(recorder.entries(2)[0].off == 8 * 512);
  }
  SUBCASE("another life of the request is not concerned") {
    recorder.channel.submit(io);
    end_step();
    CHECK(recorder.entries(3)[2].off == 100 * 512);
  }
}

TEST_CASE("A Flush reaches the kernel, whatever the device said of its cache when it was opened") {
  BlockRecorder recorder(kGeometry);
  TestIo io = on_blocks(IoKind::Flush);
  recorder.channel.submit(io);
  CHECK(io.times == 0);
  const io_uring_sqe entry = recorder.entries(1)[0];
  CHECK(entry.opcode == IORING_OP_FSYNC);
  CHECK(entry.fsync_flags == IORING_FSYNC_DATASYNC);
}

TEST_CASE("FUA of a read flushes the cache first") {
  SUBCASE("with FUA: the read is linked behind a sync") {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::Read, true);
    recorder.channel.submit(io);
    const auto entries = recorder.entries(2);
    CHECK(entries[0].opcode == IORING_OP_FSYNC);
    CHECK(entries[0].fsync_flags == IORING_FSYNC_DATASYNC);
    CHECK(is_linked(entries[0]));
    CHECK(entries[1].opcode == IORING_OP_READ);
    CHECK(entries[1].len == 4096);
    CHECK_FALSE(is_linked(entries[1]));
  }
  SUBCASE("without: the read alone") {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::Read);
    recorder.channel.submit(io);
    const io_uring_sqe entry = recorder.entries(1)[0];
    CHECK(entry.opcode == IORING_OP_READ);
    CHECK(entry.rw_flags == 0);
  }
}

TEST_CASE("Write Zeroes with FUA has a sync linked behind it") {
  SUBCASE("with FUA") {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::WriteZeroes, true);
    recorder.channel.submit(io);
    const auto entries = recorder.entries(2);
    CHECK(entries[0].opcode == IORING_OP_FALLOCATE);
    CHECK(is_linked(entries[0]));
    CHECK(entries[1].opcode == IORING_OP_FSYNC);
    CHECK_FALSE(is_linked(entries[1]));
  }
  SUBCASE("without FUA") {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::WriteZeroes);
    recorder.channel.submit(io);
    CHECK_FALSE(is_linked(recorder.entries(1)[0]));
    UringEngine::end_part(io, nvmf::core::kSuccess);
    CHECK_MESSAGE(io.times == 1, "it is of one part");
  }
}

TEST_CASE("Write Zeroes keeps blocks allocated unless the host said that they may be deallocated") {
  for (const bool deallocate : {false, true}) {
    BlockRecorder recorder(kGeometry);
    TestIo io = on_blocks(IoKind::WriteZeroes, false, deallocate);
    recorder.channel.submit(io);
    const io_uring_sqe entry = recorder.entries(1)[0];
    CHECK(entry.len == (deallocate ? kPunch : kZero));  // fallocate's mode
    CHECK(entry.off == 64 * 512);
    CHECK(entry.addr == 8 * 512);  // its length
  }
  BlockGeometry cannot_punch = kGeometry;
  cannot_punch.punch_mode = 0;
  BlockRecorder recorder(cannot_punch);
  TestIo io = on_blocks(IoKind::WriteZeroes, false, true);
  recorder.channel.submit(io);
  CHECK(recorder.entries(1)[0].len == kZero);
}

TEST_CASE(
    "Deallocate is a hole for each range, or a discard where the device cannot write zeroes; one after the other") {
  const std::vector<nvme_dsm_range> ranges = {range(8, 16), range(0, 0), range(100, 2)};
  TestIo io = deallocate_of(ranges);
  // As the engine does.
  const auto end_step = [&io] { reinterpret_cast<Unfinished*>(io.backend_word)->next_step(io, 0); };
  SUBCASE("holes") {
    BlockRecorder recorder(kGeometry);
    recorder.channel.submit(io);
    end_step();
    CHECK(io.times == 0);
    end_step();
    CHECK(io.times == 1);
    const auto entries = recorder.entries(2);
    CHECK(entries[0].opcode == IORING_OP_FALLOCATE);
    CHECK(entries[0].len == kPunch);
    CHECK(entries[0].off == 8 * 512);
    CHECK(entries[0].addr == 16 * 512);
    CHECK(entries[1].off == 100 * 512);
    for (const io_uring_sqe& entry : entries) CHECK_FALSE(is_linked(entry));
  }
  SUBCASE("discards") {
    BlockGeometry geometry = kGeometry;
    geometry.punch_mode = 0;
    geometry.deallocate = Deallocate::Discard;
    BlockRecorder recorder(geometry);
    recorder.channel.submit(io);
    end_step();
    const auto entries = recorder.entries(2);
    CHECK(entries[0].opcode == IORING_OP_URING_CMD);
    CHECK(entries[0].cmd_op == 0x1200);  // BLOCK_URING_CMD_DISCARD
    CHECK(entries[0].addr == 8 * 512);
    CHECK(entries[0].addr3 == 16 * 512);
    CHECK(entries[0].len == 0);
    CHECK(entries[0].rw_flags == 0);
    for (const io_uring_sqe& entry : entries) {
      CHECK_MESSAGE((entry.flags & IOSQE_ASYNC) != 0, "device mapper refuses what must not wait");
      CHECK_FALSE(is_linked(entry));
    }
    CHECK(entries[1].addr == 100 * 512);
    CHECK(entries[1].addr3 == 2 * 512);
  }
  SUBCASE("not at all") {
    BlockGeometry geometry = kGeometry;
    geometry.deallocate = Deallocate::None;
    BlockRecorder recorder(geometry);
    recorder.channel.submit(io);
    CHECK(io.times == 1);
    CHECK(io.status == Status(NVME_SC_INVALID_OPCODE).do_not_retry());
  }
}

TEST_CASE("A command of two linked parts of which the first fails ends once, with that one's error") {
  const auto end_of = [](const char* path, const TestIo& command) {
    UringEngine engine;
    engine.start();
    const int fd = open(path, O_RDWR);
    TestIo io = command;
    {
      BlockChannel channel(engine, fd, kGeometry);
      channel.submit(io);
      engine.poll();
      while (io.times == 0) engine.sleep(std::nullopt);
      engine.sleep(1000);
      CHECK(io.times == 1);
    }
    close(fd);
    return io.status;
  };
  // Can be read, and not synced.
  CHECK(end_of("/dev/zero", on_blocks(IoKind::Read)).ok());
  CHECK(end_of("/dev/zero", on_blocks(IoKind::Read, true)) == Status(NVME_SC_INTERNAL));
  // Cannot be zeroed (ENODEV).
  CHECK(end_of("/dev/null", on_blocks(IoKind::WriteZeroes, true)) == Status(NVME_SC_NS_NOT_READY));
}

TEST_CASE("A file: FUA of reads and Write Zeroes") {
  const TemporaryFile file(1 << 20);
  const auto device = open_device({.kind = DeviceKind::File, .path = file.path(), .size_bytes = 0, .block_bytes = 512});
  Bench bench(*device);
  Pages data(4096), back(4096);
  data.fill(3);
  REQUIRE(bench.write(8, 8, data.begin()).ok());
  TestIo read = transfer(IoKind::Read, 8, 8, back.begin(), 512);
  read.fua = true;
  CHECK(bench.run(read).ok());
  CHECK(std::memcmp(data.begin(), back.begin(), data.size()) == 0);
  if (device->info().supports_write_zeroes) CHECK(bench.write_zeroes(8, 8, false, true).ok());
  TestIo behind_the_end = transfer(IoKind::Read, 4096, 8, back.begin(), 512);
  behind_the_end.fua = true;
  CHECK(bench.run(behind_the_end) == Status(NVME_SC_INTERNAL));
}

TEST_CASE("FUA and DEAC of an SSD's commands, in every part, where they have a meaning") {
  NvmeGeometry geometry;
  geometry.max_scattered_bytes = 2048;
  geometry.max_write_zeroes_blocks = 4;
  geometry.max_verify_blocks = 4;
  geometry.max_write_uncorrectable_blocks = 4;
  struct Case {
    IoKind kind;
    bool fua;
    bool deallocate;
    uint32_t flags;
  };
  for (const Case& c : {Case{IoKind::Read, true, false, kFua}, Case{IoKind::Write, true, false, kFua},
                        Case{IoKind::Write, false, false, 0}, Case{IoKind::Compare, true, false, kFua},
                        Case{IoKind::WriteZeroes, false, true, kDeac}, Case{IoKind::WriteZeroes, true, false, kFua},
                        Case{IoKind::WriteZeroes, true, true, kFua | kDeac}, Case{IoKind::Verify, true, false, kFua},
                        // What a request object's life before left behind.
                        Case{IoKind::Verify, false, true, 0}, Case{IoKind::WriteUncorrectable, true, true, 0}}) {
    NvmeRecorder recorder(geometry);
    TestIo io = on_blocks(c.kind, c.fua, c.deallocate);
    recorder.channel.submit(io);
    const auto commands = recorder.commands(2);
    CAPTURE(static_cast<int>(c.kind));
    for (const nvme_uring_cmd& command : commands) CHECK(command.cdw12 == (c.flags | 3));  // 4 blocks
    CHECK(commands[0].cdw10 == 64);
    CHECK(commands[1].cdw10 == 68);
  }
}

TEST_CASE("A command that changes an SSD's medium has the target's time-out, and every other one the kernel's") {
  NvmeGeometry geometry;
  geometry.change_timeout_ms = 30'000;
  const std::vector<nvme_dsm_range> ranges = {range(0, 8)};
  const auto timeout_ms = [&](TestIo io) {
    NvmeRecorder recorder(geometry);
    if (io.kind == IoKind::Copy) io.range_count = 2;
    recorder.channel.submit(io);
    return recorder.commands(1)[0].timeout_ms;
  };
  for (const IoKind kind : {IoKind::Write, IoKind::WriteZeroes, IoKind::WriteUncorrectable, IoKind::Copy}) {
    CAPTURE(static_cast<int>(kind));
    CHECK(timeout_ms(on_blocks(kind)) == 30'000);
  }
  CHECK(timeout_ms(deallocate_of(ranges)) == 30'000);
  for (const IoKind kind : {IoKind::Read, IoKind::Flush, IoKind::Verify, IoKind::Compare}) {
    CAPTURE(static_cast<int>(kind));
    CHECK(timeout_ms(on_blocks(kind)) == 0);
  }
}

TEST_CASE("A Copy's FUA reaches the SSD; a Deallocate says what it is") {
  {
    NvmeRecorder recorder;
    TestIo copy = on_blocks(IoKind::Copy, true);
    copy.range_count = 2;
    recorder.channel.submit(copy);
    CHECK(recorder.commands(1)[0].cdw12 == (kFua | 1));
  }
  NvmeRecorder recorder;
  const std::vector<nvme_dsm_range> ranges = {range(0, 8)};
  TestIo deallocate = deallocate_of(ranges);
  recorder.channel.submit(deallocate);
  const nvme_uring_cmd command = recorder.commands(1)[0];
  CHECK(command.opcode == nvme_cmd_dsm);
  CHECK(command.cdw11 == NVME_DSMGMT_AD);
}

// A ring that is not started takes no more than it has entries, as one whose kernel has no memory.
TEST_CASE("A command in parts that meets a full ring ends once, when the parts that were queued have ended") {
  UringEngine engine({.submission_entries = 4, .completion_entries = 8, .max_buffers = 1, .max_files = 1});
  const int null = open("/dev/null", O_RDWR);
  NvmeGeometry geometry;
  geometry.max_write_zeroes_blocks = 1;
  {
    NvmeChannel channel(engine, null, geometry);
    TestIo io = on_blocks(IoKind::WriteZeroes);
    channel.submit(io);
    CHECK(io.times == 0);
    TestIo whole = on_blocks(IoKind::Write);
    channel.submit(whole);
    CHECK(whole.times == 1);
    CHECK(whole.status == UringEngine::kNoRoom);
    engine.start();
    engine.poll();
    while (io.times == 0) engine.sleep(std::nullopt);
    engine.sleep(1000);
    CHECK(io.times == 1);
    CHECK_FALSE(io.status.ok());
    CHECK_FALSE((io.status.value() & NVME_SC_DNR));
  }
  close(null);
}

TEST_CASE("Linked parts go to the kernel together or not at all") {
  UringEngine engine({.submission_entries = 4, .completion_entries = 8, .max_buffers = 1, .max_files = 1});
  const TemporaryFile file(1 << 20);
  const int fd = open(file.path().c_str(), O_RDWR);
  {
    BlockChannel channel(engine, fd, kGeometry);
    std::vector<TestIo> reads(3, on_blocks(IoKind::Read));
    for (TestIo& read : reads) channel.submit(read);
    for (TestIo io : {on_blocks(IoKind::WriteZeroes, true), on_blocks(IoKind::Read, true)}) {
      channel.submit(io);
      CHECK(io.times == 1);
      CHECK(io.status == UringEngine::kNoRoom);
    }
    TestIo last = on_blocks(IoKind::Read);
    channel.submit(last);
    CHECK_MESSAGE(last.times == 0, "the place that was left is still there");
    engine.start();
    engine.poll();
    while (last.times == 0) engine.sleep(std::nullopt);
    for (const TestIo& read : reads) CHECK(read.status.ok());
    CHECK(last.status.ok());
  }
  close(fd);
}

// As a thin file does on a file system that runs full: the limit stands for it.
TEST_CASE("A write that ends early is carried on with: the host gets the error of the rest, not one of the target's") {
  constexpr rlim_t kLimit = (1 << 20) + 2048;
  const TemporaryFile file(2 << 20);
  const auto device = open_device({.kind = DeviceKind::File, .path = file.path(), .size_bytes = 0, .block_bytes = 512});
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto* const handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit limited{kLimit, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limited) == 0);
  Pages data(4096), back(4096);
  data.fill(4);
  Status status;
  {
    Bench bench(*device);
    for (const bool fua : {false, true}) {
      status = bench.write(2048, 8, data.begin(), fua);
      CHECK(status == Status(NVME_SC_CAP_EXCEEDED).do_not_retry());
    }
    CHECK(bench.read(2048, 8, back.begin()).ok());
    CHECK_MESSAGE(bench.write(2044, 8, data.begin()).ok(), "up to the limit all is well");
  }
  CHECK(std::memcmp(data.begin(), back.begin(), 2048) == 0);
  CHECK(all_zero(back.begin() + 2048, 2048));
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
}

// begin_parts() and end_part() keep their count in the request object, which has had other commands before.
TEST_CASE("A request object has a second life: after Write Zeroes that failed in parts, one that succeeds") {
  const TemporaryFile file(1 << 20);
  const auto device = open_device({.kind = DeviceKind::File, .path = file.path(), .size_bytes = 0, .block_bytes = 512});
  Bench bench(*device);
  bench.start();
  Pages data(4096);
  TestIo io = transfer(IoKind::Read, 4096, 8, data.begin(), 512);
  io.fua = true;
  CHECK_FALSE(bench.run(io).ok());
  io.slba = 0;
  io.times = 0;
  CHECK(bench.run(io).ok());
  if (!device->info().supports_write_zeroes) return;
  io.kind = IoKind::WriteZeroes;
  io.times = 0;
  CHECK(bench.run(io).ok());
}

TEST_SUITE_END();
