// Fused pairs and ordinary writes of several reactors on one block: no pair is torn by another or by a write.
#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "target/core/command/command.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/queue.h"

using namespace nvmf::core;

namespace {

constexpr unsigned kReactors = 3;
constexpr unsigned kIncrements = 60;  // of each
constexpr uint32_t kBlock = 512;

// As a reactor waits: a message wakes it, and so does a millisecond, for what comes by no message.
void wait_for_mail(Mailbox& mailbox) {
  if (mailbox.receive() != 0 || !mailbox.prepare_sleep()) return;
  pollfd entry{mailbox.wake_fd(), POLLIN, 0};
  uint64_t record;
  if (::poll(&entry, 1, 1) > 0) [[maybe_unused]]
    const auto taken = ::read(entry.fd, &record, sizeof record);
  mailbox.awake();
}

// One word on the disk counts, the rest of the block repeats it. Reads and writes take time, in two halves, so that
// what is not kept apart is torn.
class SlowDisk final : public IoChannel {
 public:
  explicit SlowDisk(std::atomic<uint64_t>* words) : words_(words) {}
  void submit(Io& io) override {
    auto* const data = reinterpret_cast<uint64_t*>(io.data.address);
    for (size_t i = 0; i < kBlock / sizeof(uint64_t); ++i) {
      if (i == 32) std::this_thread::yield();
      if (io.kind == IoKind::Read) data[i] = words_[i].load(std::memory_order_relaxed);
      if (io.kind == IoKind::Write) words_[i].store(data[i], std::memory_order_relaxed);
    }
    if (io.kind == IoKind::Read) usleep(3000);  // room for a write behind the Compare's back
    io.done(io, kSuccess);
  }

 private:
  std::atomic<uint64_t>* words_;
};

struct Command : Request {
  nvmf::nvme::Sqe capsule{};
  alignas(4096) std::byte block[kBlock];
  Status answer;
  bool answered = false;

  void send(Queue& from, uint8_t opcode, uint8_t fuse, uint64_t value) {
    capsule = {};
    capsule.opcode = opcode;
    capsule.flags = static_cast<uint8_t>(0x40 | fuse);
    capsule.nsid = 1;
    sqe = &capsule;
    queue = &from;
    respond = [](Request& request) {
      auto& self = static_cast<Command&>(request);
      self.answer = Status(self.cqe.status >> 1);
      self.answered = true;
    };
    answered = false;
    for (size_t i = 0; i < kBlock; i += sizeof value) std::memcpy(block + i, &value, sizeof value);
    if (const Status status = parse(*this); !status.ok()) return finish(*this, status);
    data.address = block;
    data.length_bytes = kBlock;
    execute(*this);
  }
};

struct Seat {
  Mailbox mailbox;
  Queue queue;
  WriteGate gate;
  IoNamespace ns;
  IoNamespaceTable table;
  std::unique_ptr<SlowDisk> disk;

  Seat(Mailbox& control, std::atomic<uint64_t>* words, FusedTurns& turns) : disk(std::make_unique<SlowDisk>(words)) {
    ns.nsid = 1;
    ns.block_count = 1;
    ns.channel = disk.get();
    ns.gate = &gate;
    turns.add(gate, &mailbox);
    table.by_nsid = {&ns};
    table.max_transfer_bytes = 4096;
    queue.qid = 1;
    queue.size = 128;
    queue.in_capsule_bytes = 4096;
    queue.connected = true;
    queue.admission = Admission::Admitted;
    queue.namespaces = &table;
    queue.control = &control;
    queue.reactor = &mailbox;
  }

  // Returns how many pairs it took.
  unsigned count_up() {
    uint64_t seen = 0;
    unsigned pairs = 0;
    Command compare, write, read;
    for (unsigned done = 0; done < kIncrements; ++pairs) {
      compare.send(queue, nvme_cmd_compare, 1, seen);
      write.send(queue, nvme_cmd_write, 2, seen + 1);
      while (!compare.answered || !write.answered) wait_for_mail(mailbox);
      if (write.answer.ok()) {
        ++done;
        ++seen;
        continue;
      }
      read.send(queue, nvme_cmd_read, 0, 0);
      std::memcpy(&seen, read.block, sizeof seen);
    }
    return pairs;
  }
};

TEST_CASE("Several reactors count up one block by Compare and Write: no increment is lost") {
  std::vector<std::atomic<uint64_t>> words(kBlock / sizeof(uint64_t));
  Mailbox control;
  FusedTurns turns(&control);
  std::vector<std::unique_ptr<Seat>> seats;
  for (unsigned i = 0; i < kReactors; ++i) seats.push_back(std::make_unique<Seat>(control, words.data(), turns));

  std::atomic<unsigned> counting{kReactors};
  std::vector<std::thread> threads;
  threads.reserve(seats.size());
  for (const auto& seat : seats)
    threads.emplace_back([&seat, &counting] {
      seat->count_up();
      --counting;
      while (counting != 0) wait_for_mail(seat->mailbox);
    });
  while (counting != 0) wait_for_mail(control);
  for (std::thread& thread : threads) thread.join();
  for (const auto& word : words) CHECK(word == kReactors * kIncrements);
}

TEST_CASE("A pair against a write of another reactor: the write is before all of it, or after") {
  std::vector<std::atomic<uint64_t>> words(kBlock / sizeof(uint64_t));
  Mailbox control;
  FusedTurns turns(&control);
  Seat pairs(control, words.data(), turns);
  Seat writes(control, words.data(), turns);
  constexpr uint64_t kWritten = 1000;

  for (unsigned round = 0; round < 60; ++round) {
    for (auto& word : words) word = round;
    std::atomic<bool> written{false};
    std::atomic<bool> over{false};
    std::thread writer([&] {
      Command write;
      usleep(round * 370 % 6000);
      write.send(writes.queue, nvme_cmd_write, 0, kWritten);
      while (!over) {
        written = write.answered;
        wait_for_mail(writes.mailbox);
      }
    });
    Command compare, write;
    compare.send(pairs.queue, nvme_cmd_compare, 1, round);
    write.send(pairs.queue, nvme_cmd_write, 2, round + 1);
    while (!over) {
      over = compare.answered && write.answered && written;
      pairs.mailbox.receive();
      wait_for_mail(control);
    }
    writer.join();
    // Whether the Compare came first or not, the write is what remains: it is never undone by the pair.
    CHECK(words[0] == kWritten);
    CHECK(words[63] == kWritten);
  }
}

}  // namespace
