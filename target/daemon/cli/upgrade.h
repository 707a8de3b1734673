// `nvmf-p2p upgrade`: has the running daemon replaced by the program that is at its path by now, and tells how it goes.
#pragma once

#include "target/daemon/cli/client.h"

namespace nvmf::cli {

// `force`: see the API. Returns the exit status: 0 when the other program serves what was served before, 1 otherwise,
// with the reason on standard error. Throws ClientError when no daemon answers in the beginning.
int run_upgrade(const Client& client, bool force);

}  // namespace nvmf::cli
