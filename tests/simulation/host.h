// A host as Linux's driver is one: an admin queue, the controller enabled, I/O queues, reads and writes. Its calls wait
// in the world (World::wait()), so that they are for a host's fiber or for a test.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/host_queue.h"

namespace nvmf::simulation {

class Host;

struct HostOptions {
  std::string nqn = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";
  uint8_t hostid = 0x42;
  uint16_t io_queues = 1;
  uint16_t depth = 16;
  uint32_t keep_alive_ms = 0;
  bool invalidates = true;
  uint64_t patience_ns = 8'000'000'000;  // of its calls that wait for an answer
  bool takes_answers = true;             // false: on I/O queues only the first, to Connect
  bool takes_admin_answers = true;       // false: on the admin queue as many as it has entries, and no more
  const char* address = World::kHostAddress;
  const char* target = World::kAddress;
  // After each queue's Connect (authenticating.h). False: the host is not let in.
  std::function<bool(Host& host, HostQueue& queue)> authenticate{};
};

struct Answer {
  bool came = false;  // false: the connection ended, or time is over
  int status = -1;    // SCT and SC
  uint64_t result = 0;
  Bytes data;
  bool ok() const { return came && status == 0; }
};

class Host {
 public:
  Host(World& world, const HostOptions& options) : world_(world), options_(options) {}

  // Linux's set-up sequence. False: a step failed; `failure` says which.
  bool bring_up();
  bool connect_admin();
  bool connect_io(uint16_t qid);
  // The controller that connect_io() names, without an admin queue of its own.
  void claim(uint16_t cntlid) { cntlid_ = cntlid; }
  // Disconnects every queue.
  void leave();
  // The same without waiting for anything.
  void vanish();
  // Loses its power: the target hears nothing of it.
  void die();

  Answer connect_command(HostQueue& queue, uint16_t qid, uint16_t depth);
  Answer run(HostQueue& queue, const nvme::Sqe& sqe, Direction direction, Bytes data = {}, bool in_capsule = false);
  Answer read(uint16_t qid, uint64_t slba, uint32_t blocks);
  Answer write(uint16_t qid, uint64_t slba, const Bytes& data, bool in_capsule = false);
  Answer identify_controller();
  Answer property_get(uint32_t offset);
  Answer property_set(uint32_t offset, uint64_t value);
  // Sends a Keep Alive when it is time for one, and takes its answer. Since when an answer to one is awaited; none: it
  // is not.
  std::optional<uint64_t> keep_alive();

  HostQueue& admin() { return *admin_; }
  HostQueue& io(uint16_t qid) { return *io_[qid - 1]; }
  uint16_t cntlid() const { return cntlid_; }
  std::string failure;

 private:
  bool is_authenticated(HostQueue& queue);
  bool fail(const std::string& step, const Answer& answer);
  std::unique_ptr<HostQueue> open(uint16_t qid, uint16_t depth);

  World& world_;
  HostOptions options_;
  uint16_t cntlid_ = 0xffff;
  std::optional<uint16_t> keep_alive_cid_;  // of the one that is not answered yet
  uint64_t keep_alive_sent_ns_ = 0;         // the last one
  std::unique_ptr<HostQueue> admin_;
  std::vector<std::unique_ptr<HostQueue>> io_;
};

// Read or Write.
nvme::Sqe transfer_command(uint8_t opcode, uint64_t slba, uint32_t blocks, uint32_t nsid = World::kNsid);

}  // namespace nvmf::simulation
