// What an SSD's zoned namespace gets of a command, and in which order: Zoned Namespace Command Set 1.1, sections 3.3
// and 3.4.
#include <doctest/doctest.h>
#include <linux/nvme_ioctl.h>

#include "target/backend/nvme_channel.h"
#include "tests/unit/backend/recorder.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::IoKind;
using nvmf::core::MemoryKind;
using nvmf::core::Status;

namespace {

constexpr uint64_t kZoneBlocks = 128;

NvmeGeometry zoned() {
  NvmeGeometry geometry;
  geometry.nsid = 7;
  geometry.change_timeout_ms = 30'000;
  geometry.max_contiguous_bytes = 16 << 10;
  geometry.max_scattered_bytes = 8 << 10;
  geometry.max_write_zeroes_blocks = 16;
  geometry.max_write_uncorrectable_blocks = 16;
  geometry.zone_blocks = kZoneBlocks;
  return geometry;
}

struct ZonedRecorder : Recorder {
  NvmeChannel channel{engine, open("/dev/null", O_RDWR | O_CLOEXEC), zoned()};
};

TestIo on_zone(IoKind kind, uint64_t slba, uint32_t blocks) {
  alignas(4096) static std::byte memory[64 << 10];
  return transfer(kind, slba, blocks, memory, kind == IoKind::WriteZeroes ? 0 : 512);
}

// The SSD ends the command with success.
void end_step(TestIo& io, uint64_t result = 0) {
  reinterpret_cast<Unfinished*>(io.backend_word)->next_step(io, result);
}

uint64_t slba_of(const nvme_uring_cmd& command) { return uint64_t{command.cdw11} << 32 | command.cdw10; }

}  // namespace

TEST_SUITE_BEGIN("zoned" * doctest::skip(without_io_uring()));

TEST_CASE("A Zone Append is one command, however long, and tells where the data is") {
  ZonedRecorder recorder;
  TestIo io = on_zone(IoKind::ZoneAppend, uint64_t{5} << 32 | 128, 100);
  io.fua = true;
  recorder.channel.submit(io);
  CHECK(io.times == 0);
  end_step(io, 0x1234567890abcdef);
  CHECK(io.status == Status(NVME_SC_SUCCESS));
  CHECK(io.times == 1);
  CHECK(io.slba == 0x1234567890abcdef);
  const nvme_uring_cmd command = recorder.commands(1)[0];
  CHECK(command.opcode == nvme_zns_cmd_append);
  CHECK(command.nsid == 7);
  CHECK(slba_of(command) == (uint64_t{5} << 32 | 128));
  CHECK(command.cdw12 == (99u | uint32_t{NVME_IO_FUA} << 16));
  CHECK(command.data_len == 100 * 512);
  CHECK(command.addr == reinterpret_cast<uintptr_t>(io.data.address));
  CHECK(command.timeout_ms == 30'000);
}

TEST_CASE("A long Write is several commands, each when the one before has ended") {
  ZonedRecorder recorder;
  TestIo io = on_zone(IoKind::Write, 130, 40);
  io.fua = true;
  SUBCASE("of DRAM") {
    recorder.channel.submit(io);
    for (int step = 0; step < 3; ++step) {
      CHECK(io.times == 0);
      end_step(io);
    }
    CHECK(io.status == Status(NVME_SC_SUCCESS));
    const auto commands = recorder.commands(3);
    constexpr uint32_t kBlocks[] = {16, 16, 8};
    for (size_t i = 0; i < commands.size(); ++i) {
      CHECK(commands[i].opcode == nvme_cmd_write);
      CHECK(slba_of(commands[i]) == 130 + 16 * i);
      CHECK(commands[i].cdw12 == ((kBlocks[i] - 1) | uint32_t{NVME_IO_FUA} << 16));
      CHECK(commands[i].addr == reinterpret_cast<uintptr_t>(io.data.address) + i * (8 << 10));
      CHECK(commands[i].data_len == kBlocks[i] * 512);
      CHECK(commands[i].timeout_ms == 30'000);
    }
  }
  SUBCASE("of a CMB, which is contiguous") {
    io.data.kind = MemoryKind::Cmb;
    recorder.channel.submit(io);
    end_step(io);
    end_step(io);
    CHECK(io.status == Status(NVME_SC_SUCCESS));
    CHECK(recorder.commands(2)[0].data_len == 16 << 10);
  }
}

TEST_CASE("A Write that fits, and every Read, is what it is elsewhere") {
  ZonedRecorder recorder;
  TestIo write = on_zone(IoKind::Write, 130, 16);
  TestIo read = on_zone(IoKind::Read, 0, 40);
  recorder.channel.submit(write);
  recorder.channel.submit(read);
  const auto commands = recorder.commands(4);
  CHECK(commands[0].opcode == nvme_cmd_write);
  for (size_t i = 1; i < commands.size(); ++i) CHECK(commands[i].opcode == nvme_cmd_read);
}

TEST_CASE("Write Zeroes and Write Uncorrectable move the write pointer, too: in order") {
  for (const auto& [kind, opcode] :
       {std::pair{IoKind::WriteZeroes, nvme_cmd_write_zeroes}, {IoKind::WriteUncorrectable, nvme_cmd_write_uncor}}) {
    ZonedRecorder recorder;
    TestIo io = on_zone(kind, 128, 20);
    recorder.channel.submit(io);
    CHECK(io.times == 0);
    end_step(io);
    CHECK(io.times == 0);
    end_step(io);
    CHECK(io.status == Status(NVME_SC_SUCCESS));
    const auto commands = recorder.commands(2);
    for (const nvme_uring_cmd& command : commands) {
      CHECK(command.opcode == opcode);
      CHECK(command.data_len == 0);
    }
    CHECK(slba_of(commands[1]) == 144);
    CHECK(commands[1].cdw12 == 3);
  }
}

TEST_CASE("The rest of a long Write whose queue is being ended is not begun") {
  ZonedRecorder recorder;
  TestIo io = on_zone(IoKind::Write, 128, 40);
  recorder.channel.submit(io);
  recorder.channel.withdraw_rest(io);
  CHECK(io.times == 0);
  end_step(io);
  CHECK(io.status == Status(NVME_SC_ABORT_QUEUE));
  SUBCASE("another life of the request is not concerned") {
    recorder.channel.submit(io);
    end_step(io);
    CHECK(io.times == 1);
    CHECK(slba_of(recorder.commands(3)[2]) == 144);
  }
  SUBCASE("what is all at the SSD ends by its own result") {
    TestIo last = on_zone(IoKind::WriteZeroes, 128, 16);
    recorder.channel.submit(last);
    recorder.channel.withdraw_rest(last);
    end_step(last);
    CHECK(last.status == Status(NVME_SC_SUCCESS));
  }
}

TEST_CASE("What would have to be split and crosses the end of a zone is refused before its first block is written") {
  ZonedRecorder recorder;
  for (const IoKind kind : {IoKind::Write, IoKind::WriteZeroes, IoKind::WriteUncorrectable}) {
    TestIo io = on_zone(kind, 120, 40);
    recorder.channel.submit(io);
    CHECK(io.status == nvmf::core::kZoneBoundaryError);
  }
}

TEST_CASE("The management of zones: zone, action, and the data if there is some") {
  ZonedRecorder recorder;
  TestIo reset;
  reset.kind = IoKind::ZoneManagementSend;
  reset.slba = uint64_t{3} << 32 | 128;
  reset.zone_action = NVME_ZNS_ZSA_RESET;
  recorder.channel.submit(reset);
  TestIo extension = on_zone(IoKind::ZoneManagementSend, 128, 1);
  extension.data.length_bytes = 64;
  extension.zone_action = NVME_ZNS_ZSA_SET_DESC_EXT;
  recorder.channel.submit(extension);
  TestIo report = on_zone(IoKind::ZoneManagementReceive, 256, 8);
  report.zone_action = 1u << 16;
  recorder.channel.submit(report);
  const auto commands = recorder.commands(3);
  CHECK(commands[0].opcode == nvme_zns_cmd_mgmt_send);
  CHECK(slba_of(commands[0]) == reset.slba);
  CHECK(commands[0].cdw12 == 0);
  CHECK(commands[0].cdw13 == NVME_ZNS_ZSA_RESET);
  CHECK(commands[0].data_len == 0);
  CHECK(commands[0].timeout_ms == 30'000);
  CHECK(commands[1].cdw13 == NVME_ZNS_ZSA_SET_DESC_EXT);
  CHECK(commands[1].data_len == 64);
  CHECK(commands[2].opcode == nvme_zns_cmd_mgmt_recv);
  CHECK(slba_of(commands[2]) == 256);
  CHECK(commands[2].cdw12 == 1023);  // NUMD
  CHECK(commands[2].cdw13 == 1u << 16);
  CHECK(commands[2].data_len == 4096);
  CHECK(commands[2].timeout_ms == 0);
}

TEST_SUITE_END();
