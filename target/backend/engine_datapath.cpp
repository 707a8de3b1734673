// HOT PATH: submissions and completions of a reactor's disks, and its sleep.
#include <poll.h>

#include <bit>
#include <cerrno>

#include "target/backend/engine.h"
#include "target/backend/status.h"

namespace nvmf::backend {

unsigned UringEngine::poll() {
  // The kernel's words that it has completions to work off, or had no room to post them.
  constexpr unsigned kWantsEntry = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  if (io_uring_sq_ready(&ring_) != 0)
    io_uring_submit_and_get_events(&ring_);
  else if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & kWantsEntry) != 0)
    io_uring_get_events(&ring_);
  const unsigned ended = deferred_.empty() ? 0 : serve_deferred();
  return ended + reap();
}

unsigned UringEngine::serve_deferred() {
  unsigned ended = 0;
  for (Deferred* channel = deferred_.take_all(); channel != nullptr;) {
    Deferred& served = *channel;
    channel = channel->next_deferred;
    ended += served.try_again();
  }
  return ended;
}

void UringEngine::sleep(std::optional<uint32_t> timeout_us) {
  if (!deferred_.empty()) {
    poll();
    return;
  }
  submit_watches();
  io_uring_cqe* first = nullptr;
  if (timeout_us) {
    __kernel_timespec timeout{.tv_sec = *timeout_us / 1'000'000, .tv_nsec = *timeout_us % 1'000'000 * 1'000LL};
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  } else {
    io_uring_submit_and_wait(&ring_, 1);
  }
  reap();
}

void UringEngine::submit_watches() {
  for (const std::unique_ptr<Watch>& watch : watches_) {
    if (watch->in_flight || watch->dead) continue;
    io_uring_sqe* const sqe = next_sqe();
    if (sqe == nullptr) return;
    if (watch->on_record != nullptr)
      io_uring_prep_read(sqe, watch->fd, &watch->record, sizeof watch->record, 0);
    else
      io_uring_prep_poll_multishot(sqe, watch->fd, POLLIN);  // one request for all that comes
    sqe->user_data = watch_tag(watch.get());
    watch->in_flight = true;
  }
}

io_uring_sqe* UringEngine::next_sqe_of_full_ring() {
  io_uring_submit(&ring_);
  return io_uring_get_sqe(&ring_);
}

bool UringEngine::make_room(uint32_t entries) {
  if (io_uring_sq_space_left(&ring_) < entries) io_uring_submit(&ring_);
  return io_uring_sq_space_left(&ring_) >= entries;
}

unsigned UringEngine::reap() {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    complete(*cqe);
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
  return count;
}

void UringEngine::complete(const io_uring_cqe& cqe) {
  const uint64_t pointer = cqe.user_data & ~kTagMask;
  const auto tag = static_cast<Result>(cqe.user_data & kTagMask);
  if (tag == Result::Watch) return complete_watch(std::bit_cast<Watch*>(pointer), cqe);

  core::Io& io = *std::bit_cast<core::Io*>(pointer);
  if (tag == Result::Step) return complete_step(io, cqe);
  const bool is_part = (cqe.user_data & kPart) != 0;
  const auto result = static_cast<Result>(cqe.user_data & kTagMask & ~kPart);
  if (result == Result::Write) return complete_write(io, cqe.res, is_part);
  const core::Status status =
      result == Result::Transfer ? status_of_transfer(cqe.res, io.data.length_bytes) : status_of_command(cqe.res);
  if (is_part) return end_part(io, status);
  io.done(io, status);
}

// backend_word: whom to ask for the rest, or how long that was.
void UringEngine::complete_write(core::Io& io, int result, bool is_rest) {
  if (is_rest) return io.done(io, status_of_transfer(result, static_cast<uint32_t>(io.backend_word)));
  const bool is_short = result > 0 && static_cast<uint32_t>(result) < io.data.length_bytes;
  if (!is_short) return io.done(io, status_of_transfer(result, io.data.length_bytes));
  std::bit_cast<Unfinished*>(io.backend_word)->write_rest(io, static_cast<uint32_t>(result));
}

// backend_word: whom to ask for the next one.
void UringEngine::complete_step(core::Io& io, const io_uring_cqe& cqe) {
  const core::Status status = status_of_command(cqe.res);
  if (!status.ok()) return io.done(io, status);
  std::bit_cast<Unfinished*>(io.backend_word)->next_step(io, cqe.big_cqe[0]);
}

// backend_word: parts to come in the lower half, the first error above.
void UringEngine::end_part(core::Io& io, core::Status status) {
  if (!status.ok() && io.backend_word >> 32 == 0) io.backend_word |= uint64_t{status.value()} << 32;
  --io.backend_word;
  if (static_cast<uint32_t>(io.backend_word) != 0) return;
  io.done(io, core::Status(static_cast<int>(io.backend_word >> 32)));
}

// Null: a READ or POLL has been cancelled.
void UringEngine::complete_watch(Watch* watch, const io_uring_cqe& cqe) {
  if (watch == nullptr) return;
  watch->in_flight = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (watch->forgotten) {
    if (!watch->in_flight) watch->engine->drop(*watch);
  } else if (watch->on_record != nullptr) {
    complete_read(*watch, cqe.res);
  } else if (!watch->dead) {
    complete_poll(*watch, cqe.res);
  }
}

// Anything but a record or a spurious wake-up means that the descriptor is dead: it is not read again.
void UringEngine::complete_read(Watch& watch, int result) {
  watch.dead = result != sizeof watch.record && result != -EAGAIN && result != -EINTR;
  if (result == sizeof watch.record) watch.on_record(watch.context, watch.record);
}

// The same without data: an error or the other side's end without anything to read.
void UringEngine::complete_poll(Watch& watch, int result) {
  const bool readable = result > 0 && (result & POLLIN) != 0;
  watch.dead = !readable && result != -EAGAIN && result != -EINTR;
  if (readable && !watch.on_readable(watch.context)) watch.dead = true;
}

}  // namespace nvmf::backend
