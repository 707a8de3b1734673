// On the hot path. A command that the target makes of simple ones (scratch.h): step after step, each when its disk is
// done with the one before.
#pragma once

#include <algorithm>

#include "target/core/datapath/queue.h"

namespace nvmf::core {

// `set_next` makes Request::step the step after the one that has succeeded; false: there is none. `end` is called once,
// after the last step or the first that failed, with the outcome in Request::step.status.
template <bool (*set_next)(Request&), void (*end)(Request&)>
class Steps {
 public:
  // Runs the step that Request::step holds, and all that follow. In a loop where the disk answers at once: a chain of
  // calls would grow with the steps.
  static void run(Request& request) {
    Step& step = request.step;
    step.request = &request;
    step.done = step_done;
    do {
      step.ended = false;
      step.submitting = true;
      request.ns->channel->submit(step);
      step.submitting = false;
      if (!step.ended) return;
      if (!goes_on(request)) return end(request);
    } while (true);
  }

 private:
  static void step_done(Io& io, Status status) {
    auto& step = static_cast<Step&>(io);
    step.status = status;
    step.ended = true;
    if (step.submitting) return;
    if (!goes_on(*step.request)) return end(*step.request);
    run(*step.request);
  }

  // The end of a controller or queue waits for what the disk has, not for all the steps that would follow.
  static bool goes_on(Request& request) {
    if (!request.step.status.ok() || !set_next(request)) return false;
    if (!is_dropped(*request.queue)) [[likely]]
      return true;
    request.step.status = NVME_SC_ABORT_QUEUE;
    return false;
  }
};

// The command's own range in pieces of at most `most_bytes`: Step::blocks_done says how far it has come. False: all of
// it is done. The caller sets what else the piece needs.
inline bool set_piece(Request& request, uint32_t most_bytes) {
  Step& step = request.step;
  if (step.blocks_done == request.blocks) return false;
  step.slba = request.slba + step.blocks_done;
  step.blocks = std::min(request.blocks - step.blocks_done, most_bytes >> request.ns->lba_shift);
  step.fua = request.fua;
  step.blocks_done += step.blocks;
  return true;
}

}  // namespace nvmf::core
