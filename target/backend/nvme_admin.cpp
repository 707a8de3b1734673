#include "target/backend/nvme_admin.h"

#include <linux/nvme_ioctl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace nvmf::backend {
namespace {

constexpr unsigned kEntries = 64;

nvme_uring_cmd get_smart_log(nvme_smart_log& page) {
  constexpr uint32_t kDwords_z = sizeof(nvme_smart_log) / 4 - 1;
  constexpr uint32_t kRetainAsyncEvent = 1u << 15;  // the event is for the local driver
  nvme_uring_cmd command{};
  command.opcode = nvme_admin_get_log_page;
  command.nsid = NVME_NSID_ALL;
  command.addr = reinterpret_cast<uintptr_t>(&page);
  command.data_len = sizeof page;
  command.cdw10 = NVME_LOG_LID_SMART | kRetainAsyncEvent | kDwords_z << 16;
  return command;
}

}  // namespace

NvmeAdminRing::NvmeAdminRing() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
  int error = event_.is_open() ? io_uring_queue_init_params(kEntries, &ring_, &params) : -errno;
  if (error == 0) {
    error = io_uring_register_eventfd(&ring_, event_.get());
    if (error != 0) io_uring_queue_exit(&ring_);
  }
  if (error != 0) throw std::system_error(-error, std::generic_category(), "io_uring for admin commands to SSDs");
}

NvmeAdminRing::~NvmeAdminRing() { io_uring_queue_exit(&ring_); }

bool NvmeAdminRing::ask(int controller, SmartQuestion& question) {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) return false;
  const nvme_uring_cmd command = get_smart_log(question.page);
  io_uring_prep_rw(IORING_OP_URING_CMD, sqe, controller, nullptr, 0, 0);
  sqe->cmd_op = NVME_URING_CMD_ADMIN;
  sqe->user_data = reinterpret_cast<uintptr_t>(&question);
  std::memcpy(sqe->cmd, &command, sizeof command);
  return io_uring_submit(&ring_) == 1;
}

void NvmeAdminRing::receive() {
  uint64_t count = 0;
  [[maybe_unused]] const auto ignored = read(event_.get(), &count, sizeof count);
  io_uring_cqe* cqe = nullptr;
  while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
    auto& question = *std::bit_cast<SmartQuestion*>(cqe->user_data);
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    question.answered(question, result);
  }
}

}  // namespace nvmf::backend
