// HOT PATH, of namespaces with a limit.
#include "target/core/datapath/rate_limit.h"

#include <algorithm>

#include "target/core/datapath/queue.h"

namespace nvmf::core {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

// The bytes that the disk reads or writes for it; Copy's ranges are counted when they are known.
uint64_t bytes_of(const Request& request) {
  const bool writes_zeroes = request.kind == IoKind::WriteZeroes && !request.ns->supports_write_zeroes;
  const bool whole_range = request.kind == IoKind::Verify || writes_zeroes;
  return whole_range ? uint64_t{request.blocks} << request.ns->lba_shift : request.length_bytes;
}

}  // namespace

uint64_t RateLimit::set_on(std::atomic<uint64_t>& clock_ns, uint64_t cost_ns, uint64_t now_ns) {
  const uint64_t earliest_ns = now_ns - std::min(now_ns, kBurstNs);
  uint64_t before = clock_ns.load(std::memory_order_relaxed);
  uint64_t start_ns;
  do {
    start_ns = std::max(before, earliest_ns);
  } while (!clock_ns.compare_exchange_weak(before, start_ns + cost_ns, std::memory_order_relaxed));
  return start_ns;
}

uint64_t RateLimit::book(uint64_t commands, uint64_t bytes, uint64_t now_ns) {
  const uint64_t commands_per_s = commands_per_s_.load(std::memory_order_relaxed);
  const uint64_t bytes_per_s = bytes_per_s_.load(std::memory_order_relaxed);
  uint64_t start_ns = 0;
  if (commands_per_s != 0) start_ns = set_on(commands_clock_ns_, commands * kSecondNs / commands_per_s, now_ns);
  if (bytes_per_s == 0) return start_ns;
  return std::max(start_ns, set_on(bytes_clock_ns_, bytes * kSecondNs / bytes_per_s, now_ns));
}

uint64_t Throttle::book(const Request& request, uint64_t now_ns) { return limit_.book(1, bytes_of(request), now_ns); }

bool Throttle::admit(Request& request, uint64_t now_ns) {
  if (lifted_) return true;
  if (waiting_.first() == nullptr) {
    due_ns_ = book(request, now_ns);
    if (due_ns_ <= now_ns) return true;
  }
  waiting_.add(request);
  return false;
}

Request* Throttle::take_due(uint64_t now_ns) {
  Request* const due = waiting_.first();
  if (due == nullptr || due_ns_ > now_ns) return nullptr;
  waiting_.take(*due);
  if (const Request* const next = waiting_.first(); next != nullptr && !lifted_) due_ns_ = book(*next, now_ns);
  return due;
}

}  // namespace nvmf::core
