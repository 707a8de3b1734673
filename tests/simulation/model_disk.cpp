#include "tests/simulation/model_disk.h"

#include <cstring>
#include <utility>

namespace nvmf::simulation {

class ModelDisk::Channel final : public core::IoChannel {
 public:
  Channel(ModelDisk& disk, SteppedEngine& engine) : disk_(disk), engine_(engine) {}
  void submit(core::Io& io) override { disk_.submit(io, engine_); }

 private:
  ModelDisk& disk_;
  SteppedEngine& engine_;
};

std::unique_ptr<core::IoChannel> ModelDisk::open_channel(SteppedEngine& engine) {
  return std::make_unique<Channel>(*this, engine);
}

void ModelDisk::submit(core::Io& io, SteppedEngine& engine) {
  ++in_flight_;
  rnic::Schedule& schedule = fabric_.schedule();
  schedule.after(schedule.delay_ns(typical_ns), life_, [this, &io, &engine] {
    if (hangs_)
      hung_.emplace_back(&io, &engine);
    else
      carry_out(io, engine);
  });
}

void ModelDisk::hang(bool hangs) {
  hangs_ = hangs;
  if (hangs) return;
  for (const auto& [io, engine] : std::exchange(hung_, {})) carry_out(*io, *engine);
}

void ModelDisk::remove(bool removed) {
  removed_ = removed;
  hang(false);
}

void ModelDisk::carry_out(core::Io& io, SteppedEngine& engine) {
  --in_flight_;
  const bool fails = removed_ || fabric_.schedule().random().chance(errors_percent);
  io.backend_word = fails ? NVME_SC_INTERNAL : 0;
  if (io.backend_word == 0) {
    std::byte* const place = block(io.slba);
    if (io.kind == core::IoKind::Read) std::memcpy(io.data.address, place, io.data.length_bytes);
    if (io.kind == core::IoKind::Write) std::memcpy(place, io.data.address, io.data.length_bytes);
    if (io.kind == core::IoKind::WriteZeroes) std::memset(place, 0, size_t{io.blocks} << lba_shift_);
  }
  engine.complete(
      [](void* context) {
        core::Io& done = *static_cast<core::Io*>(context);
        done.done(done, core::Status(static_cast<int>(done.backend_word)));
      },
      &io);
}

}  // namespace nvmf::simulation
