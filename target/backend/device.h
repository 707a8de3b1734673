// The storage of a namespace: an SSD, a block device, a file, memory, or a device DAX.
//
// The control thread opens a device once; each reactor gets its own channel to it. What a device can do is in
// DeviceInfo, fixed at opening.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "target/backend/engine.h"
#include "target/backend/quiesce_time.h"
#include "target/core/datapath/io.h"
#include "target/core/datapath/io_hints.h"
#include "target/core/datapath/zones.h"

namespace nvmf::backend {

enum class DeviceKind : uint8_t {
  Nvme,    // a namespace of an SSD by its generic character device, /dev/ngXnY
  Block,   // a block device
  File,    // a regular file; its length is the capacity
  Memory,  // lost when the daemon ends
  Dax,     // a device DAX, /dev/daxX.Y: persistent or volatile memory
};

struct DeviceSpec {
  DeviceKind kind = DeviceKind::Memory;
  std::string path;  // absolute; not for Memory
  // Nvme only, instead of a path, which find_by_serial() (generic_device.h) tells: of the SSD, and its namespace.
  std::string serial{};
  uint32_t nsid = 0;
  uint64_t size_bytes = 0;     // Memory only: a multiple of block_bytes
  uint32_t block_bytes = 512;  // File, Memory and Dax only: 512 or 4096
  bool zero_copy = false;      // Memory only: RNICs are to read it themselves (DeviceInfo::memory)
};

struct DeviceInfo {
  uint8_t lba_shift = 9;  // 9 or 12
  uint64_t block_count = 0;
  bool supports_deallocate = false;
  bool supports_write_zeroes = false;
  uint8_t own_commands = 0;                 // core::OwnCommands
  core::CopyLimits copy{};                  // of kOwnCopy
  bool volatile_write_cache = false;        // Flush has an effect
  bool is_displaced = false;                // Measurement's
  uint32_t optimal_io_boundary_blocks = 0;  // NOIOB; 0: none
  core::IoHints hints{};
  core::Zones zones{};
  uint32_t max_zone_append_bytes = 0;   // of a zoned namespace
  uint32_t max_cmb_bytes = UINT32_MAX;  // of one transfer whose data is in a CMB
  // All its blocks, where RNICs may read them themselves: pinned pages, which stay until the device is destroyed.
  // Empty: they are not in memory, or not to be read so.
  std::span<std::byte> memory{};
  uint32_t memory_alignment_bytes = 1;  // of Io::data's address, a power of two, at most 4096
  std::array<uint8_t, 16> uuid{};       // all zero: the device has none
  std::array<uint8_t, 16> nguid{};
  std::array<uint8_t, 8> eui64{};
  // Distinguishes its data from that of another device in its place: the disk's persistent name, else the path. Empty:
  // the data is new at each opening.
  std::string storage;
  std::string path;    // that was opened: of the generic device, where a link to the disk led to it
  dev_t node = 0;      // the number of the device node that was opened; no other device has it meanwhile. 0: no node
  std::string serial;  // of the SSD, where it is known
  std::string model;
  std::optional<std::string> pci_address;  // of the SSD, as sysfs spells it: "0000:3b:00.0"
  std::string controller;                  // of the SSD, its device: "/dev/nvme0"; empty: no SSD, or not found
  QuiesceTime quiesce{};                   // of commands that nobody waits for any more
  std::optional<QuiesceTime> cmb_quiesce;  // of a namespace whose data may be in a CMB; none: the same
  std::string description;                 // one line for the operator
  std::vector<std::string> notes;          // what does not work as well as it could, and why
};

// What may change of an open device.
struct Measurement {
  uint64_t size_bytes = 0;                     // 0: unknown, or it cannot change
  std::optional<bool> volatile_write_cache{};  // the same
  bool is_displaced = false;                   // the path of the file names another one now, or none
};

class Device {
 public:
  virtual ~Device() = default;
  const DeviceInfo& info() const { return info_; }
  // Before the engine's start(), or on its thread. The device must outlive the channel.
  virtual std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) = 0;

  // Asks the kernel. Any thread, for it may block: a file on a server that is gone does, for ever.
  virtual Measurement measure() const { return {}; }
  // Control thread. True when DeviceInfo::block_count or volatile_write_cache has changed; a device that has lost all
  // its blocks keeps its old size.
  bool take(const Measurement& measured);

 protected:
  DeviceInfo info_;
};

// Throws std::runtime_error or std::system_error: what, where, and what to do about it.
std::unique_ptr<Device> open_device(const DeviceSpec& spec);

}  // namespace nvmf::backend
