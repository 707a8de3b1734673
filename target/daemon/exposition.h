// Writes metrics in Prometheus' text format, version 0.0.4.
//
// Debian's prometheus-cpp could do this, but it brings its own HTTP server and a registry that keeps all counters
// twice; the format itself is described on a page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "target/core/reactor/latency_histogram.h"

namespace nvmf::daemon {

class Exposition {
 public:
  // Values may hold any printable ASCII.
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  static constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

  // A text that a host chose, made valid for a label.
  static std::string printable(std::string text);

  // Each begins a family; its samples follow. A counter's name ends in _total.
  void counter(std::string_view name, std::string_view help) { begin(name, help, "counter"); }
  void gauge(std::string_view name, std::string_view help) { begin(name, help, "gauge"); }
  void histogram(std::string_view name, std::string_view help) { begin(name, help, "histogram"); }

  void sample(const Labels& labels, uint64_t value);
  void seconds(const Labels& labels, uint64_t ns);
  // In seconds, with a bucket for each power of two from 4 us to 1 s. Nothing for an empty histogram: most are, and
  // together they would be most of the text.
  void sample(const Labels& labels, const core::LatencyHistogram& latency);

  const std::string& text() const { return text_; }

 private:
  void begin(std::string_view name, std::string_view help, std::string_view type);
  void line(std::string_view suffix, const Labels& labels, std::string_view value);

  std::string name_;  // name of the family that has begun
  std::string text_;
};

}  // namespace nvmf::daemon
