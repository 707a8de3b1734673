#include "target/daemon/exposition.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nvmf::daemon {
namespace {

constexpr unsigned kLeastBit = 12;  // 4.096 us
constexpr unsigned kMostBit = 30;   // 1.07 s

std::string spell_seconds(uint64_t ns) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<double>(ns) / 1e9).ptr;
  return {digits.data(), end};
}

void append_value(std::string& text, std::string_view value) {
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
}

}  // namespace

std::string Exposition::printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

void Exposition::sample(const Labels& labels, uint64_t value) { line("", labels, std::to_string(value)); }

void Exposition::seconds(const Labels& labels, uint64_t ns) { line("", labels, spell_seconds(ns)); }

// Adds up the histogram's own buckets, four for each power of two.
void Exposition::sample(const Labels& labels, const core::LatencyHistogram& latency) {
  using core::LatencyHistogram;
  if (latency.count() == 0) return;
  constexpr size_t kStep = 1u << LatencyHistogram::kBitsOfStep;
  constexpr size_t kFirst = (kLeastBit - LatencyHistogram::kLeastBit) * kStep;
  constexpr size_t kLast = (kMostBit - LatencyHistogram::kLeastBit) * kStep;
  Labels with_bound = labels;
  with_bound.emplace_back("le", "");
  uint64_t count = 0;
  for (size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    count += latency.in_bucket(bucket);
    if (bucket < kFirst || bucket > kLast || bucket % kStep != 0) continue;
    with_bound.back().second = spell_seconds(LatencyHistogram::bound_ns(bucket));
    line("_bucket", with_bound, std::to_string(count));
  }
  with_bound.back().second = "+Inf";
  line("_bucket", with_bound, std::to_string(count));
  line("_sum", labels, spell_seconds(latency.sum_ns()));
  line("_count", labels, std::to_string(count));
}

void Exposition::begin(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  text_ += "# HELP " + name_ + ' ';
  text_ += help;
  text_ += "\n# TYPE " + name_ + ' ';
  text_ += type;
  text_ += '\n';
}

void Exposition::line(std::string_view suffix, const Labels& labels, std::string_view value) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  for (const auto& [label, content] : labels) {
    text_ += before;
    text_ += label;
    text_ += "=\"";
    append_value(text_, content);
    text_ += '"';
    before = ',';
  }
  if (!labels.empty()) text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

}  // namespace nvmf::daemon
