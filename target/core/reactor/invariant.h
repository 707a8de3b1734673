// What the program itself must never do, checked in every build. A broken invariant is a fault of ours: the process
// prints the expression with its file and line on standard error, and aborts, before it harms anybody's data. What a
// host, a device or an operator can bring about is no invariant: it is an error, with a status.
#pragma once

namespace nvmf::core {

[[noreturn, gnu::cold]] void invariant_broken(const char* expression, const char* file, int line);

}  // namespace nvmf::core

// A macro, for it prints its expression. `condition` is a compare of what is at hand: it runs for every command.
#define NVMF_INVARIANT(condition)                                                               \
  do {                                                                                          \
    if (!(condition)) [[unlikely]]                                                              \
      ::nvmf::core::invariant_broken(#condition, static_cast<const char*>(__FILE__), __LINE__); \
  } while (false)
