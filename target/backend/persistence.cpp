// Once for each change of persistent memory, but for persist_for().
#include "target/backend/persistence.h"

#include <stdexcept>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace nvmf::backend {
namespace {

#ifdef __x86_64__

constexpr uintptr_t kLineBytes = 64;

template <class Flush>
[[gnu::always_inline]] inline void for_each_line(const std::byte* begin, size_t length_bytes, Flush flush) {
  const auto end = reinterpret_cast<uintptr_t>(begin) + length_bytes;
  for (uintptr_t line = reinterpret_cast<uintptr_t>(begin) & ~(kLineBytes - 1); line < end; line += kLineBytes)
    flush(reinterpret_cast<void*>(line));
  _mm_sfence();
}

// By their instructions' names: the compiler must not choose them for a processor that lacks them.
void persist_by_clwb(const std::byte* begin, size_t length_bytes) {
  for_each_line(begin, length_bytes, [](void* line) { asm volatile("clwb (%0)" : : "r"(line) : "memory"); });
}
void persist_by_clflushopt(const std::byte* begin, size_t length_bytes) {
  for_each_line(begin, length_bytes, [](void* line) { asm volatile("clflushopt (%0)" : : "r"(line) : "memory"); });
}
void persist_by_clflush(const std::byte* begin, size_t length_bytes) {
  for_each_line(begin, length_bytes, [](void* line) { _mm_clflush(line); });
}
// Large copies bypass the caches (non-temporal stores): these wait in buffers that are in no domain.
void persist_by_fence(const std::byte*, size_t) { _mm_sfence(); }

// CPUID, leaf 7: not every compiler has words for these bits.
Persist flush_of_this_processor() {
  constexpr unsigned kClflushopt = 1u << 23;
  constexpr unsigned kClwb = 1u << 24;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return persist_by_clflush;
  if ((ebx & kClwb) != 0) return persist_by_clwb;
  return (ebx & kClflushopt) != 0 ? persist_by_clflushopt : persist_by_clflush;
}

#endif

}  // namespace

Persist persist_for(PersistenceDomain domain) {
  if (domain == PersistenceDomain::None) return nullptr;
#ifdef __x86_64__
  return domain == PersistenceDomain::ProcessorCaches ? persist_by_fence : flush_of_this_processor();
#else
  throw std::runtime_error(
      "persistent memory is supported on x86-64 only: how to flush this processor's caches is not "
      "known");
#endif
}

}  // namespace nvmf::backend
