// `top` on a terminal.
#pragma once

#include "target/daemon/cli/client.h"

namespace nvmf::cli {

struct TopOptions {
  double interval_s = 1;
  bool once = false;   // one screen, as text
  bool batch = false;  // screens one after the other, as text
};

// Until q, SIGINT or SIGTERM. Returns the exit status. Throws ClientError.
int run_top(const Client& client, const TopOptions& options);

}  // namespace nvmf::cli
