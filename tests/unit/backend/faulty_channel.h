// A channel that fails, delays or forgets on demand, around a real one: what a protocol test plugs in for a bad disk.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "target/core/datapath/io.h"

namespace nvmf::backend::test {

class FaultyChannel final : public core::IoChannel {
 public:
  // What to do with the n-th command (from 0).
  struct Fault {
    std::optional<core::Status> status;  // answers with it instead of asking the disk
    bool hold = false;                   // keeps it until release()
  };
  using Plan = std::function<Fault(const core::Io&, uint64_t n)>;

  FaultyChannel(core::IoChannel& disk, Plan plan) : disk_(disk), plan_(std::move(plan)) {}

  void submit(core::Io& io) override {
    const Fault fault = plan_(io, submitted_++);
    if (fault.hold)
      held_.push_back({&io, fault.status});
    else
      pass(io, fault.status);
  }

  // Completes all held commands, last one first.
  void release() {
    while (!held_.empty()) {
      const Held held = held_.back();
      held_.pop_back();
      pass(*held.io, held.status);
    }
  }
  size_t held() const { return held_.size(); }
  uint64_t submitted() const { return submitted_; }

 private:
  struct Held {
    core::Io* io;
    std::optional<core::Status> status;
  };

  void pass(core::Io& io, const std::optional<core::Status>& status) {
    if (status)
      io.done(io, *status);
    else
      disk_.submit(io);
  }

  core::IoChannel& disk_;
  Plan plan_;
  uint64_t submitted_ = 0;
  std::vector<Held> held_;
};

}  // namespace nvmf::backend::test
