#include "transport/rdma/connect_rate.h"

#include <algorithm>
#include <utility>

namespace nvmf::rdma {
namespace {

constexpr std::chrono::seconds kDepth{1};

// Takes a token out of a bucket; false when it has none.
bool take(ConnectRate::Clock::time_point& full_at, uint32_t per_s, ConnectRate::Clock::time_point now) {
  if (per_s == 0) return true;
  const auto full_then = std::max(full_at, now) + std::chrono::nanoseconds(std::chrono::seconds(1)) / per_s;
  if (full_then > now + kDepth) return false;
  full_at = full_then;
  return true;
}

}  // namespace

ConnectRate::Verdict ConnectRate::admit(const std::string& address, Clock::time_point now, uint32_t io_queues) {
  const Verdict verdict = take_token(address, now);
  if (verdict != Verdict::Admitted || io_queues == 0) return verdict;
  Allowance& allowance = allowances_[address];
  if (allowance.until < now) allowance.io_queues = 0;
  allowance.io_queues += io_queues;
  allowance.until = now + kAllowanceLife;
  return verdict;
}

ConnectRate::Verdict ConnectRate::admit_io_queue(const std::string& address, Clock::time_point now) {
  const auto found = allowances_.find(address);
  if (found == allowances_.end() || found->second.until < now || found->second.io_queues == 0)
    return take_token(address, now);
  --found->second.io_queues;
  return Verdict::Admitted;
}

ConnectRate::Verdict ConnectRate::take_token(const std::string& address, Clock::time_point now) {
  forget_old(now);
  Verdict verdict = Verdict::Admitted;
  // The host's own bucket first: a host that is too fast takes no tokens from the others.
  if (limits_.per_s_of_address != 0 && !take(full_at_by_address_[address], limits_.per_s_of_address, now))
    verdict = Verdict::TooManyOfAddress;
  else if (!take(full_at_, limits_.per_s, now))
    verdict = Verdict::TooMany;
  if (verdict != Verdict::Admitted) ++refused_;
  return verdict;
}

std::optional<uint64_t> ConnectRate::report(Clock::time_point now) {
  if (reported_at_ && now < *reported_at_ + kReportPeriod) return std::nullopt;
  reported_at_ = now;
  return refused_ - std::exchange(reported_, refused_);
}

void ConnectRate::forget_old(Clock::time_point now) {
  if (now < forgotten_at_ + kDepth) return;
  forgotten_at_ = now;
  std::erase_if(full_at_by_address_, [now](const Buckets::value_type& bucket) { return bucket.second <= now; });
  std::erase_if(allowances_, [now](const auto& allowance) { return allowance.second.until < now; });
}

}  // namespace nvmf::rdma
