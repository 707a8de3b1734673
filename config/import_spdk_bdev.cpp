#include "config/import_spdk_bdev.h"

#include <algorithm>
#include <array>

#include "config/characters.h"
#include "config/limits.h"

namespace nvmf::config {
namespace {

constexpr uint32_t kLargestBlockBytes = 4096;

}  // namespace

std::string spdk_part(const Value& part) { return scalar_text(part.find("subsystem")); }

std::string spdk_transport(const Value& address) { return lower(scalar_text(address.find("trtype"))); }

void SpdkBdevs::import(const Value& part) {
  using Call = SpdkCall<SpdkBdevs>;
  static constexpr std::array<Call, 11> kCalls = {{{"bdev_malloc_create", &SpdkBdevs::import_malloc},
                                                   {"bdev_aio_create", &SpdkBdevs::import_file},
                                                   {"bdev_uring_create", &SpdkBdevs::import_file},
                                                   {"bdev_nvme_attach_controller", &SpdkBdevs::import_controller},
                                                   {"bdev_set_qos_limit", &SpdkBdevs::import_limits},
                                                   {"bdev_set_options", nullptr},
                                                   {"bdev_nvme_set_options", nullptr},
                                                   {"bdev_nvme_set_hotplug", nullptr},
                                                   {"bdev_iscsi_set_options", nullptr},
                                                   {"bdev_raid_set_options", nullptr},
                                                   {"bdev_wait_for_examine", nullptr}}};
  import_spdk_calls<SpdkBdevs>(part, kCalls, *this, reader_);
}

void SpdkBdevs::add(const Value& params, Bdev bdev) {
  const std::string name = scalar_text(params.find("name"));
  if (name.empty()) return reader_.error(params.position, "a block device without name", "");
  if (reader_.unique("block device", name, params.position)) bdevs_.emplace(name, std::move(bdev));
}

void SpdkBdevs::import_malloc(const Value& params) {
  MemoryBackend memory;
  uint64_t blocks = 0;
  const bool sized =
      read_block_size(params, memory.block_size_bytes) &&
      read_number(params, "num_blocks", Integer{1, kMostMemoryBytes / kLargestBlockBytes}, blocks, reader_);
  if (!sized) return reader_.error(params.position, "memory whose size is not valid", "");
  if (const std::string metadata = scalar_text(params.find("md_size")); !metadata.empty() && metadata != "0")
    return reader_.error(params.position, "memory with metadata", "");
  memory.size_bytes = blocks * memory.block_size_bytes;
  Bdev bdev{memory, {}};
  Uuid uuid{};
  if (read_member(params, "uuid", Identifier<16>{kUuidForm}, uuid, reader_)) bdev.uuid = uuid;
  add(params, std::move(bdev));
}

bool SpdkBdevs::read_block_size(const Value& params, uint32_t& block_size_bytes) {
  const Value* value = params.find("block_size");
  if (scalar_text(value).empty() || scalar_text(value) == "0") return true;
  const auto step = reader_.into("block_size");
  return IntegerOf{{512, 4096}, "512 or 4096"}.read(as_number(*value), block_size_bytes, reader_);
}

void SpdkBdevs::import_file(const Value& params) {
  const Value* path = params.find("filename");
  if (path == nullptr) return reader_.error(params.position, "a block device without \"filename\"", "");
  Namespace ns;
  const auto step = reader_.into("filename");
  if (!read_backend(*path, "this SPDK target", ns, reader_)) return;
  Bdev bdev{ns.backend, {}, is_on(params.find("readonly"))};
  if (auto* file = std::get_if<FileBackend>(&bdev.backend)) {
    if (!read_block_size(params, file->block_size_bytes)) return;
  } else if (const std::string size = scalar_text(params.find("block_size")); !size.empty()) {
    compare_block_size(*path, size);
  }
  add(params, std::move(bdev));
}

// This target serves a device's own blocks; hosts that know others by their numbers would find the wrong data there.
void SpdkBdevs::compare_block_size(const Value& path, const std::string& served) {
  const std::string device = scalar_text(&path);
  const uint64_t bytes = block_bytes_of_ ? block_bytes_of_(device) : 0;
  if (bytes == 0)
    reader_.warning(
        path.position, "this target serves the device's own block size, SPDK served " + quote(served),
        "run blockdev --getss " + device + ": if it prints another size, hosts cannot use the existing data");
  else if (std::to_string(bytes) != served)
    reader_.warning(
        path.position,
        "this target serves the device's own block size, " + std::to_string(bytes) + ", SPDK served " + quote(served),
        "hosts cannot use the existing data: copy it while SPDK serves it");
}

void SpdkBdevs::import_controller(const Value& params) {
  const std::string name = scalar_text(params.find("name"));
  if (spdk_transport(params) != "pcie") {
    return reader_.error(params.position, "SSDs of another machine, named " + quote(name),
                         "connect to them with nvme-cli, and serve the block devices");
  }
  Value address = member_or_empty(params, "traddr");
  std::string text = scalar_text(&address);
  if (text.size() == 12) text[4] = text[7] = ':';  // «0000.3b.00.0»
  address.data = text;
  const auto step = reader_.into("traddr");
  std::string bdf;
  if (!PciAddress{}.read(address, bdf, reader_)) return;
  if (!reader_.unique("controller", name, params.position)) return;
  controllers_[name] = bdf;
  reader_.warning(address.position, "this target needs the SSD to be bound to the kernel's nvme driver",
                  "when SPDK has ended: echo " + bdf +
                      " > /sys/bus/pci/drivers_probe; then check that \"block\" names the right device");
}

void SpdkBdevs::import_limits(const Value& params) {
  Limits& limits = limits_[scalar_text(params.find("name"))];
  read_number(params, "rw_ios_per_sec", Integer{0, kMostIops}, limits.max_iops, reader_);
  read_number(params, "rw_mbytes_per_sec", Integer{0, kMostMibPerSecond}, limits.max_mib_per_s, reader_);
  for (const std::string_view key : {"r_mbytes_per_sec", "w_mbytes_per_sec"}) {
    const std::string limit = scalar_text(params.find(key));
    if (!limit.empty() && limit != "0")
      reader_.error_at(params, key, "a limit for one direction only",
                       "\"max_mib_per_s\" limits reads and writes together");
  }
}

bool SpdkBdevs::find(const std::string& name, Position position, Namespace& ns) {
  if (const auto bdev = bdevs_.find(name); bdev != bdevs_.end()) {
    ns.backend = bdev->second.backend;
    ns.uuid = bdev->second.uuid;
    ns.read_only = bdev->second.read_only;
  } else if (!find_ssd(name, ns)) {
    return false;
  }
  if (const auto limits = limits_.find(name); limits != limits_.end()) {
    ns.max_iops = limits->second.max_iops;
    ns.max_mib_per_s = limits->second.max_mib_per_s;
  }
  return reader_.unique("block device in use", name, position);
}

// «Nvme0n1» is a namespace of the controller «Nvme0». Where the kernel puts it depends on the order in which it finds
// SSDs, but the link that udev makes does not.
bool SpdkBdevs::find_ssd(const std::string& name, Namespace& ns) const {
  const size_t letter = name.rfind('n');
  if (letter == std::string::npos || letter + 1 == name.size()) return false;
  const std::string nsid = name.substr(letter + 1);
  const auto controller = controllers_.find(name.substr(0, letter));
  const bool digits = std::ranges::all_of(nsid, is_digit);
  if (controller == controllers_.end() || !digits || nsid.size() > 10) return false;
  ns.backend = BlockBackend{"/dev/disk/by-path/pci-" + controller->second + "-nvme-" + nsid};
  ns.p2p = P2pMode::prefer;
  ns.p2p_provider = controller->second;
  return true;
}

}  // namespace nvmf::config
