#include "p2p/rdma_loop.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "target/core/datapath/limits.h"

namespace nvmf::p2p {
namespace {

using Clock = std::chrono::steady_clock;

// A transfer takes microseconds on hardware; one that takes much longer will time out.
constexpr auto kPollEagerly = std::chrono::milliseconds(5);
constexpr auto kPollPause = std::chrono::milliseconds(1);

std::byte* allocate_pages(uint64_t bytes) {
  void* memory = std::aligned_alloc(core::limits::kPageBytes, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return static_cast<std::byte*>(memory);
}

}  // namespace

struct RdmaLoop::Pair : verbs::LoopPair {
  using LoopPair::LoopPair;

  // Empty when done.
  std::string wait(std::chrono::milliseconds timeout) const {
    const auto start = Clock::now();
    ibv_wc completion{};
    while (true) {
      const int count = ibv_poll_cq(completions.get(), 1, &completion);
      if (count < 0) return "the completion queue failed";
      if (count > 0) break;
      const auto waited = Clock::now() - start;
      if (waited > timeout) return "no completion within " + std::to_string(timeout.count()) + " ms";
      if (waited < kPollEagerly)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(kPollPause);
    }
    if (completion.status == IBV_WC_SUCCESS) return {};
    return std::string("the RNIC reported \"") + ibv_wc_status_str(completion.status) + "\"";
  }
};

RdmaLoop::RdmaLoop(ibv_context* context, uint8_t port, const CmbMapping& mapping, CmbRange range, uint64_t dram_bytes,
                   std::chrono::milliseconds timeout)
    : context_(context),
      port_(port),
      address_(verbs::address_of_port(context, port)),
      range_(range),
      timeout_(timeout),
      memory_(allocate_pages(dram_bytes), std::free),
      dram_(memory_.get(), dram_bytes),
      domain_(verbs::allocate_protection_domain(context)),
      cmb_(domain_.get(), mapping),
      dram_region_(verbs::register_memory(domain_.get(), dram_.data(), dram_.size(),
                                          IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)) {}

RdmaLoop::~RdmaLoop() = default;

RdmaLoop::Pair& RdmaLoop::pair_for(uint32_t path_mtu) {
  std::unique_ptr<Pair>& pair = pairs_[path_mtu];
  if (!pair) pair = std::make_unique<Pair>(domain_.get(), address_, path_mtu);
  return *pair;
}

std::string RdmaLoop::copy(const Transfer& transfer) {
  auto* near = static_cast<std::byte*>(cmb_.get()->addr) + range_.offset_bytes + transfer.cmb_offset;
  ibv_sge element{reinterpret_cast<uintptr_t>(near), transfer.length, cmb_.get()->lkey};
  ibv_send_wr request{};
  request.sg_list = &element;
  request.num_sge = 1;
  request.opcode = transfer.direction == Direction::HostReads ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
  request.send_flags = IBV_SEND_SIGNALED;
  request.wr.rdma.remote_addr = reinterpret_cast<uintptr_t>(dram_.data() + transfer.dram_offset);
  request.wr.rdma.rkey = dram_region_->rkey;
  std::string error;
  try {
    Pair& pair = pair_for(transfer.path_mtu);
    ibv_send_wr* refused = nullptr;
    const int posted = ibv_post_send(pair.near.get(), &request, &refused);
    error = posted != 0 ? std::string("cannot post: ") + std::strerror(posted) : pair.wait(timeout_);
  } catch (const verbs::VerbsError& failure) {
    error = failure.what();
  }
  // A failed queue pair cannot be used again; its destruction also ends outstanding transfers.
  if (!error.empty()) pairs_.erase(transfer.path_mtu);
  return error;
}

}  // namespace nvmf::p2p
