// Subsystems with "ana": "by_topology": a port whose RNIC reaches the CMB that a namespace uses, as the self-test has
// proved, is optimized for the namespace, and the other ports are non-optimized. Where no port reaches it, there is
// nothing to prefer, and all are optimized. Follows namespaces, proofs, RNICs and ports. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "target/core/subsystem/target.h"
#include "target/daemon/events.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/ports.h"
#include "target/daemon/running_config.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// Of `ports`, those that hosts are to avoid: they do not reach the CMB, and others do.
std::vector<uint16_t> distant_ports(const std::vector<uint16_t>& ports,
                                    const std::function<bool(uint16_t port)>& reaches);

class AnaTopology {
 public:
  struct Parts {
    boost::asio::io_context& io;
    core::Target& target;
    rdma::Transport& transport;
    const Storage& storage;
    const PeerMemories& peer_memories;
    Ports& ports;
    const RunningConfig& running;
    Events& events;
  };
  // Follows what the ports listen on by itself.
  explicit AnaTopology(const Parts& parts);

  // Namespaces, CMBs, RNICs or the config may have changed: looks at them when the present handler has ended.
  void changed();

 private:
  // NQN and nsid, which is also the ANA group.
  using Space = std::pair<std::string, uint32_t>;
  // Of each namespace that uses a CMB.
  using Distant = std::map<Space, std::vector<uint16_t>>;

  void follow();
  Distant look() const;
  // A port on several RNICs reaches a CMB when each of them does: hosts come by any.
  bool reaches(uint16_t port, const std::string& ssd) const;
  void set(const Space& space, const std::vector<uint16_t>& ports, bool distant);
  void tell(const Space& space, const std::vector<uint16_t>& distant);

  Parts parts_;
  Distant distant_;
  bool looks_soon_ = false;
};

}  // namespace nvmf::daemon
