#include "p2p/nvme_probe.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <nvme/types.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status_text.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kMostTransferBytes = 128 << 10;
constexpr uint32_t kPageBytes = core::limits::kPageBytes;  // MDTS counts in CAP.MPSMIN, of which this is the minimum
constexpr uint32_t kTimeoutMs = 2000;
constexpr int kStatusMask = 0x7ff;  // SCT and SC
constexpr int kCompareFailed = NVME_SCT_MEDIA << 8 | NVME_SC_COMPARE_FAILED;

// Compare counts as a transfer to the SSD, which the kernel lets a process without CAP_SYS_ADMIN make only through a
// file that is open for writing. A block device that was open for writing makes udev look for partitions when it is
// closed.
int open_namespace(const char* device) {
  struct stat status {};
  const bool is_generic = stat(device, &status) == 0 && S_ISCHR(status.st_mode);
  const int descriptor = is_generic ? open(device, O_RDWR | O_CLOEXEC) : -1;
  return descriptor >= 0 ? descriptor : open(device, O_RDONLY | O_CLOEXEC);
}

std::string why(int result) { return result < 0 ? std::strerror(-result) : to_string(core::Status(result)); }

}  // namespace

NvmeProbe::NvmeProbe(const std::string& device, const CmbMapping& mapping, CmbRange range)
    : device_(device), range_start_(mapping.address() + range.offset_bytes) {
  descriptor_ = open_namespace(device.c_str());
  if (descriptor_ < 0) throw PeerMemoryError(errno, "cannot open " + device);
  try {
    identify_namespace();
    identify_controller();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

NvmeProbe::~NvmeProbe() { close(descriptor_); }

void NvmeProbe::identify(uint32_t nsid, uint32_t cns, void* data, const char* what) const {
  nvme_admin_cmd command{};
  command.opcode = nvme_admin_identify;
  command.nsid = nsid;
  command.addr = reinterpret_cast<uintptr_t>(data);
  command.data_len = NVME_IDENTIFY_DATA_SIZE;
  command.cdw10 = cns;
  command.timeout_ms = kTimeoutMs;
  int result = ioctl(descriptor_, NVME_IOCTL_ADMIN_CMD, &command);
  if (result < 0) result = -errno;
  if (result != 0) throw PeerMemoryError(EIO, device_ + ": cannot identify the " + what + ": " + why(result));
}

void NvmeProbe::identify_namespace() {
  const int nsid = ioctl(descriptor_, NVME_IOCTL_ID);
  if (nsid <= 0) throw PeerMemoryError(ENOTTY, device_ + " is not an NVMe namespace");
  nsid_ = static_cast<uint32_t>(nsid);
  nvme_id_ns namespace_data{};
  identify(nsid_, NVME_IDENTIFY_CNS_NS, &namespace_data, "namespace");
  const unsigned flbas = namespace_data.flbas;
  const nvme_lbaf& format =
      namespace_data.lbaf[(flbas & NVME_NS_FLBAS_LOWER_MASK) | (flbas & NVME_NS_FLBAS_HIGHER_MASK) >> 1];
  block_bytes_ = format.ds < 32 ? 1u << format.ds : 0;
  block_count_ = le64toh(namespace_data.nsze);
  if (format.ms != 0 || block_bytes_ < 512 || block_bytes_ > kPageBytes)
    throw PeerMemoryError(EOPNOTSUPP, device_ + ": its blocks (" + std::to_string(block_bytes_) + " bytes, " +
                                          std::to_string(le16toh(format.ms)) +
                                          " of metadata) cannot be used for the self-test");
}

void NvmeProbe::identify_controller() {
  nvme_id_ctrl controller{};
  identify(0, NVME_IDENTIFY_CNS_CTRL, &controller, "controller");
  has_compare_ = (le16toh(controller.oncs) & NVME_CTRL_ONCS_COMPARE) != 0;
  max_transfer_bytes_ = kMostTransferBytes;
  if (controller.mdts != 0 && controller.mdts < 16)
    max_transfer_bytes_ = std::min(kMostTransferBytes, kPageBytes << controller.mdts);
}

int NvmeProbe::transfer(uint8_t opcode, uint64_t slba, std::byte* data, uint32_t length_bytes) const {
  nvme_passthru_cmd64 command{};
  command.opcode = opcode;
  command.nsid = nsid_;
  command.addr = reinterpret_cast<uintptr_t>(data);
  command.data_len = length_bytes;
  command.cdw10 = static_cast<uint32_t>(slba);
  command.cdw11 = static_cast<uint32_t>(slba >> 32);
  command.cdw12 = length_bytes / block_bytes_ - 1;
  command.timeout_ms = kTimeoutMs;
  const int result = ioctl(descriptor_, NVME_IOCTL_IO64_CMD, &command);
  return result < 0 ? -errno : result;
}

int NvmeProbe::transfer_all(uint8_t opcode, uint64_t slba, std::span<std::byte> data, uint32_t piece_bytes) const {
  int result = 0;
  for (size_t done = 0; done < data.size() && result == 0; done += piece_bytes) {
    const auto piece = static_cast<uint32_t>(std::min<size_t>(piece_bytes, data.size() - done));
    result = transfer(opcode, slba + done / block_bytes_, data.data() + done, piece);
  }
  return result;
}

std::string NvmeProbe::read(uint64_t slba, std::span<std::byte> dram) {
  const int result = transfer_all(nvme_cmd_read, slba, dram, max_transfer_bytes_);
  return result == 0 ? std::string() : why(result);
}

std::string NvmeProbe::read_into_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes) {
  const int result = transfer_all(nvme_cmd_read, slba, {range_start_ + cmb_offset, length_bytes}, kPageBytes);
  return result == 0 ? std::string() : why(result);
}

SsdProbe::Comparison NvmeProbe::compare_from_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes,
                                                 std::string& error) {
  const int result = transfer_all(nvme_cmd_compare, slba, {range_start_ + cmb_offset, length_bytes}, kPageBytes);
  if (result == 0) return Comparison::Equal;
  if (result > 0 && (result & kStatusMask) == kCompareFailed) return Comparison::Different;
  error = why(result);
  return Comparison::Failed;
}

}  // namespace nvmf::p2p
