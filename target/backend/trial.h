// A command that tries out, while a device is opened, what its kernel takes. Control thread; waits for the answer.
#pragma once

#include "target/backend/engine.h"
#include "target/core/datapath/io.h"

namespace nvmf::backend {

inline constexpr EngineOptions kTrialEngine{
    .submission_entries = 4, .completion_entries = 8, .max_buffers = 1, .max_files = 1};

struct TrialIo : core::Io {
  bool ended = false;
  core::Status status;
};

// How it ended. `engine` is started.
core::Status run_trial(UringEngine& engine, core::IoChannel& channel, TrialIo& io);

}  // namespace nvmf::backend
