// Hosts that share a namespace by reservations: NVMe Base 2.0, sections 7.2 to 7.5.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "target/core/subsystem/reservation_store.h"
#include "tests/protocol/host.h"

namespace nvmf::test {

inline constexpr uint64_t kKeyA = 0xa11ce;
inline constexpr uint64_t kKeyB = 0xb0b;

inline constexpr uint8_t kWriteExclusive = NVME_RESERVATION_RTYPE_WE;
inline constexpr uint8_t kExclusiveAccess = NVME_RESERVATION_RTYPE_EA;
inline constexpr uint8_t kWriteExclusiveRegistrants = NVME_RESERVATION_RTYPE_WERO;
inline constexpr uint8_t kExclusiveAccessRegistrants = NVME_RESERVATION_RTYPE_EARO;
inline constexpr uint8_t kWriteExclusiveAll = NVME_RESERVATION_RTYPE_WEAR;
inline constexpr uint8_t kExclusiveAccessAll = NVME_RESERVATION_RTYPE_EAAR;

// What a power loss leaves, and a disk that can be full, or slow: it then writes nothing until write_all().
class Memory : public core::ReservationStore {
 public:
  core::ReservationState load(const std::string& nqn, const core::NamespaceOptions& ns) override {
    if (broken) throw std::runtime_error("the file is broken");
    return saved[{nqn, ns.nsid}];
  }
  void save(const std::string& nqn, const core::NamespaceOptions& ns, const core::ReservationState& state,
            std::function<void(bool)> done) override {
    ++saves;
    writes_.push_back([this, key = std::pair(nqn, ns.nsid), state, done = std::move(done)] {
      if (!full) saved[key] = state;
      done(!full);
    });
    if (!slow) write_all();
  }
  // What has been asked for until now.
  void write_all() {
    for (const auto& write : std::exchange(writes_, {})) write();
  }
  std::map<std::pair<std::string, uint32_t>, core::ReservationState> saved;
  int saves = 0;
  bool full = false;
  bool slow = false;
  bool broken = false;

 private:
  std::vector<std::function<void()>> writes_;
};

// A host with one I/O queue, on namespace 1 unless stated otherwise.
class Sharer : public Host {
 public:
  Sharer(World& the_world, uint8_t id) : Sharer(the_world, id, World::kNqn, 1, 1) {}
  Sharer(World& the_world, uint8_t id, const std::string& its_subnqn, uint32_t its_nsid, uint16_t port_id)
      : Host(the_world, World::kHostNqn, port_id), nsid(its_nsid) {
    hostid = {id, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    bring_up(1, its_subnqn);
  }

  Answer register_key(uint64_t nrkey, uint32_t cptpl = 0, bool iekey = false) {
    return reserve(nvme_cmd_resv_register, flags(0, iekey) | cptpl << 30, 0, nrkey);
  }
  Answer unregister_key(uint64_t crkey, bool iekey = false) {
    return reserve(nvme_cmd_resv_register, flags(1, iekey), crkey, 0);
  }
  Answer replace_key(uint64_t crkey, uint64_t nrkey, bool iekey = false) {
    return reserve(nvme_cmd_resv_register, flags(2, iekey), crkey, nrkey);
  }
  Answer acquire(uint64_t crkey, uint8_t rtype) { return reserve(nvme_cmd_resv_acquire, type(rtype), crkey, 0); }
  Answer preempt(uint64_t crkey, uint64_t prkey, uint8_t rtype, uint32_t action = 1) {
    return reserve(nvme_cmd_resv_acquire, type(rtype) | action, crkey, prkey);
  }
  Answer release(uint64_t crkey, uint8_t rtype) { return reserve(nvme_cmd_resv_release, type(rtype), crkey, 0); }
  Answer clear(uint64_t crkey) { return reserve(nvme_cmd_resv_release, 1, crkey, 0); }

  Answer reserve(uint8_t opcode, uint32_t cdw10, uint64_t key, uint64_t other_key) {
    return reserve(opcode, cdw10, key, other_key, nsid);
  }
  Answer reserve(uint8_t opcode, uint32_t cdw10, uint64_t key, uint64_t other_key, uint32_t of_nsid) {
    return io(1).send(command(opcode, of_nsid, cdw10), to_bytes(std::pair{key, other_key}));
  }
  // The same without waiting for the answer.
  size_t post_reserve(uint8_t opcode, uint32_t cdw10, uint64_t key, uint64_t other_key) {
    return io(1).post(command(opcode, nsid, cdw10), to_bytes(std::pair{key, other_key}));
  }
  Answer report(uint32_t bytes = 4096, uint32_t eds = 1) { return report(bytes, eds, nsid); }
  Answer report(uint32_t bytes, uint32_t eds, uint32_t of_nsid) {
    return io(1).send(command(nvme_cmd_resv_report, of_nsid, bytes / 4 - 1, eds), Bytes(bytes));
  }
  int read() { return io(1).send(command(nvme_cmd_read, nsid), Bytes(512)).status; }
  int write() { return io(1).send(command(nvme_cmd_write, nsid), Bytes(512)).status; }

  nvme_resv_notification_log notification(bool retain = false) {
    return log_page(NVME_LOG_LID_RESERVATION, 64, 0, retain).as<nvme_resv_notification_log>();
  }

  const uint32_t nsid;

 private:
  static uint32_t flags(uint32_t action, bool iekey) { return action | (iekey ? 1u << 3 : 0); }
  static uint32_t type(uint8_t rtype) { return uint32_t{rtype} << 8; }
};

// Head and entries of a report, taken apart.
inline unsigned registered_controllers(const Answer& report) {
  const auto head = report.as<nvme_resv_status>();
  return head.regctl[0] | unsigned{head.regctl[1]} << 8;
}
inline nvme_registered_ctrl_ext registered_controller(const Answer& report, size_t index) {
  return report.as<nvme_registered_ctrl_ext>(64 * (index + 1));
}

}  // namespace nvmf::test
