// What a well-behaved host does until its queues are up; the hostile tests start from here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "target/nvme/fabrics.h"
#include "tests/lab/programs/host_queue.h"

namespace nvmf::lab {

inline constexpr milliseconds kAnswerTimeout{10'000};
inline constexpr uint16_t kQueueEntries = 32;

struct Where {
  Address address;
  std::string nqn;
  std::string hostnqn = "nqn.2014-08.org.nvmexpress:uuid:6f1a7b0e-52c2-4d4a-8b5e-0a9d0c5e7f11";
};

nvme::RdmaCmRequest cm_request(uint16_t qid);

// A command with its CID and an SGL flag set; no data.
nvme::Sqe command(uint8_t opcode, uint32_t nsid = 0);
// A keyed SGL descriptor for the first `length_bytes` of the queue's memory.
nvme::SglDescriptor keyed(HostQueue& queue, uint32_t length_bytes);
nvme::SglDescriptor descriptor(nvme::SglType type, nvme::SglSubtype subtype, uint64_t address, uint32_t length_bytes,
                               uint32_t key = 0);
// Connect for this queue, with its data put into the queue's memory.
nvme::ConnectCommand connect_command(HostQueue& queue, const Where& where, uint16_t qid, uint16_t cntlid);

// An RDMA connection without a Connect command. Throws std::runtime_error when the target refuses it.
std::unique_ptr<HostQueue> open_queue(const Where& where, uint16_t qid);

// Sends a 64-byte command and waits for its completion entry; none: the connection ended or nothing came.
template <class Command>
std::optional<nvme::Cqe> ask(HostQueue& queue, const Command& sqe) {
  static_assert(sizeof(Command) == 64);
  if (!queue.send(bytes_of(sqe))) return std::nullopt;
  return queue.response(kAnswerTimeout);
}

// SCT and SC of a completion, without Do Not Retry and More.
inline uint16_t status_of(const nvme::Cqe& cqe) { return (cqe.status >> 1) & 0x7ff; }

// The same as ask(). Throws std::runtime_error when it is not answered, or fails; `what` names the command.
template <class Command>
nvme::Cqe demand(HostQueue& queue, const Command& sqe, const std::string& what) {
  const auto cqe = ask(queue, sqe);
  if (!cqe) throw std::runtime_error(what + " was not answered");
  if (cqe->status != 0) throw std::runtime_error(what + " failed with status " + std::to_string(status_of(*cqe)));
  return *cqe;
}

// An enabled controller with an admin queue, and I/O queue 1. Throws std::runtime_error with what went wrong.
struct Session {
  std::unique_ptr<HostQueue> admin;
  std::unique_ptr<HostQueue> io;
  uint16_t cntlid = 0;
};
Session connect_admin(const Where& where);
void enable(Session& session);
void add_io_queue(Session& session, const Where& where);
Session connect_all(const Where& where);

}  // namespace nvmf::lab
