#include "target/backend/trial.h"

namespace nvmf::backend {

core::Status run_trial(UringEngine& engine, core::IoChannel& channel, TrialIo& io) {
  io.done = [](core::Io& ended, core::Status status) {
    auto& trial = static_cast<TrialIo&>(ended);
    trial.ended = true;
    trial.status = status;
  };
  channel.submit(io);
  while (!io.ended) engine.sleep(std::nullopt);
  return io.status;
}

}  // namespace nvmf::backend
