#include <doctest/doctest.h>

#include <bit>
#include <set>
#include <string>

#include "target/core/datapath/buffer_pool.h"
#include "target/core/datapath/memory_policy.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"

using namespace nvmf::core;

namespace {

constexpr uint32_t kNever = ProvenTransfers::kNever;

Buffer cmb_region() {
  Buffer region;
  region.address = std::bit_cast<std::byte*>(uintptr_t{1} << 40);
  region.length_bytes = 1 << 20;
  region.kind = MemoryKind::Cmb;
  return region;
}

// A 4 KiB read of a namespace with peer-to-peer on, over a connection and a pair that allow everything.
struct Command {
  BufferPool cmb{cmb_region(), 128 << 10};
  IoNamespace ns;
  Queue queue;
  Request request;

  Command() {
    ns.cmb = &cmb;
    ns.p2p.mode = P2pMode::Prefer;
    ns.p2p.largest_tried_mtu = 4096;
    ns.p2p.host_reads = {.any_offset_from_mtu = 256, .page_start_from_mtu = 256};
    ns.p2p.host_writes = ns.p2p.host_reads;
    queue.path_mtu = 4096;
    request.queue = &queue;
    request.ns = &ns;
    request.transfer = Transfer::ControllerToHost;
    request.length_bytes = 4096;
  }

  void check_goes_through_cmb() const {
    const MemoryChoice choice = choose_memory(request);
    CHECK(choice.pool == &cmb);
    CHECK(choice.fallback == Fallback::None);
    CHECK(choice.status.ok());
  }
  void check_falls_back(Fallback reason) const {
    const MemoryChoice choice = choose_memory(request);
    CHECK(choice.pool == nullptr);
    CHECK(std::string(name_of(choice.fallback)) == name_of(reason));
    CHECK(choice.status.ok());
  }
  void check_refused(Fallback reason) const {
    const MemoryChoice choice = choose_memory(request);
    CHECK(choice.pool == nullptr);
    CHECK(choice.fallback == reason);
    CHECK(choice.status == Status(NVME_SC_NS_NOT_READY | NVME_SC_DNR));
  }
};

}  // namespace

TEST_CASE("What was proved for any offset takes every transfer, in both directions") {
  for (const P2pMode mode : {P2pMode::Prefer, P2pMode::Require}) {
    Command command;
    command.ns.p2p.mode = mode;
    command.check_goes_through_cmb();
    command.request.pointer.page_aligned = false;
    command.check_goes_through_cmb();
    command.request.transfer = Transfer::HostToController;
    command.check_goes_through_cmb();
  }
}

TEST_CASE("Peer-to-peer off is DRAM, and no fallback") {
  Command command;
  command.ns.p2p.mode = P2pMode::Off;
  command.check_falls_back(Fallback::None);
}

TEST_CASE("Commands without data or namespace have no memory to choose") {
  Command command;
  command.request.transfer = Transfer::None;
  command.check_falls_back(Fallback::None);
  command.request.transfer = Transfer::ControllerToHost;
  command.request.ns = nullptr;
  command.check_falls_back(Fallback::None);
}

TEST_CASE("What the target's CPU must touch goes through DRAM, also where peer-to-peer is required") {
  for (const P2pMode mode : {P2pMode::Prefer, P2pMode::Require}) {
    Command command;
    command.ns.p2p.mode = mode;
    command.request.processor_needs_data = true;
    command.check_falls_back(Fallback::ProcessorNeeds);
  }
}

TEST_CASE("Each direction stands on its own proof") {
  Command command;
  command.ns.p2p.host_writes = {};
  command.check_goes_through_cmb();
  command.request.transfer = Transfer::HostToController;
  command.check_falls_back(Fallback::Refused);
}

TEST_CASE("A namespace without CMB memory on this RNIC is refused peer-to-peer") {
  Command command;
  command.ns.cmb = nullptr;
  command.check_falls_back(Fallback::Refused);
  command.ns.p2p.mode = P2pMode::Require;
  command.check_refused(Fallback::Refused);
}

TEST_CASE("A connection whose path MTU is smaller than the proved one") {
  Command command;
  command.ns.p2p.host_reads = {.any_offset_from_mtu = kNever, .page_start_from_mtu = 4096};
  command.queue.path_mtu = 1024;

  SUBCASE("prefer: goes through DRAM") { command.check_falls_back(Fallback::PathMtu); }
  SUBCASE("require: the namespace is not ready on it, and never will be") {
    command.ns.p2p.mode = P2pMode::Require;
    command.check_refused(Fallback::PathMtu);
  }
  SUBCASE("require: what the CPU must touch works all the same") {
    command.ns.p2p.mode = P2pMode::Require;
    command.request.processor_needs_data = true;
    command.check_falls_back(Fallback::PathMtu);
  }
}

TEST_CASE("A connection whose path MTU is larger than any that was tried") {
  Command command;
  command.ns.p2p.largest_tried_mtu = 1024;
  command.queue.path_mtu = 2048;

  SUBCASE("prefer: goes through DRAM") { command.check_falls_back(Fallback::PathMtu); }
  SUBCASE("require: the host may try again, for the self-test will be repeated") {
    command.ns.p2p.mode = P2pMode::Require;
    const MemoryChoice choice = choose_memory(command.request);
    CHECK(choice.pool == nullptr);
    CHECK(choice.fallback == Fallback::PathMtu);
    CHECK(choice.status == Status(NVME_SC_NS_NOT_READY));
  }
}

TEST_CASE("Where only transfers from a page's start were proved") {
  for (const P2pMode mode : {P2pMode::Prefer, P2pMode::Require}) {
    Command command;
    command.ns.p2p.mode = mode;
    command.ns.p2p.host_reads = {.any_offset_from_mtu = kNever, .page_start_from_mtu = 4096};
    command.check_goes_through_cmb();
    command.request.pointer.page_aligned = false;
    command.check_falls_back(Fallback::Alignment);
  }
}

TEST_CASE("Any offset may need a larger path MTU than a page's start") {
  Command command;
  command.ns.p2p.host_reads = {.any_offset_from_mtu = 4096, .page_start_from_mtu = 1024};
  command.request.pointer.page_aligned = false;
  command.check_goes_through_cmb();
  command.queue.path_mtu = 2048;
  command.check_falls_back(Fallback::Alignment);
  command.request.pointer.page_aligned = true;
  command.check_goes_through_cmb();
}

TEST_CASE("Longer than the largest CMB buffer") {
  for (const P2pMode mode : {P2pMode::Prefer, P2pMode::Require}) {
    Command command;
    command.ns.p2p.mode = mode;
    command.request.length_bytes = 128 << 10;
    command.check_goes_through_cmb();
    command.request.length_bytes += 512;
    command.check_falls_back(Fallback::TooLarge);
  }
}

TEST_CASE("The namespace's threshold counts with prefer only") {
  Command command;
  command.ns.p2p.min_bytes = 8192;
  command.check_falls_back(Fallback::BelowThreshold);
  command.request.length_bytes = 8192;
  command.check_goes_through_cmb();
  command.request.length_bytes = 4096;
  command.ns.p2p.mode = P2pMode::Require;
  command.check_goes_through_cmb();
}

TEST_CASE("Every path and every reason has a name of its own") {
  std::set<std::string> names;
  for (size_t i = 0; i < kDataPaths; ++i) names.insert(name_of(static_cast<DataPath>(i)));
  for (size_t i = 0; i < kFallbacks; ++i) names.insert(name_of(static_cast<Fallback>(i)));
  CHECK(names.size() == kDataPaths + kFallbacks);
}
