#include "target/backend/nvme_device.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "target/backend/block_channel.h"
#include "target/backend/cmb_lists.h"
#include "target/backend/nvme_identify.h"
#include "target/backend/sysfs.h"

namespace nvmf::backend {
namespace {

constexpr uint32_t kPage = 4096;
constexpr uint64_t kUnknownTransferBytes = 128u << 10;  // what every SSD in use takes
constexpr uint64_t kLargestTransferBytes = 64u << 20;   // far beyond any command's

uint32_t namespace_id(int fd, const std::string& path) {
  const int nsid = ioctl(fd, NVME_IOCTL_ID);
  if (nsid < 0 && errno == ENOTTY) refuse(path, "is not an NVMe namespace: name its generic device, /dev/ngXnY");
  if (nsid <= 0) throw_errno(errno, path, "cannot ask for the namespace identifier");
  return static_cast<uint32_t>(nsid);
}

void check_is_generic_device(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) throw_errno(errno, path, "cannot open");
  if (!S_ISCHR(status.st_mode))
    refuse(path, "is not a character device: NVMe passthrough needs the generic device, /dev/ngXnY");
}

uint32_t whole_pages(uint64_t bytes) {
  return static_cast<uint32_t>(std::clamp<uint64_t>(bytes / kPage * kPage, kPage, kLargestTransferBytes));
}

}  // namespace

// A buffer that starts inside a page touches one page more than its length has.
TransferLimits transfer_limits(const QueueLimits& queue, std::optional<uint64_t> mdts_bytes) {
  uint64_t contiguous = mdts_bytes.value_or(kLargestTransferBytes);
  if (queue.max_hw_sectors_kb != 0)
    contiguous = std::min(contiguous, queue.max_hw_sectors_kb << 10);
  else
    contiguous = std::min(contiguous, kUnknownTransferBytes);
  const uint64_t segments = queue.max_segments == 0 ? kUnknownTransferBytes / kPage : queue.max_segments;
  return {whole_pages(contiguous), whole_pages(std::min(contiguous, (segments - 1) * kPage))};
}

NvmeDevice::NvmeDevice(const DeviceSpec& spec) {
  check_is_generic_device(spec.path);
  file_ = open_file(spec.path, O_RDWR);
  geometry_.nsid = namespace_id(file_.get(), spec.path);

  const NvmeIdentity identity = identify(file_.get(), geometry_.nsid, spec.path);
  if (const auto reason = refusal(identity)) refuse(spec.path, *reason);
  describe(identity, info_);
  geometry_.lba_shift = info_.lba_shift;
  geometry_.flush_needed = info_.volatile_write_cache;
  if (identity.limits && identity.limits->dmrl != 0) geometry_.max_ranges = identity.limits->dmrl;

  const std::string name = std::filesystem::canonical(spec.path).filename();
  claim_disk(spec.path, name);
  const std::string disk = sysfs::disk_of_generic(name).value_or(std::string());
  read_limits(disk, max_transfer_bytes(identity.controller));
  drop_untrusted_identifiers(disk);
  info_.pci_address = sysfs::pci_address(std::string(sysfs::kRoot) + "/class/nvme-generic/" + name);
  choose_path_for_cmb();
  info_.description = "SSD " + info_.model + ", serial " + info_.serial + ", namespace " +
                      std::to_string(geometry_.nsid) + ", " + spec.path +
                      (info_.pci_address ? ", PCI " + *info_.pci_address : std::string());
}

void NvmeDevice::claim_disk(const std::string& path, const std::string& name) {
  const std::string disk = "/dev/nvme" + name.substr(std::min<size_t>(2, name.size()));
  disk_ = Descriptor(open(disk.c_str(), O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC));
  if (!disk_.is_open() && errno == EBUSY) throw_errno(EBUSY, path, "cannot be served because " + disk + " is in use");
}

void NvmeDevice::read_limits(const std::string& disk, std::optional<uint64_t> mdts_bytes) {
  const auto limit = [&disk](const char* attribute) { return sysfs::read_number(disk + "/queue/" + attribute); };
  const TransferLimits most =
      transfer_limits({limit("max_hw_sectors_kb").value_or(0), limit("max_segments").value_or(0)}, mdts_bytes);
  geometry_.max_contiguous_bytes = most.contiguous_bytes;
  geometry_.max_scattered_bytes = most.scattered_bytes;
  info_.memory_alignment_bytes =
      static_cast<uint32_t>(std::min<uint64_t>(limit("dma_alignment").value_or(3), kPage - 1) + 1);

  // The driver knows which SSDs do these badly, and how much they take at once.
  if (const auto bytes = limit("write_zeroes_max_bytes")) {
    info_.supports_write_zeroes = info_.supports_write_zeroes && *bytes != 0;
    geometry_.max_write_zeroes_blocks =
        static_cast<uint32_t>(std::clamp<uint64_t>(*bytes >> info_.lba_shift, 1, 65536));
  }
  if (const auto bytes = limit("discard_max_bytes"))
    info_.supports_deallocate = info_.supports_deallocate && *bytes != 0;
}

// Some SSDs have the same identifiers as all others of their kind; the driver knows them and shows none.
void NvmeDevice::drop_untrusted_identifiers(const std::string& disk) {
  if (disk.empty()) return;
  const auto shown = [&disk](const char* attribute) { return sysfs::read_text(disk + "/" + attribute).has_value(); };
  if (!shown("uuid")) info_.uuid = {};
  if (!shown("nguid")) info_.nguid = {};
  if (!shown("eui")) info_.eui64 = {};
}

void NvmeDevice::choose_path_for_cmb() {
  if (!info_.pci_address || !disk_.is_open()) return;
  if (!refuses_lists_for_cmb(file_.get(), geometry_.nsid, info_.lba_shift, *info_.pci_address)) return;
  geometry_.max_cmb_passthrough_bytes = kPage;
  info_.notes.push_back(
      "SSD " + info_.serial +
      ": it takes no scatter-gather lists for its controller memory buffer, so transfers of more than "
      "a page of it go through the block layer");
}

std::unique_ptr<core::IoChannel> NvmeDevice::open_channel(UringEngine& engine) {
  std::unique_ptr<core::IoChannel> block;
  if (geometry_.max_cmb_passthrough_bytes == kPage)
    block = std::make_unique<BlockChannel>(engine, disk_.get(), BlockGeometry{.lba_shift = info_.lba_shift});
  return std::make_unique<NvmeChannel>(engine, file_.get(), geometry_, std::move(block));
}

}  // namespace nvmf::backend
