#include "target/backend/nvme_device.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "target/backend/block_device.h"
#include "target/backend/generic_device.h"
#include "target/backend/nvme_identify.h"
#include "target/backend/passthrough_limits.h"
#include "target/backend/sysfs.h"

namespace nvmf::backend {
namespace {

constexpr uint32_t kPage = 4096;

uint32_t namespace_id(int fd, const std::string& path) {
  const int nsid = ioctl(fd, NVME_IOCTL_ID);
  if (nsid < 0 && errno == ENOTTY) refuse(path, "is not an NVMe namespace: name its generic device, /dev/ngXnY");
  if (nsid <= 0) throw_errno(errno, path, "cannot read the namespace identifier");
  return static_cast<uint32_t>(nsid);
}

dev_t generic_node(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) throw_errno(errno, path, "cannot open");
  if (!S_ISCHR(status.st_mode))
    refuse(path, "is not a character device: NVMe passthrough needs the generic device, /dev/ngXnY");
  return status.st_rdev;
}

// ", 64 zones of 8192 blocks"
std::string zones_in_words(const DeviceInfo& info) {
  if (!is_zoned(info.zones)) return {};
  const uint64_t blocks = info.zones.zone_blocks;
  return ", " + std::to_string(info.block_count / blocks) + " zones of " + std::to_string(blocks) + " blocks";
}

}  // namespace

NvmeDevice::NvmeDevice(const DeviceSpec& spec) {
  const std::string path = generic_device_of(spec.path);
  info_.path = path;
  info_.node = generic_node(path);
  file_ = open_file(path, O_RDWR);
  geometry_.nsid = namespace_id(file_.get(), path);

  const NvmeIdentity identity = identify(file_.get(), geometry_.nsid, path);
  if (const auto reason = refusal(identity)) refuse(path, *reason);
  describe(identity, info_);
  geometry_.lba_shift = info_.lba_shift;
  geometry_.flush_needed = info_.volatile_write_cache;
  geometry_.zone_blocks = info_.zones.zone_blocks;
  if (identity.limits) take_limits(*identity.limits);

  const std::string name = std::filesystem::canonical(path).filename();
  claim_disk(path, name);
  disk_directory_ = sysfs::disk_of_generic(name).value_or(std::string());
  const std::string& disk = disk_directory_;
  PassthroughTime time = passthrough_time(name);
  geometry_.change_timeout_ms = time.timeout_ms;
  info_.quiesce = std::move(time.quiesce);
  read_limits(disk, max_transfer_bytes(identity.controller));
  info_.max_zone_append_bytes = static_cast<uint32_t>(
      std::min<uint64_t>(max_zone_append_bytes(identity).value_or(UINT32_MAX), geometry_.max_scattered_bytes));
  drop_untrusted_identifiers(disk);
  info_.storage = sysfs::lasting_name(disk).value_or(path);
  const std::string generic = std::string(sysfs::kRoot) + "/class/nvme-generic/" + name;
  info_.pci_address = sysfs::pci_address(generic);
  info_.controller = sysfs::nvme_controller(generic).value_or(std::string());
  info_.description = "SSD " + info_.model + ", serial " + info_.serial + ", namespace " +
                      std::to_string(geometry_.nsid) + ", " + path +
                      (info_.pci_address ? ", PCI " + *info_.pci_address : std::string()) + zones_in_words(info_);
  try_passthrough(disk);
  limit_atomic_writes(
      info_.hints,
      std::min({geometry_.max_contiguous_bytes, geometry_.max_scattered_bytes, geometry_.max_cmb_passthrough_bytes}),
      info_.lba_shift);
}

void NvmeDevice::take_limits(const nvme_id_ctrl_nvm& limits) {
  geometry_.max_verify_blocks = size_limit_blocks(limits.vsl, info_.lba_shift);
  geometry_.max_write_uncorrectable_blocks = size_limit_blocks(limits.wusl, info_.lba_shift);
  if (limits.dmrl != 0) geometry_.max_ranges = limits.dmrl;
}

void NvmeDevice::claim_disk(const std::string& path, const std::string& name) {
  const std::string disk = "/dev/nvme" + name.substr(std::min<size_t>(2, name.size()));
  int error = 0;
  disk_ = try_open_alone(disk, O_RDWR | O_DIRECT, error);
  if (error == 0) ignore_access_time(disk_);
  if (error == EBUSY) throw_errno(EBUSY, path, "cannot open " + disk + " exclusively");
}

void NvmeDevice::read_limits(const std::string& disk, std::optional<uint64_t> mdts_bytes) {
  const auto limit = [&disk](const char* attribute) { return sysfs::read_number(disk + "/queue/" + attribute); };
  const TransferLimits most =
      transfer_limits({limit("max_hw_sectors_kb").value_or(0), limit("max_segments").value_or(0)}, mdts_bytes);
  geometry_.max_contiguous_bytes = most.contiguous_bytes;
  geometry_.max_scattered_bytes = most.scattered_bytes;
  info_.memory_alignment_bytes =
      static_cast<uint32_t>(std::min<uint64_t>(limit("dma_alignment").value_or(3), kPage - 1) + 1);

  // The driver knows which SSDs execute these commands badly, and their limits.
  if (const auto bytes = limit("write_zeroes_max_bytes")) {
    info_.supports_write_zeroes = info_.supports_write_zeroes && *bytes != 0;
    geometry_.max_write_zeroes_blocks =
        static_cast<uint32_t>(std::clamp<uint64_t>(*bytes >> info_.lba_shift, 1, 65536));
  }
  if (const auto bytes = limit("discard_max_bytes"))
    info_.supports_deallocate = info_.supports_deallocate && *bytes != 0;
  if (!info_.supports_write_zeroes) info_.hints.deallocated_blocks &= NVME_NS_DLFEAT_RB;
  info_.hints.rotational = limit("rotational").value_or(0) != 0;
}

// Some SSDs have the same identifiers as all others of their kind; the driver knows them and shows none.
void NvmeDevice::drop_untrusted_identifiers(const std::string& disk) {
  if (disk.empty()) return;
  const auto shown = [&disk](const char* attribute) { return sysfs::read_text(disk + "/" + attribute).has_value(); };
  if (!shown("uuid")) info_.uuid = {};
  if (!shown("nguid")) info_.nguid = {};
  if (!shown("eui")) info_.eui64 = {};
}

// Longer transfers of a CMB go through the block layer. Not of a zoned namespace: there the block layer follows the
// write pointers by its own writes alone, and programs have no Zone Append.
void NvmeDevice::try_passthrough(const std::string& disk) {
  const PassthroughSubject subject{file_.get(), geometry_.nsid, info_.lba_shift};
  geometry_.takes_registered_memory = takes_registered_memory(subject);
  if (!disk_.is_open() || (info_.pci_address && takes_lists_for_cmb(subject, *info_.pci_address))) return;
  geometry_.max_cmb_passthrough_bytes = kPage;
  if (is_zoned(info_.zones)) {
    info_.max_cmb_bytes = kPage;
    return;
  }
  info_.cmb_quiesce = longer(info_.quiesce, disk_quiesce_time(disk));
  if (auto advice = scheduler_advice(info_.description, disk + "/queue")) info_.notes.push_back(std::move(*advice));
}

Measurement NvmeDevice::measure() const {
  if (disk_.is_open() || disk_directory_.empty()) return {.size_bytes = size_of(disk_).value_or(0)};
  return {.size_bytes = sysfs::read_number(disk_directory_ + "/size").value_or(0) * 512};
}

std::unique_ptr<core::IoChannel> NvmeDevice::open_channel(UringEngine& engine) {
  std::unique_ptr<core::IoChannel> block;
  if (geometry_.max_cmb_passthrough_bytes == kPage && !is_zoned(info_.zones))
    block = std::make_unique<BlockChannel>(engine, disk_.get(), BlockGeometry{.lba_shift = info_.lba_shift});
  return std::make_unique<NvmeChannel>(engine, file_.get(), geometry_, std::move(block));
}

}  // namespace nvmf::backend
