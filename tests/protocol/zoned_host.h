// A host of a subsystem with a zoned namespace, and the SSD behind that: Zoned Namespace Command Set 1.1.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/protocol/host.h"

namespace nvmf::test {

inline constexpr uint64_t kZoneBlocks = 100;
inline constexpr uint32_t kExtensionBytes = 128;  // ZDES 2h

// Zones without states: it answers as it is told to, and keeps what it was sent.
class ZonedDisk : public core::IoChannel {
 public:
  struct Seen {
    core::IoKind kind;
    uint64_t slba;
    uint32_t blocks;
    uint32_t length_bytes;
    uint32_t zone_action;
    bool fua;
  };

  void submit(core::Io& io) override {
    seen.push_back({io.kind, io.slba, io.blocks, io.data.length_bytes, io.zone_action, io.fua});
    if (hold) {
      held_.push_back(&io);
    } else {
      complete(io);
    }
  }
  void complete_all() {
    for (core::Io* io : std::exchange(held_, {})) complete(*io);
  }

  std::vector<Seen> seen;
  Status answer;
  uint64_t assigned_lba = 0;
  uint64_t zones = 0;                       // that a report lists
  uint64_t claimed_zones = 0;               // that it says it lists, beyond those; to see what is believed
  uint64_t zone_blocks_told = kZoneBlocks;  // from one descriptor to the next
  Bytes extension;                          // of the last zone that got one
  bool hold = false;

 private:
  void complete(core::Io& io) {
    if (answer.ok() && io.kind == core::IoKind::ZoneAppend) io.slba = assigned_lba;
    if (answer.ok() && io.kind == core::IoKind::ZoneManagementReceive) report(io);
    if (io.kind == core::IoKind::ZoneManagementSend)
      extension.assign(io.data.address, io.data.address + io.data.length_bytes);
    io.done(io, answer);
  }

  void report(const core::Io& io) const {
    const bool extended = (io.zone_action & 0xff) == NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES;
    const bool partial = (io.zone_action >> 16 & 1) != 0;
    const size_t size = sizeof(nvme_zns_desc) + (extended ? kExtensionBytes : 0);
    const uint64_t first = io.slba / kZoneBlocks;
    const uint64_t all = zones - std::min(first, zones);
    const uint64_t fit = std::min<uint64_t>(all, (io.data.length_bytes - sizeof(nvme_zone_report)) / size);
    std::memset(io.data.address, 0xee, io.data.length_bytes);
    // clang takes no initializer of a structure that ends in an array without a size.
    nvme_zone_report header;
    std::memset(&header, 0, sizeof(header));
    header.nr_zones = (partial ? fit : all) + claimed_zones;
    std::memcpy(io.data.address, &header, sizeof(header));
    for (uint64_t i = 0; i < fit; ++i) {
      nvme_zns_desc zone{};
      zone.zt = 2;
      zone.zslba = (first + i) * zone_blocks_told;
      zone.wp = zone.zslba + i;
      std::byte* const place = io.data.address + sizeof(header) + i * size;
      std::memcpy(place, &zone, sizeof(zone));
      std::memset(place + sizeof(zone), static_cast<int>(0x40 + first + i), size - sizeof(zone));
    }
  }

  std::vector<core::Io*> held_;
};

inline constexpr uint32_t kAllCommandSets = uint32_t{NVME_CC_CSS_CSI} << NVME_CC_CSS_SHIFT;

// Namespace 1 is zoned, namespace 3 is not.
struct ZonedWorld {
  explicit ZonedWorld(const core::TargetOptions& options = World::default_options()) : world(options) {
    core::NamespaceOptions zoned = *world.subsystem.find_namespace(1);
    zoned.zones = zones();
    world.subsystem.change_namespace(zoned);
    world.io_namespace(1).zones = zoned.zones;
    world.io_namespace(1).channel = &disk;
  }
  static core::Zones zones() {
    return {.zone_blocks = kZoneBlocks,
            .extension_bytes = kExtensionBytes,
            .max_active = 14,
            .max_open = 7,
            .operation_characteristics = 1,
            .reads_across_zones = true,
            .reset_recommended_s = {11, 12, 13, 14},
            .finish_recommended_s = {21, 22, 23, 24}};
  }

  World world;
  ZonedDisk disk;
};

// A host that uses every I/O command set, with one I/O queue.
struct ZonedHost : ZonedWorld {
  explicit ZonedHost(const core::TargetOptions& options = World::default_options()) : ZonedWorld(options) {
    REQUIRE(host.connect().ok());
    REQUIRE(host.enable(kEnable | kAllCommandSets).ok());
    REQUIRE(host.connect_io(1).ok());
  }

  Answer send(const Sqe& sqe, Bytes memory = {}) { return host.io(1).send(sqe, std::move(memory)); }
  Answer append(uint64_t zslba, uint32_t blocks, uint32_t cdw12 = 0, uint32_t nsid = 1) {
    return send(on_lba(nvme_zns_cmd_append, zslba, (blocks - 1) | cdw12, 0, nsid), Bytes(size_t{blocks} * 512));
  }
  Answer manage(uint32_t cdw13, uint64_t slba = 0, Bytes memory = {}) {
    return send(on_lba(nvme_zns_cmd_mgmt_send, slba, 0, cdw13), std::move(memory));
  }
  Answer report(uint32_t bytes, uint32_t cdw13 = 0, uint64_t slba = 0) {
    return send(on_lba(nvme_zns_cmd_mgmt_recv, slba, bytes / 4 - 1, cdw13), Bytes(bytes, std::byte{0x77}));
  }
  static Sqe on_lba(uint8_t opcode, uint64_t slba, uint32_t cdw12, uint32_t cdw13 = 0, uint32_t nsid = 1) {
    Sqe sqe = command(opcode, nsid, static_cast<uint32_t>(slba), static_cast<uint32_t>(slba >> 32), cdw12);
    sqe.cdw13 = cdw13;
    return sqe;
  }
  // Parameter Error Location of the last failure on the I/O queue.
  unsigned location() { return host.controller().collect_errors().entry(0).parm_error_location; }

  Host host{world};
};

}  // namespace nvmf::test
