#include "target/backend/cmb_lists.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "target/backend/descriptor.h"
#include "target/nvme/types.h"

namespace nvmf::backend {
namespace {

constexpr uint32_t kLength = 2 * 4096;
constexpr int kStatusMask = 0x7ff;

int read_start(int generic_fd, uint32_t nsid, uint8_t lba_shift, void* memory) {
  nvme_passthru_cmd command{};
  command.opcode = nvme_cmd_read;
  command.nsid = nsid;
  command.addr = reinterpret_cast<uintptr_t>(memory);
  command.data_len = kLength;
  command.cdw12 = (kLength >> lba_shift) - 1;
  return ioctl(generic_fd, NVME_IOCTL_IO_CMD, &command);
}

}  // namespace

bool refuses_lists_for_cmb(int generic_fd, uint32_t nsid, uint8_t lba_shift, const std::string& pci_address) {
  const std::string allocate = "/sys/bus/pci/devices/" + pci_address + "/p2pmem/allocate";
  const Descriptor source(open(allocate.c_str(), O_RDWR | O_CLOEXEC));
  if (!source.is_open()) return false;
  void* const memory = mmap(nullptr, kLength, PROT_READ | PROT_WRITE, MAP_SHARED, source.get(), 0);
  if (memory == MAP_FAILED) return false;
  const int status = read_start(generic_fd, nsid, lba_shift, memory);
  munmap(memory, kLength);
  return status > 0 && (status & kStatusMask) == NVME_SC_CMB_INVALID_USE;
}

}  // namespace nvmf::backend
