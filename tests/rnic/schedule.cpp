#include "tests/rnic/schedule.h"

#include <algorithm>

namespace nvmf::rnic {

// SplitMix64: small, and every seed is a good one.
uint64_t Random::next() {
  uint64_t value = state_ += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

uint64_t Schedule::delay_ns(uint64_t typical_ns) {
  constexpr uint64_t kBurstEveryNs = 50'000;
  uint64_t delay = typical_ns / 2 + random_.below(typical_ns + 1);
  if (random_.below(8) == 0) delay *= 1 + random_.below(10);
  if (random_.below(100) == 0) delay *= 1 + random_.below(100);
  if (random_.below(5) == 0) delay += kBurstEveryNs - (now_ns_ + delay) % kBurstEveryNs;
  return delay;
}

void Schedule::after(uint64_t delay_ns, const Life& owner, std::function<void()> happens) {
  entries_.push_back({now_ns_ + delay_ns, scheduled_++, owner.watch(), std::move(happens)});
  std::ranges::push_heap(entries_, later);
}

std::optional<uint64_t> Schedule::next_ns() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().at_ns;
}

bool Schedule::step() {
  if (entries_.empty()) return false;
  std::ranges::pop_heap(entries_, later);
  const Entry entry = std::move(entries_.back());
  entries_.pop_back();
  now_ns_ = std::max(now_ns_, entry.at_ns);
  if (!entry.owner.expired()) entry.happens();
  return true;
}

void Schedule::advance(uint64_t ns) {
  const uint64_t until = now_ns_ + ns;
  while (!entries_.empty() && entries_.front().at_ns <= until) step();
  now_ns_ = std::max(now_ns_, until);
}

}  // namespace nvmf::rnic
