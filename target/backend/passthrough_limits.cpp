#include "target/backend/passthrough_limits.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>

#include "target/backend/descriptor.h"
#include "target/backend/nvme_channel.h"
#include "target/backend/trial.h"

namespace nvmf::backend {
namespace {

constexpr uint32_t kPage = 4096;
constexpr uint64_t kUnknownTransferBytes = 128u << 10;  // what every SSD in use takes
constexpr uint64_t kLargestTransferBytes = 64u << 20;   // far beyond any command's

uint32_t whole_pages(uint64_t bytes) {
  return static_cast<uint32_t>(std::clamp<uint64_t>(bytes / kPage * kPage, kPage, kLargestTransferBytes));
}

class Mapping {
 public:
  Mapping(size_t length_bytes, int flags, int fd)
      : length_bytes_(length_bytes), begin_(mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, flags, fd, 0)) {}
  ~Mapping() {
    if (begin_ != MAP_FAILED) munmap(begin_, length_bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Null when there is none.
  void* begin() const { return begin_ == MAP_FAILED ? nullptr : begin_; }

 private:
  size_t length_bytes_;
  void* begin_;
};

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

// A page at the start of a registered buffer of more pages than a command may have segments.
bool takes_registered_memory(const PassthroughSubject& subject) {
  constexpr size_t kRegistered = 4u << 20;
  const Mapping memory(kRegistered, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (memory.begin() == nullptr) return false;
  UringEngine engine(kTrialEngine);
  NvmeGeometry geometry;
  geometry.nsid = subject.nsid;
  geometry.lba_shift = subject.lba_shift;
  NvmeChannel channel(engine, subject.generic_fd, geometry);
  TrialIo io;
  io.data.fixed_index = engine.register_buffer(memory.begin(), kRegistered);
  if (io.data.fixed_index < 0) return false;
  io.data.address = static_cast<std::byte*>(memory.begin());
  io.data.length_bytes = kPage;
  io.blocks = kPage >> subject.lba_shift;
  engine.start();
  return run_trial(engine, channel, io).ok();
}

bool takes_lists_for_cmb(const PassthroughSubject& subject, const std::string& pci_address) {
  constexpr uint32_t kLength = 2 * kPage;
  const Descriptor cmb(open(("/sys/bus/pci/devices/" + pci_address + "/p2pmem/allocate").c_str(), O_RDWR | O_CLOEXEC));
  if (!cmb.is_open()) return false;
  const Mapping memory(kLength, MAP_SHARED, cmb.get());
  if (memory.begin() == nullptr) return false;
  nvme_passthru_cmd command{};
  command.opcode = nvme_cmd_read;
  command.nsid = subject.nsid;
  command.addr = reinterpret_cast<uintptr_t>(memory.begin());
  command.data_len = kLength;
  command.cdw12 = (kLength >> subject.lba_shift) - 1;
  return ioctl(subject.generic_fd, NVME_IOCTL_IO_CMD, &command) == 0;
}

}  // namespace nvmf::backend
