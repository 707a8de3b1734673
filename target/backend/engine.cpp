#include "target/backend/engine.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <stdexcept>
#include <system_error>

namespace nvmf::backend {
namespace {

// NVMe passthrough needs 128-byte submission and 32-byte completion entries.
constexpr unsigned kNeeded = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

// From the best set to the one that every kernel with NVMe passthrough has. With DEFER_TASKRUN completions are
// processed in the thread's own system calls instead of interrupting it.
constexpr unsigned kWished[] = {
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED,
};

// With the cause; null: unknown.
const char* remedy(int error) {
  switch (error) {
    case EPERM:
      return "io_uring is not allowed: set the sysctl kernel.io_uring_disabled to 0, or allow io_uring in the "
             "container's seccomp profile";
    case ENOSYS:
      return "the kernel has no io_uring: CONFIG_IO_URING is needed";
    case ENOMEM:
      return "no memory for io_uring: raise the limit on locked memory (ulimit -l)";
    case EINVAL:
      return "the kernel's io_uring lacks 128-byte entries: Linux 5.19 or newer is needed";
    default:
      return nullptr;
  }
}

[[noreturn]] void fail(int error) {
  if (const char* const cause_and_remedy = remedy(error)) throw std::runtime_error(cause_and_remedy);
  throw std::system_error(error, std::generic_category(), "io_uring cannot be set up");
}

int create_ring(const EngineOptions& options, io_uring& ring) {
  int error = -EINVAL;
  for (const unsigned wished : kWished) {
    io_uring_params params{};
    params.flags = kNeeded | wished;
    params.cq_entries = options.completion_entries;
    error = io_uring_queue_init_params(options.submission_entries, &ring, &params);
    if (error != -EINVAL) break;
  }
  return error;
}

// All indices of a table, the first to be used first.
std::vector<int> free_indices(uint32_t count) {
  std::vector<int> indices(count);
  std::iota(indices.rbegin(), indices.rend(), 0);
  return indices;
}

}  // namespace

UringEngine::UringEngine(const EngineOptions& options) {
  if (const int error = create_ring(options, ring_); error < 0) fail(-error);
  if (io_uring_register_buffers_sparse(&ring_, options.max_buffers) == 0)
    free_buffers_ = free_indices(options.max_buffers);
  if (io_uring_register_files_sparse(&ring_, options.max_files) == 0) free_files_ = free_indices(options.max_files);
}

UringEngine::~UringEngine() { io_uring_queue_exit(&ring_); }

void UringEngine::start() {
  // Not io_uring_enable_rings(), which Debian 12's liburing does not export.
  if (const int error = io_uring_register(ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); error < 0)
    throw std::system_error(-error, std::generic_category(), "cannot enable a reactor's io_uring");
  io_uring_register_ring_fd(&ring_);  // spares each call the look-up of the ring's file; works without
}

void UringEngine::watch(int fd, void (*on_record)(void* context, uint64_t record), void* context) {
  watches_.push_back(std::make_unique<Watch>(Watch{this, fd, on_record, nullptr, context}));
}

void UringEngine::watch_readable(int fd, bool (*on_readable)(void* context), void* context) {
  watches_.push_back(std::make_unique<Watch>(Watch{this, fd, nullptr, on_readable, context}));
}

void UringEngine::unwatch(int fd) {
  const auto known = [fd](const auto& watch) { return watch->fd == fd && !watch->forgotten; };
  Watch& watch = **std::ranges::find_if(watches_, known);
  watch.forgotten = true;
  if (watch.in_flight)
    cancel(watch);
  else
    drop(watch);
}

// Where the kernel has no memory for the request, the READ (or POLL) and what it holds stay until the engine's end.
void UringEngine::cancel(Watch& watch) {
  io_uring_sqe* const sqe = next_sqe();
  if (sqe == nullptr) return;
  io_uring_prep_cancel64(sqe, watch_tag(&watch), 0);
  sqe->user_data = watch_tag(nullptr);
}

void UringEngine::drop(const Watch& watch) {
  std::erase_if(watches_, [&](const auto& one) { return one.get() == &watch; });
}

int UringEngine::register_buffer(void* address, size_t length_bytes) {
  if (free_buffers_.empty()) return -1;
  const int index = free_buffers_.back();
  if (!set_buffer(index, {address, length_bytes})) return -1;
  free_buffers_.pop_back();
  return index;
}

void UringEngine::unregister_buffer(int index) {
  if (index >= 0 && set_buffer(index, {})) free_buffers_.push_back(index);
}

bool UringEngine::set_buffer(int index, const iovec& buffer) {
  constexpr __u64 kNoTag = 0;
  return io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(index), &buffer, &kNoTag, 1) == 1;
}

FileReference UringEngine::register_file(int fd) {
  if (free_files_.empty()) return {fd, 0, nullptr};
  const int index = free_files_.back();
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(index), &fd, 1) != 1) return {fd, 0, nullptr};
  free_files_.pop_back();
  return {index, IOSQE_FIXED_FILE, this};
}

// After the reactor's thread has ended the kernel takes no more changes, and the ring's end does it.
FileReference::~FileReference() {
  if (engine == nullptr) return;
  const int none = -1;
  if (io_uring_register_files_update(&engine->ring_, static_cast<unsigned>(fd), &none, 1) == 1)
    engine->free_files_.push_back(fd);
}

}  // namespace nvmf::backend
