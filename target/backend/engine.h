// One io_uring per reactor: channels submit commands to it, it gives them their completions, and the reactor sleeps in
// it.
//
// A completion finds its command through the pointer in its user data; the pointer's low bits say how to read the
// result. Set-up is in engine.cpp, what runs per command in engine_datapath.cpp.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "target/core/datapath/io.h"
#include "target/core/reactor/intrusive_list.h"
#include "target/core/reactor/reactor.h"

namespace nvmf::backend {

struct EngineOptions {
  uint32_t submission_entries = 512;   // commands queued in one turn before one is cut short by a system call
  uint32_t completion_entries = 8192;  // commands in flight that the kernel keeps no overflow list for
  uint32_t max_buffers = 256;          // register_buffer()
  uint32_t max_files = 1024;           // register_file()
};

class UringEngine;

// A channel with commands that need more than one turn, of the CPU.
class Deferred {
 public:
  // Returns how many have ended.
  virtual unsigned try_again() = 0;
  Deferred* next_deferred = nullptr;

 protected:
  ~Deferred() = default;
};

// How a submission names its file: the index of a registered one, which it gives back at its end, or the descriptor.
struct FileReference {
  int fd = -1;
  uint8_t sqe_flags = 0;
  UringEngine* engine = nullptr;  // null: not registered

  FileReference() = default;
  FileReference(int number, uint8_t flags, UringEngine* registered_with)
      : fd(number), sqe_flags(flags), engine(registered_with) {}
  ~FileReference();
  FileReference(const FileReference&) = delete;
  FileReference& operator=(const FileReference&) = delete;
};

// How a completion's result is to be read.
enum class Result : uint64_t {
  Command = 0,   // 0, or an NVMe status, or minus errno
  Transfer = 1,  // bytes, all of Io::data or it is an error; or minus errno
  Watch = 2,     // for the engine itself
  Write = 3,     // bytes, all that was asked for or Unfinished is told; or minus errno
  // As Command, and Unfinished is asked for the next one. The value is that of Watch with kPart, which never meet.
  Step = 6,
};

// Who carries on with a command that its disk has ended in part.
class Unfinished {
 public:
  // A write has ended before all was written: the error is told to who asks for the rest.
  virtual void write_rest(core::Io& io, uint32_t written_bytes) = 0;
  // One of several steps, each of which begins when the one before has ended well; or the only one of a command whose
  // result counts. `result`: dwords 0 and 1 of an NVMe command's completion.
  virtual void next_step(core::Io& io, uint64_t result) = 0;

 protected:
  ~Unfinished() = default;
};

class UringEngine final : public core::IoEngine {
 public:
  // Throws std::runtime_error, with what to do about it, when the kernel has or allows no io_uring.
  explicit UringEngine(const EngineOptions& options = {});
  // Nothing may be in flight.
  ~UringEngine() override;
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;

  void start() override;
  unsigned poll() override;
  void watch(int fd, void (*on_record)(void* context, uint64_t record), void* context) override;
  void watch_readable(int fd, bool (*on_readable)(void* context), void* context) override;
  void unwatch(int fd) override;
  void sleep(std::optional<uint32_t> timeout_us) override;

  // Before start(), or on the reactor's thread. Pins the memory, so that no command has to: the index for
  // Buffer::fixed_index, or -1 when the kernel refuses (controller memory buffers always; more than 1 GiB; the limit on
  // locked memory) or the table is full. The memory must stay until it is unregistered, or the engine's end.
  int register_buffer(void* address, size_t length_bytes);
  // No command that is in flight may use it. -1: nothing happens.
  void unregister_buffer(int index);
  // The same for a file: spares each command the look-up. Falls back to the descriptor. The file is kept open by the
  // engine until the reference goes, which must be on the reactor's thread while that runs.
  FileReference register_file(int fd);

  // For channels ---------------------------------------------------------------------------------------------------

  // Has try_again() called once, in the next turn: the reactor does not sleep before.
  void defer(Deferred& channel) { deferred_.push(channel); }
  bool has_deferred() const { return !deferred_.empty(); }

  // An entry to fill in; its first 64 bytes, at least, must all be written. Submits early when the ring is full. Null
  // only when the kernel has no memory to take any: the command has to fail with kNoRoom.
  io_uring_sqe* next_sqe() {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    return sqe != nullptr ? sqe : next_sqe_of_full_ring();
  }
  // Makes sure that the next `entries` (at most EngineOptions::submission_entries) go to the kernel together, as linked
  // ones must. False as above.
  bool make_room(uint32_t entries);
  // NVMe: Command Interrupted, so that the host tries again.
  static constexpr core::Status kNoRoom = NVME_SC_CMD_INTERRUPTED;

  // The user data of an entry that completes `io`.
  static uint64_t tag(core::Io& io, Result result) {
    return reinterpret_cast<uintptr_t>(&io) | static_cast<uint64_t>(result);
  }
  // The same of a write of all of Io::data. Uses Io::backend_word.
  static uint64_t tag_write(core::Io& io, Unfinished& asking) {
    io.backend_word = reinterpret_cast<uintptr_t>(&asking);
    return tag(io, Result::Write);
  }
  // Of the `bytes` at the end of such a write that write_rest() asks for.
  static uint64_t tag_rest(core::Io& io, uint32_t bytes) {
    io.backend_word = bytes;
    return tag(io, Result::Write) | kPart;
  }
  // Of an entry that next_step() follows unless it fails. Uses Io::backend_word.
  static uint64_t tag_step(core::Io& io, Unfinished& asking) {
    io.backend_word = reinterpret_cast<uintptr_t>(&asking);
    return tag(io, Result::Step);
  }
  // For an Io of several entries: begin_parts() before the first, then each entry with tag_part(), or end_part() for
  // one that could not be queued. The Io is done when all have ended, with the first error. Uses Io::backend_word.
  static void begin_parts(core::Io& io, uint32_t count) { io.backend_word = count; }
  static uint64_t tag_part(core::Io& io, Result result) { return tag(io, result) | kPart; }
  static void end_part(core::Io& io, core::Status status);

 private:
  friend struct FileReference;
  static constexpr uint64_t kTagMask = 7;
  static constexpr uint64_t kPart = 4;  // beside Command, Transfer or Write
  static_assert(static_cast<uint64_t>(Result::Step) == (static_cast<uint64_t>(Result::Watch) | kPart));
  static_assert(alignof(core::Io) >= 8, "the pointer's low three bits carry the tag");

  struct Watch {
    UringEngine* engine;
    int fd;
    void (*on_record)(void* context, uint64_t record);  // one of the two
    bool (*on_readable)(void* context);
    void* context;
    uint64_t record = 0;
    bool in_flight = false;  // its READ is, or its POLL, which goes on after a completion
    bool dead = false;       // the descriptor gives no more events
    bool forgotten = false;  // removed when its READ, or POLL, has ended
  };

  static void complete(const io_uring_cqe& cqe);
  static void complete_write(core::Io& io, int result, bool is_rest);
  static void complete_step(core::Io& io, const io_uring_cqe& cqe);
  static void complete_watch(Watch* watch, const io_uring_cqe& cqe);
  static void complete_read(Watch& watch, int result);
  static void complete_poll(Watch& watch, int result);
  // The user data of its READ or POLL; null: of an entry whose completion tells nothing.
  static uint64_t watch_tag(const Watch* watch) {
    return reinterpret_cast<uintptr_t>(watch) | static_cast<uint64_t>(Result::Watch);
  }
  bool set_buffer(int index, const iovec& buffer);
  void cancel(Watch& watch);
  void drop(const Watch& watch);
  io_uring_sqe* next_sqe_of_full_ring();
  void submit_watches();
  unsigned serve_deferred();
  unsigned reap();

  io_uring ring_;
  core::IntrusiveList<Deferred, &Deferred::next_deferred> deferred_;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<int> free_buffers_;  // indices, the next to use last
  std::vector<int> free_files_;    // the same
};

}  // namespace nvmf::backend
