// How many files the process may have open.
#pragma once

namespace nvmf::daemon {

// Raises the soft limit to the hard one: each connection and device takes descriptors. A failure is logged.
void raise_descriptor_limit();

}  // namespace nvmf::daemon
