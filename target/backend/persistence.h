// How what the CPU has written to memory becomes persistent: the cache lines leave the processor's caches (CLWB, on
// older processors CLFLUSHOPT or CLFLUSH), and a fence waits until they have (SFENCE).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::backend {

// What is safe when the power fails, as sysfs says (persistence_domain of the nvdimm region).
enum class PersistenceDomain : uint8_t {
  None,              // volatile: everything is lost
  Unstated,          // persistent; the platform does not say from where on. Taken for MemoryController
  MemoryController,  // ADR: what has left the caches
  ProcessorCaches,   // eADR: the caches, too
};

// Returns when [begin, begin + length_bytes) is persistent. Any thread.
using Persist = void (*)(const std::byte* begin, size_t length_bytes);

// Null: there is nothing to do for it. Throws std::runtime_error where this processor's way is not known.
Persist persist_for(PersistenceDomain domain);

}  // namespace nvmf::backend
