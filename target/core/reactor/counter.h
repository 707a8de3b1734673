// A number with one writer, a reactor or the control thread; any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace nvmf::core {

class Counter {
 public:
  void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace nvmf::core
