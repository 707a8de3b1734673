#include "target/core/subsystem/random_mark.h"

#include <unistd.h>

#include "target/core/reactor/invariant.h"

namespace nvmf::core {

uint32_t random_mark() {
  uint32_t mark = 0;
  NVMF_INVARIANT(getentropy(&mark, sizeof(mark)) == 0);
  return mark;
}

}  // namespace nvmf::core
