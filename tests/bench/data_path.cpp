// What tests/bench/user counts: the target on the model RNIC, and one host that keeps a queue full of commands of one
// kind. The same arguments give the same run.
#include <nvme/types.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/simulation/host.h"
#include "tests/simulation/world.h"

namespace nvmf::simulation {
namespace {

constexpr uint16_t kQid = 1;
constexpr uint32_t kMostBlocks = World::kMaxTransferBytes >> World::kLbaShift;

struct Job {
  bool writes;
  bool in_memory;   // a namespace in memory that RNICs read themselves, instead of a disk
  uint32_t blocks;  // of a command
  uint16_t depth;   // commands outstanding
  uint64_t commands;
};

void send_one(HostQueue& queue, const Job& job, rnic::Random& random) {
  const uint64_t slba = random.below(World::kBlocks / job.blocks) * job.blocks;
  const auto opcode = static_cast<uint8_t>(job.writes ? nvme_cmd_write : nvme_cmd_read);
  queue.send(transfer_command(opcode, slba, job.blocks), job.writes ? Direction::ToController : Direction::ToHost,
             Bytes(size_t{job.blocks} << World::kLbaShift));
}

void check_answer(HostQueue& queue, uint16_t cid) {
  if (const int status = queue.answer(cid)->status >> 1; status != 0)
    throw std::runtime_error("a command ended with status " + std::to_string(status));
  queue.take(cid);
}

void run(const Job& job) {
  WorldOptions options;
  options.max_queue_depth = 128;
  options.in_memory = job.in_memory;
  World world(options);
  Host host(world, {.depth = static_cast<uint16_t>(job.depth + 1), .keep_alive_ms = World::kKeepAliveMs});
  if (!host.bring_up()) throw std::runtime_error("the host does not come up: " + host.failure);
  HostQueue& queue = host.io(kQid);
  rnic::Random random(1);
  uint64_t sent = 0;
  for (uint64_t answered = 0; answered < job.commands;) {
    for (; sent < job.commands && queue.has_room(); ++sent) send_one(queue, job, random);
    const bool came = world.wait([&] {
      queue.turn();
      return !queue.answered().empty() || (sent < job.commands && queue.has_room());
    });
    if (!came) throw std::runtime_error("no answer came");
    for (const uint16_t cid : queue.answered()) check_answer(queue, cid), ++answered;
    host.keep_alive();
  }
  for (const std::string& fault : world.fabric.faults()) throw std::runtime_error(fault);
  host.leave();
}

}  // namespace
}  // namespace nvmf::simulation

int main(int argc, char** argv) {
  using namespace nvmf::simulation;
  const auto number = [&](int place) { return std::strtoul(argv[place], nullptr, 10); };
  const std::string kind = argc == 5 ? argv[1] : "";
  const bool writes = kind.starts_with("write");
  const bool in_memory = kind.ends_with("-memory");
  const bool is_known = kind == std::string(writes ? "write" : "read") + (in_memory ? "-memory" : "");
  const bool good =
      is_known && number(2) >= 1 && number(2) <= kMostBlocks && number(3) >= 1 && number(3) < 128 && number(4) >= 1;
  if (!good) {
    std::fprintf(stderr, "usage: bench_data_path read|write|read-memory|write-memory BLOCKS DEPTH COMMANDS\n");
    return EXIT_FAILURE;
  }
  try {
    run({writes, in_memory, static_cast<uint32_t>(number(2)), static_cast<uint16_t>(number(3)), number(4)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_data_path: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
