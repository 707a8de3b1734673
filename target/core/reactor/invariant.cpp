#include "target/core/reactor/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace nvmf::core {

void invariant_broken(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "nvmf-p2p: invariant broken: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace nvmf::core
