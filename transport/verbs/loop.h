// An RNIC connected to itself: two connected queue pairs on one port, so that what it can do is tried before a host
// depends on it. Control plane, one thread.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

#include "transport/verbs/verbs.h"

namespace nvmf::verbs {

// The address with which a queue pair of this port reaches the same port. Throws VerbsError when it cannot (no address,
// port down, iWARP, whose queue pairs only the connection manager can connect).
ibv_ah_attr address_of_port(ibv_context* context, uint8_t port);

// Each end may have one work request and one receive posted at a time.
struct LoopPair {
  // `address`: of address_of_port(). `path_mtu`: bytes. Throws VerbsError.
  LoopPair(ibv_pd* domain, const ibv_ah_attr& address, uint32_t path_mtu);

  CompletionQueue completions;  // of both
  QueuePair near;
  QueuePair far;
};

}  // namespace nvmf::verbs
