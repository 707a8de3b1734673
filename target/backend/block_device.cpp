#include "target/backend/block_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <iterator>
#include <utility>

#include "target/backend/sysfs.h"

namespace nvmf::backend {
namespace {

constexpr uint32_t kLargestAlignment = 4096;
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr int kZero = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

uint32_t logical_block_bytes(int fd, const std::string& path) {
  int bytes = 0;
  if (ioctl(fd, BLKSSZGET, &bytes) != 0) throw_errno(errno, path, "cannot read the logical block size");
  if (bytes != 512 && bytes != 4096)
    refuse(path, "its logical blocks have " + std::to_string(bytes) + " bytes; 512 and 4096 are supported");
  return static_cast<uint32_t>(bytes);
}

uint64_t device_bytes(int fd, const std::string& path) {
  uint64_t bytes = 0;
  if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) throw_errno(errno, path, "cannot read the size");
  return bytes;
}

core::IoHints hints_of_file(uint64_t file_system_block_bytes, uint8_t lba_shift) {
  const auto blocks = static_cast<uint32_t>(std::max<uint64_t>(file_system_block_bytes >> lba_shift, 1));
  core::IoHints hints;
  hints.write_granularity_blocks = hints.write_alignment_blocks = blocks;
  hints.deallocate_granularity_blocks = hints.deallocate_alignment_blocks = blocks;
  return hints;
}

bool zeroes_ranges(int fd) {
  struct statfs status {};
  if (fstatfs(fd, &status) != 0) return false;
  constexpr __fsword_t kKnown[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
  return std::find(std::begin(kKnown), std::end(kKnown), status.f_type) != std::end(kKnown);
}

}  // namespace

std::optional<std::string> scheduler_advice(const std::string& path, const std::string& queue) {
  const auto scheduler = sysfs::needless_scheduler(queue);
  if (!scheduler) return std::nullopt;
  return path + ": the I/O scheduler " + *scheduler + " makes each command slower: echo none >" + queue + "/scheduler";
}

BlockDevice::BlockDevice(const DeviceSpec& spec) {
  struct stat status {};
  if (stat(spec.path.c_str(), &status) != 0) throw_errno(errno, spec.path, "cannot open");
  if (!S_ISBLK(status.st_mode)) refuse(spec.path, "is not a block device");
  file_ = open_alone(spec.path, O_RDWR | O_DIRECT);
  ignore_access_time(file_);

  const uint32_t block_bytes = logical_block_bytes(file_.get(), spec.path);
  info_.lba_shift = static_cast<uint8_t>(std::countr_zero(block_bytes));
  info_.block_count = device_bytes(file_.get(), spec.path) / block_bytes;
  if (info_.block_count == 0) refuse(spec.path, "has no capacity (is a medium inserted, or a backing file set?)");
  info_.memory_alignment_bytes = block_bytes;
  info_.volatile_write_cache = true;
  info_.path = spec.path;
  info_.node = status.st_rdev;
  info_.description = "block device " + spec.path;

  const unsigned major_number = major(status.st_rdev);
  const unsigned minor_number = minor(status.st_rdev);
  const std::string number = std::to_string(major_number) + ":" + std::to_string(minor_number);
  const std::string disk = std::string(sysfs::kRoot) + "/dev/block/" + number;
  geometry_ = {.lba_shift = info_.lba_shift, .zero_mode = kZero};
  queue_ = sysfs::block_queue(major_number, minor_number).value_or(std::string());
  info_.quiesce = unbounded_quiesce_time();
  if (!queue_.empty()) {
    info_.quiesce = disk_quiesce_time(sysfs::disk_of_queue(queue_));
    take_limits(spec.path, read_block_limits(disk, queue_, info_.lba_shift));
    if (auto advice = scheduler_advice(spec.path, queue_)) info_.notes.push_back(std::move(*advice));
  }
  info_.supports_write_zeroes = true;  // the kernel writes them out where the device cannot
  info_.pci_address = sysfs::pci_address(disk);
  info_.controller = sysfs::nvme_controller(disk).value_or(std::string());
  info_.storage = sysfs::lasting_name(disk).value_or(spec.path);
}

void BlockDevice::take_limits(const std::string& path, const BlockLimits& limits) {
  if (limits.host_managed_zones)
    refuse(
        path,
        "is a zoned device: each zone can only be written sequentially, and hosts get to know the zones of NVMe SSDs "
        "only. Serve a namespace of an NVMe SSD as \"nvme\": its generic device, /dev/ngXnY. Of another disk, serve a "
        "device that maps its zones to plain blocks (dm-zoned)");
  if (limits.memory_alignment_bytes != 0) info_.memory_alignment_bytes = limits.memory_alignment_bytes;
  info_.volatile_write_cache = limits.volatile_write_cache;
  info_.optimal_io_boundary_blocks = limits.optimal_io_boundary_blocks;
  info_.hints = limits.hints;
  // Punching a hole asks the device to write zeroes and unmap; the kernel does not emulate that.
  if (limits.zeroes_and_unmaps) {
    geometry_.punch_mode = kPunch;
    geometry_.deallocate = Deallocate::Punch;
    info_.hints.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  } else if (limits.discards && takes_discard_commands(file_.get(), info_.lba_shift, info_.block_count)) {
    geometry_.deallocate = Deallocate::Discard;
  } else if (limits.discards) {
    info_.notes.push_back(path +
                          ": Deallocate has no effect: the device cannot unmap by writing zeroes, and this kernel has "
                          "no other way (Linux 6.12 or newer has one)");
  }
  info_.supports_deallocate = geometry_.deallocate != Deallocate::None;
}

// A write cache comes with other disks below a volume (pvmove), or by a command to the disk (hdparm -W1).
Measurement BlockDevice::measure() const {
  return {.size_bytes = size_of(file_).value_or(0),
          .volatile_write_cache = queue_.empty() ? std::nullopt : std::optional(has_write_cache(queue_))};
}

std::unique_ptr<core::IoChannel> BlockDevice::open_channel(UringEngine& engine) {
  return std::make_unique<BlockChannel>(engine, file_.get(), geometry_);
}

FileDevice::FileDevice(const DeviceSpec& spec) : file_(open_file(spec.path, O_RDWR)) {
  if (spec.block_bytes != 512 && spec.block_bytes != 4096) refuse(spec.path, "the block size must be 512 or 4096");
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) throw_errno(errno, spec.path, "cannot read the size");
  if (!S_ISREG(status.st_mode)) refuse(spec.path, "is not a regular file");

  info_.lba_shift = static_cast<uint8_t>(std::countr_zero(spec.block_bytes));
  info_.block_count = static_cast<uint64_t>(status.st_size) / spec.block_bytes;
  if (info_.block_count == 0)
    refuse(spec.path, "is shorter than one block: give it the size of the namespace (truncate -s 10G FILE)");
  info_.volatile_write_cache = true;
  info_.path = spec.path;
  info_.description = "file " + spec.path;
  info_.quiesce = unbounded_quiesce_time();
  info_.storage = spec.path;
  // Less than a block of the file system is written by reading the rest of it, and not deallocated.
  info_.hints = hints_of_file(static_cast<uint64_t>(status.st_blksize), info_.lba_shift);
  choose_direct_or_buffered(spec);
  ignore_access_time(file_);
  geometry_ = {.lba_shift = info_.lba_shift};
  probe_fallocate(spec.path);
}

// Tries it with a read: what file systems say of themselves is not the whole truth.
void FileDevice::choose_direct_or_buffered(const DeviceSpec& spec) {
  struct statx status {};
  const bool told =
      statx(file_.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && (status.stx_mask & STATX_DIOALIGN) != 0;
  const uint32_t memory_alignment = told ? status.stx_dio_mem_align : spec.block_bytes;
  alignas(kLargestAlignment) std::byte block[4096];
  if (memory_alignment != 0 && memory_alignment <= kLargestAlignment && fcntl(file_.get(), F_SETFL, O_DIRECT) == 0) {
    if (pread(file_.get(), block, spec.block_bytes, 0) == static_cast<ssize_t>(spec.block_bytes) &&
        !(told && status.stx_dio_offset_align > spec.block_bytes)) {
      info_.memory_alignment_bytes = memory_alignment;
      return;
    }
    fcntl(file_.get(), F_SETFL, 0);
  }
  info_.notes.push_back(
      spec.path + ": the file system has no direct I/O in blocks of " + std::to_string(spec.block_bytes) +
      " bytes: data goes through the page cache (a block size of 4096, or another file system, may help)");
}

// After the end of the file, where there is no data to lose. (Zeroing there would leave blocks allocated, so whether
// the file system can zero without deallocating is known by its name.)
void FileDevice::probe_fallocate(const std::string& path) {
  constexpr off_t kProbe = 4096;
  const auto behind = static_cast<off_t>((info_.block_count << info_.lba_shift) + 2 * kProbe) & ~(kProbe - 1);
  const bool punches = fallocate(file_.get(), kPunch, behind, kProbe) == 0;
  const bool zeroes = punches && zeroes_ranges(file_.get());
  geometry_.punch_mode = punches ? kPunch : 0;
  geometry_.deallocate = punches ? Deallocate::Punch : Deallocate::None;
  geometry_.zero_mode = zeroes ? kZero : geometry_.punch_mode;
  info_.supports_deallocate = punches;
  if (punches) info_.hints.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  info_.supports_write_zeroes = geometry_.zero_mode != 0;
  if (!punches) info_.notes.push_back(path + ": the file system cannot punch holes: no Deallocate");
}

Measurement FileDevice::measure() const {
  struct stat opened {};
  struct stat named {};
  bool is_displaced = false;
  if (fstat(file_.get(), &opened) == 0)
    is_displaced = stat(info_.path.c_str(), &named) != 0
                       ? errno == ENOENT
                       : named.st_dev != opened.st_dev || named.st_ino != opened.st_ino;
  return {.size_bytes = size_of(file_).value_or(0), .is_displaced = is_displaced};
}

std::unique_ptr<core::IoChannel> FileDevice::open_channel(UringEngine& engine) {
  return std::make_unique<BlockChannel>(engine, file_.get(), geometry_);
}

}  // namespace nvmf::backend
