// The running target, as JSON for the admin API. Control thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "config/config.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/staging.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// [{"nqn", "serial", "model", "ports", "allow_any_host", "allowed_hosts", "hosts", "controllers", "namespaces", "ana"}]
nlohmann::json subsystems_view(const core::Target& target);

// [{"subsystem", "nsid", "device", "state": "served"|"missing", ...}]
nlohmann::json namespaces_view(const config::Config& config, const Storage& storage, const MissingNamespaces& missing);

// {"hosts": [{"nqn", "controllers": [{"subsystem", "cntlid", ..., "queues": [{"qid", "rnic", "path_mtu", ...}],
//   "p2p": [{"nsid", "usable", "reason"}]}]}]}. Discovery controllers included.
nlohmann::json connections_view(core::Target& target, const rdma::Transport& transport, const Storage& storage,
                                const PeerMemories& peer_memories);

// {"ssds": [{"address", "cmb_bytes", "failure", "rnics": [...]}], "namespaces": [...]}
nlohmann::json p2p_view(const PeerMemories& peer_memories, const Storage& storage);

}  // namespace nvmf::daemon
