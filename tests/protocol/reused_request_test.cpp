// A transport's request object serves one command after the other.
#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "target/core/command/command.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kFua = 1u << 30;
constexpr uint32_t kDeac = 1u << 25;

// Commands that leave something behind, and some that are refused.
std::vector<Sqe> io_commands() {
  std::vector<Sqe> all;
  for (const uint32_t nsid : {1u, 3u}) {
    for (const uint32_t flags : {0u, kFua}) {
      for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write, nvme_cmd_compare, nvme_cmd_verify})
        all.push_back(command(opcode, nsid, 7, 0, flags | 1));
      all.push_back(command(nvme_cmd_write_zeroes, nsid, 9, 0, flags | kDeac | 3));
      all.push_back(command(nvme_cmd_copy, nsid, 300, 0, flags | 2));
    }
    all.push_back(command(nvme_cmd_dsm, nsid, 4, NVME_DSMGMT_AD));
    all.push_back(command(nvme_cmd_flush, nsid));
    all.push_back(command(nvme_cmd_read, nsid, 0xffffffff));
    all.push_back(command(nvme_cmd_write, nsid, 0, 0, 1u << 20));
    all.push_back(command(nvme_cmd_resv_report, nsid, 15, 1));
    all.push_back(command(nvme_cmd_resv_register, nsid));
  }
  all.push_back(command(nvme_cmd_flush, NVME_NSID_ALL));
  all.push_back(command(nvme_cmd_read, 7));
  all.push_back(command(0x7f, 1));
  all.push_back(disconnect_command());
  all.push_back(disconnect_command(1));
  return all;
}

std::vector<Sqe> admin_commands() {
  return {command(nvme_admin_identify, 1, NVME_IDENTIFY_CNS_NS),
          command(nvme_admin_identify, 9, NVME_IDENTIFY_CNS_NS),
          command(nvme_admin_get_features, 0, NVME_FEAT_FID_NUM_QUEUES),
          command(nvme_admin_get_features, 0, 0xfe),
          command(nvme_admin_set_features, 0, NVME_FEAT_FID_HOST_BEHAVIOR),
          get_log_page(NVME_LOG_LID_ERROR, 64),
          command(nvme_admin_async_event),
          command(nvme_admin_keep_alive),
          command(nvme_admin_abort_cmd, 0, 1),
          property_get(NVME_REG_CAP, 1),
          property_get(NVME_REG_CSTS),
          property_set(NVME_REG_VS, 0),
          command(0x7f)};
}

// What parse() says of a command, as far as executors and transports look at it.
struct Parsed {
  int status;
  core::Executor execute;
  core::Transfer transfer;
  bool processor_needs_data;
  uint32_t length_bytes;
  uint32_t scratch_bytes;
  uint16_t error_location;
  uint64_t result;
  bool fua;
  bool deallocate;
  uint64_t slba;
  uint32_t blocks;
  uint32_t range_count;
  bool operator==(const Parsed&) const = default;
};

Parsed parse(core::Request& request, core::Queue& queue, const Sqe& sqe) {
  request.queue = &queue;
  request.sqe = &sqe;
  const int status = core::parse(request).value();
  const Parsed parsed{status,
                      request.execute,
                      request.transfer,
                      request.processor_needs_data,
                      request.length_bytes,
                      request.scratch_bytes,
                      request.error_location,
                      request.cqe.result,
                      request.fua,
                      request.deallocate,
                      request.slba,
                      request.blocks,
                      request.range_count};
  core::set_namespace(request, nullptr);
  request.cqe.result = 0x4321'4321;  // what a command answers with is left behind as well
  return parsed;
}

TEST_CASE("a request that has served any command serves any other one like a new request") {
  World world;
  world.io_namespace(3).own_commands = 0;
  Host host(world);
  host.bring_up(1);
  struct Kind {
    core::Queue& queue;
    std::vector<Sqe> commands;
  };
  for (const Kind& kind : {Kind{host.io(1).queue, io_commands()}, Kind{host.admin.queue, admin_commands()}}) {
    for (const Sqe& before : kind.commands) {
      for (const Sqe& sqe : kind.commands) {
        CAPTURE(int{before.opcode});
        CAPTURE(int{sqe.opcode});
        core::Request fresh;
        core::Request used;
        parse(used, kind.queue, before);
        const bool same = parse(used, kind.queue, sqe) == parse(fresh, kind.queue, sqe);
        CHECK(same);
      }
    }
  }
}

}  // namespace
}  // namespace nvmf::test
