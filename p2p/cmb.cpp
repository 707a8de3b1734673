#include "p2p/cmb.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "target/core/datapath/limits.h"

namespace nvmf::p2p {
namespace {

constexpr size_t kPageBytes = core::limits::kPageBytes;

std::string folder_of(const std::string& bdf) { return "/sys/bus/pci/devices/" + bdf + "/p2pmem"; }

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string on_ssd(const std::string& bdf, const std::string& what) {
  return "controller memory buffer of " + bdf + ": " + what;
}

[[noreturn]] void cannot_open(const Sysfs& sysfs, const std::string& bdf, int error) {
  if (error == EACCES || error == EPERM)
    throw PeerMemoryError(error, on_ssd(bdf, "may not be opened; run as root, or give the group access to " +
                                                 folder_of(bdf) + "/allocate"));
  if (!sysfs.exists(folder_of(bdf)))
    throw PeerMemoryError(error, on_ssd(bdf,
                                        "the SSD has none, or the kernel's nvme driver does not offer it (it must be "
                                        "aligned to 2 MiB and support data of reads and of writes)"));
  throw PeerMemoryError(error, on_ssd(bdf, "this kernel (" + read_kernel_version(sysfs).release +
                                               ") cannot give it to a process; Linux 6.2 or newer can"));
}

[[noreturn]] void cannot_map(const std::string& bdf, size_t length_bytes, int error) {
  if (length_bytes == 0)
    throw PeerMemoryError(error, on_ssd(bdf,
                                        "no memory is free: another target or the SSD's submission queues use all of "
                                        "it; stop the other target, or load the nvme module with use_cmb_sqes=0"));
  std::string what = "cannot map " + std::to_string(length_bytes) + " bytes";
  if (error == ENOMEM) what += "; another program, or the kernel's nvmet, uses part of the memory: stop it";
  throw PeerMemoryError(error, on_ssd(bdf, what));
}

std::byte* map(int file, size_t length_bytes) {
  void* address = mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return address == MAP_FAILED ? nullptr : static_cast<std::byte*>(address);
}

size_t whole_pages(size_t length_bytes) { return length_bytes / kPageBytes * kPageBytes; }

verbs::MemoryRegion register_on_demand(ibv_pd* domain, const CmbMapping& mapping) {
  const std::string rnic = ibv_get_device_name(domain->context->device);
  if (!verbs::supports_on_demand_paging(domain->context))
    throw PeerMemoryError(
        EOPNOTSUPP,
        rnic + ": its driver has no on-demand paging, without which it cannot reach the controller memory buffer of " +
            mapping.bdf());
  try {
    return verbs::register_memory(domain, mapping.address(), mapping.length_bytes(),
                                  IBV_ACCESS_ON_DEMAND | verbs::read_sink_access(domain->context));
  } catch (const verbs::VerbsError& failure) {
    throw PeerMemoryError(failure.code().value(), rnic + ": cannot register the controller memory buffer of " +
                                                      mapping.bdf() +
                                                      " (this needs Linux 6.17 or newer, and a PCI path between SSD "
                                                      "and RNIC that the kernel allows: see nvmf-p2p doctor)");
  }
}

}  // namespace

std::optional<PeerMemory> read_peer_memory(const Sysfs& sysfs, const std::string& bdf) {
  const std::string folder = folder_of(bdf);
  if (!sysfs.exists(folder)) return std::nullopt;
  PeerMemory memory;
  memory.size_bytes = sysfs.number(folder + "/size").value_or(0);
  memory.available_bytes = sysfs.number(folder + "/available").value_or(0);
  memory.published = sysfs.number(folder + "/published").value_or(0) == 1;
  memory.mappable = sysfs.exists(folder + "/allocate");
  memory.permitted = sysfs.may_open(folder + "/allocate");
  return memory;
}

CmbMapping::CmbMapping(std::string bdf, std::byte* address, size_t length_bytes)
    : bdf_(std::move(bdf)), address_(address), length_bytes_(length_bytes) {}

CmbMapping::CmbMapping(CmbMapping&& other) noexcept
    : bdf_(std::move(other.bdf_)),
      address_(std::exchange(other.address_, nullptr)),
      length_bytes_(std::exchange(other.length_bytes_, 0)) {}

CmbMapping& CmbMapping::operator=(CmbMapping&& other) noexcept {
  std::swap(bdf_, other.bdf_);
  std::swap(address_, other.address_);
  std::swap(length_bytes_, other.length_bytes_);
  return *this;
}

CmbMapping::~CmbMapping() {
  if (address_ != nullptr) munmap(address_, length_bytes_);
}

CmbMapping map_cmb(const Sysfs& sysfs, const std::string& bdf, size_t length_bytes) {
  const File file(open(sysfs.where(folder_of(bdf) + "/allocate").c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) cannot_open(sysfs, bdf, errno);
  const bool all = length_bytes == 0;
  size_t wanted = all ? whole_pages(sysfs.number(folder_of(bdf) + "/available").value_or(0))
                      : whole_pages(length_bytes + kPageBytes - 1);
  if (wanted == 0) cannot_map(bdf, wanted, ENOMEM);
  while (true) {
    if (std::byte* address = map(file.get(), wanted)) return {bdf, address, wanted};
    const int error = errno;
    // The free memory may be fragmented.
    if (!all || error != ENOMEM || wanted <= kPageBytes) cannot_map(bdf, wanted, error);
    wanted = whole_pages(std::max(wanted / 2, kPageBytes));
  }
}

CmbRegion::CmbRegion(ibv_pd* domain, const CmbMapping& mapping) : region_(register_on_demand(domain, mapping)) {
  verbs::prefetch(region_.get());
}

core::Buffer CmbRegion::buffer() const {
  core::Buffer buffer;
  buffer.address = static_cast<std::byte*>(region_->addr);
  buffer.length_bytes = static_cast<uint32_t>(std::min<size_t>(region_->length, UINT32_MAX / kPageBytes * kPageBytes));
  buffer.lkey = region_->lkey;
  buffer.kind = core::MemoryKind::Cmb;
  return buffer;
}

}  // namespace nvmf::p2p
