// The target's own Reactor on a fiber, with an engine that has no disks of its own and sleeps by giving the thread
// back.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "target/backend/engine.h"
#include "target/core/reactor/reactor.h"
#include "tests/rnic/schedule.h"
#include "tests/simulation/fiber.h"

namespace nvmf::simulation {

class SteppedEngine final : public core::IoEngine {
 public:
  explicit SteppedEngine(rnic::Schedule& schedule) : schedule_(schedule) {}

  void start() override {}
  unsigned poll() override;
  void watch(int fd, void (*on_record)(void* context, uint64_t record), void* context) override;
  void watch_readable(int fd, bool (*on_readable)(void* context), void* context) override;
  void unwatch(int fd) override;
  void sleep(std::optional<uint32_t> timeout_us) override;

  // What a disk has ready is done at the next poll(). Reactor's fiber, or between its steps.
  void complete(void (*done)(void* context), void* context) { completions_.push_back({done, context}); }
  // Whether it would go on if it were resumed.
  bool is_awake() const;
  // The engine of channels to namespaces in memory, which have no disk and work in turns; null: there are none.
  void set_memory(backend::UringEngine* engine) { memory_ = engine; }
  // Steps in which it found nothing, in a row.
  uint64_t idle_polls() const { return idle_polls_; }

 private:
  struct Watch {
    int fd;
    void (*on_record)(void* context, uint64_t record);  // one of the two
    bool (*on_readable)(void* context);
    void* context;
  };
  struct Ready {
    void (*done)(void* context);
    void* context;
  };

  void serve_watches();
  void serve_readable(const Watch& watch);

  rnic::Schedule& schedule_;
  backend::UringEngine* memory_ = nullptr;
  std::vector<Watch> watches_;
  std::vector<Ready> completions_;
  bool sleeping_ = false;
  std::optional<uint64_t> wake_at_ns_;
  uint64_t idle_polls_ = 0;
};

class SteppedReactor {
 public:
  SteppedReactor(unsigned index, rnic::Schedule& schedule, uint32_t poll_us)
      : engine(schedule),
        reactor({.index = index, .cpu = {}, .poll_us = poll_us}, engine),
        fiber([this] { reactor.run(); }) {}

  // A part of a turn; false when it sleeps.
  bool step() {
    if (!engine.is_awake()) return false;
    fiber.resume();
    return true;
  }

  SteppedEngine engine;
  core::Reactor reactor;
  Fiber fiber;
};

}  // namespace nvmf::simulation
