#include "transport/rdma/receive_slab.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "target/core/datapath/limits.h"

namespace nvmf::rdma {
namespace {

using core::limits::kCqeBytes;
using core::limits::kPageBytes;
using core::limits::kSqeBytes;

constexpr size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

size_t in_capsule_area(uint32_t count, uint32_t in_capsule_bytes) {
  return size_t{count} * round_up(in_capsule_bytes, kPageBytes);
}

}  // namespace

Pages::Pages(size_t bytes) : bytes_(round_up(bytes, kPageBytes)) {
  void* mapping = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(),
                            "cannot map " + std::to_string(bytes_) + " bytes of memory");
  begin_ = static_cast<std::byte*>(mapping);
}

Pages::~Pages() { munmap(begin_, bytes_); }

// Layout: in-capsule data (page-aligned), SQEs, requests.
ReceiveSlab::ReceiveSlab(ibv_pd* domain, uint32_t count, uint32_t in_capsule_bytes)
    : count_(count),
      request_count_(requests_of(count)),
      pages_(in_capsule_area(count, in_capsule_bytes) + size_t{count} * kSqeBytes +
             size_t{request_count_} * sizeof(RdmaRequest)),
      slots_(std::make_unique<ReceiveSlot[]>(count)) {
  const size_t area = in_capsule_area(count, in_capsule_bytes);
  if (area != 0)
    data_region_ = verbs::register_memory(domain, pages_.begin(), area, verbs::read_sink_access(domain->context));
  region_ = verbs::register_memory(domain, pages_.begin() + area, pages_.size() - area, IBV_ACCESS_LOCAL_WRITE);
  in_capsule_ = {pages_.begin(), area};
  std::byte* sqes = pages_.begin() + area;
  auto* first_request = sqes + size_t{count} * kSqeBytes;

  for (uint32_t i = 0; i < count; ++i) {
    ReceiveSlot& slot = slots_[i];
    slot.sqe = sqes + size_t{i} * kSqeBytes;
    slot.in_capsule = pages_.begin() + i * (area / count);
    slot.pieces[0] = {reinterpret_cast<uintptr_t>(slot.sqe), kSqeBytes, region_->lkey};
    slot.pieces[1] = {reinterpret_cast<uintptr_t>(slot.in_capsule), in_capsule_bytes,
                      data_region_ ? data_region_->lkey : 0};
    slot.receive = {};
    slot.receive.wr_id = reinterpret_cast<uintptr_t>(&slot);
    slot.receive.sg_list = slot.pieces;
    slot.receive.num_sge = in_capsule_bytes == 0 ? 1 : 2;
  }

  for (uint32_t i = 0; i < request_count_; ++i) {
    auto* request = new (first_request + size_t{i} * sizeof(RdmaRequest)) RdmaRequest;
    if (i == 0) requests_ = request;
    request->response_piece = {reinterpret_cast<uintptr_t>(&request->cqe), kCqeBytes, region_->lkey};
    request->response = {};
    request->response.wr_id = request->completion_id(Completion::Response);
    request->response.sg_list = &request->response_piece;
    request->response.num_sge = 1;
    request->transfer_work = {};
  }
}

}  // namespace nvmf::rdma
