// Conditions that hold unless the program itself has a bug, checked in every build. When an invariant is broken, the
// process prints the expression with its file and line on standard error and aborts, before it damages data. A
// condition that a host, a device or an operator can cause is not an invariant but an error, with a status.
#pragma once

namespace nvmf::core {

[[noreturn, gnu::cold]] void invariant_broken(const char* expression, const char* file, int line);

}  // namespace nvmf::core

// A macro, because it prints its expression. `condition` must be a cheap comparison: it runs for every command.
#define NVMF_INVARIANT(condition)                                                               \
  do {                                                                                          \
    if (!(condition)) [[unlikely]]                                                              \
      ::nvmf::core::invariant_broken(#condition, static_cast<const char*>(__FILE__), __LINE__); \
  } while (false)
