// The operations of a context that verbs.h calls by itself.
#pragma once

#include <infiniband/verbs.h>

namespace nvmf::rnic {

void fill_in(verbs_context& context);

}  // namespace nvmf::rnic
