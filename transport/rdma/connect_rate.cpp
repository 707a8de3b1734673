#include "transport/rdma/connect_rate.h"

#include <algorithm>
#include <utility>

namespace nvmf::rdma {
namespace {

constexpr std::chrono::seconds kDepth{1};

// When the bucket is full again after one more token was taken out. Without a limit it is full.
ConnectRate::Clock::time_point full_after(ConnectRate::Clock::time_point full_at, uint32_t per_s,
                                          ConnectRate::Clock::time_point now) {
  if (per_s == 0) return now;
  return std::max(full_at, now) + std::chrono::nanoseconds(std::chrono::seconds(1)) / per_s;
}

}  // namespace

ConnectRate::Admission ConnectRate::admit(const std::string& address, Clock::time_point now, uint32_t io_queues) {
  const Admission admission = take_token(address, now);
  if (!(admission == Verdict::Admitted) || io_queues == 0) return admission;
  Allowance& allowance = allowances_[address];
  if (allowance.until < now) allowance.io_queues = 0;
  allowance.io_queues += io_queues;
  allowance.until = admission.at + kAllowanceLife;
  return admission;
}

ConnectRate::Admission ConnectRate::admit_io_queue(const std::string& address, Clock::time_point now) {
  const auto found = allowances_.find(address);
  if (found == allowances_.end() || found->second.until < now || found->second.io_queues == 0)
    return take_token(address, now);
  --found->second.io_queues;
  return {Verdict::Admitted, now};
}

// The host's own bucket first: a host that is too fast takes no tokens from the others.
ConnectRate::Admission ConnectRate::take_token(const std::string& address, Clock::time_point now) {
  forget_old(now);
  const auto latest = now + kDepth + kMostDelay;
  const auto of_address = full_at_by_address_.find(address);
  const bool is_known = of_address != full_at_by_address_.end();
  const auto own = full_after(is_known ? of_address->second : now, limits_.per_s_of_address, now);
  const auto all = full_after(full_at_, limits_.per_s, now);
  if (own > latest) return ++refused_, Admission{Verdict::TooManyOfAddress, now};
  if (all > latest) return ++refused_, Admission{Verdict::TooMany, now};
  if (limits_.per_s_of_address != 0) full_at_by_address_[address] = own;
  if (limits_.per_s != 0) full_at_ = all;
  return {Verdict::Admitted, std::max({now, own - kDepth, all - kDepth})};
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
