// What a host's administrator and its driver ask on the admin queue while I/O goes on: Identify, log pages, features,
// Keep Alive, Abort, Asynchronous Event Requests. Each answer is held against what the world knows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/host.h"

namespace nvmf::simulation {

class AdminLane {
 public:
  // `bound_ns`: for each answer, Asynchronous Event Requests excepted; 0: none.
  AdminLane(World& world, Host& host, uint64_t bound_ns) : world_(world), host_(host), bound_ns_(bound_ns) {}

  // Takes answers; now and then sends something new. `cids`: of commands of I/O queue 1 that are outstanding.
  void turn(const std::vector<uint16_t>& cids);
  bool is_connected() const { return host_.admin().state() == HostQueue::State::Connected; }
  // A command of I/O queue 1 that is outstanding now may end with Command Abort Requested.
  bool is_aborting(uint16_t cid) const;
  uint64_t completed() const { return completed_; }

 private:
  enum class Kind : uint8_t { Identify, Namespace, ActiveList, Log, GetFeature, SetFeature, KeepAlive, Abort, Event };
  struct Asked {
    uint16_t cid;
    Kind kind;
    uint64_t sent_ns;
    uint16_t aborted_cid;  // of Abort
  };

  static const char* name_of(Kind kind);
  void send(Kind kind, const std::vector<uint16_t>& cids);
  void take(const Asked& asked);
  void check(const Asked& asked, int status, const Bytes& data);
  void fault(const std::string& what) { world_.fabric.fault("admin queue: " + what); }

  World& world_;
  Host& host_;
  uint64_t bound_ns_;
  std::vector<Asked> asked_;
  unsigned events_ = 0;  // requests that are outstanding
  uint64_t completed_ = 0;
};

}  // namespace nvmf::simulation
