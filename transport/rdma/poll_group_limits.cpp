// HOT PATH, of namespaces with a limit: their commands wait here, before they hold resources that others need.
#include <algorithm>

#include "target/core/datapath/rate_limit.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {

void PollGroup::throttle(RdmaRequest& request) {
  if (request.ns->throttle->admit(request, core::steady_ns())) return place_data(request);
  request.ns->counters.throttled.add(1);
  ++throttled_;
}

unsigned PollGroup::resume_throttled() {
  const uint64_t now_ns = core::steady_ns();
  unsigned resumed = 0;
  for (core::Throttle* throttle : tables_.throttles()) {
    while (core::Request* request = throttle->take_due(now_ns)) {
      count_down(throttled_);
      ++resumed;
      place_data(static_cast<RdmaRequest&>(*request));
    }
  }
  return resumed;
}

uint64_t PollGroup::due_ns() const {
  uint64_t due_ns = kNever;
  if (throttled_ == 0) return due_ns;
  for (const core::Throttle* throttle : tables_.throttles()) due_ns = std::min(due_ns, throttle->due_ns());
  return due_ns;
}

}  // namespace nvmf::rdma
