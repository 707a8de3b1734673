#include "target/backend/dax_device.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "target/backend/sysfs.h"
#include "target/core/subsystem/random_mark.h"

namespace nvmf::backend {
namespace {

std::string directory_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) throw_errno(errno, path, "cannot open");
  if (!S_ISCHR(status.st_mode)) refuse(path, "is not a device DAX, such as /dev/dax0.0");
  return std::string(sysfs::kRoot) + "/dev/char/" + std::to_string(major(status.st_rdev)) + ":" +
         std::to_string(minor(status.st_rdev));
}

DaxFacts facts_of(const std::string& path) {
  const std::optional<DaxFacts> facts = dax_facts(directory_of(path));
  if (!facts) refuse(path, "is not a device DAX, such as /dev/dax0.0");
  return *facts;
}

// As the kernel says, or systemd where /proc does not show it (ProcSubset=pid). Where neither does, each process takes
// the memory for other storage.
std::string this_boot() {
  if (const auto id = sysfs::read_text("/proc/sys/kernel/random/boot_id")) return *id;
  const char* const told = std::getenv("NVMF_P2P_BOOT_ID");
  return told != nullptr ? std::string(told) : "unknown " + std::to_string(core::random_mark());
}

// What is in volatile memory is other data after each restart of the machine.
std::string storage_of(const std::string& path, const DaxFacts& facts) {
  if (facts.domain == PersistenceDomain::None) return "volatile memory " + path + ", boot " + this_boot();
  return facts.uuid.empty() ? path : "persistent memory with UUID " + facts.uuid;
}

PersistenceDomain domain_of(const std::string& region) {
  const std::string said = sysfs::read_text(region + "/persistence_domain").value_or("");
  if (said == "cpu_cache") return PersistenceDomain::ProcessorCaches;
  return said == "memory_controller" ? PersistenceDomain::MemoryController : PersistenceDomain::Unstated;
}

}  // namespace

const char* name_of(PersistenceDomain domain) {
  switch (domain) {
    case PersistenceDomain::None:
      return "volatile memory";
    case PersistenceDomain::Unstated:
      return "persistent memory; the platform does not say what survives a power failure";
    case PersistenceDomain::MemoryController:
      return "persistent memory, safe when flushed from the caches";
    case PersistenceDomain::ProcessorCaches:
      return "persistent memory, the caches included";
  }
  return "";
}

// Persistent memory is on an nvdimm bus: .../ndbus0/region0/dax0.1/dax0.0.
std::optional<DaxFacts> dax_facts(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path device = std::filesystem::canonical(directory, error);
  if (error || !device.filename().string().starts_with("dax")) return std::nullopt;
  DaxFacts facts;
  facts.size_bytes = sysfs::read_number(device.string() + "/size").value_or(0);
  for (std::filesystem::path at = device; at.has_relative_path(); at = at.parent_path()) {
    if (facts.uuid.empty()) facts.uuid = sysfs::read_text(at.string() + "/uuid").value_or("");
    if (!at.parent_path().filename().string().starts_with("ndbus")) continue;
    facts.domain = domain_of(at.string());
    return facts;
  }
  facts.uuid.clear();
  return facts;
}

DaxDevice::DaxDevice(const DeviceSpec& spec) : DaxDevice(spec, open_file(spec.path, O_RDWR), facts_of(spec.path)) {}

DaxDevice::DaxDevice(const DeviceSpec& spec, Descriptor opened, const DaxFacts& facts) : file_(std::move(opened)) {
  if (spec.block_bytes != 512 && spec.block_bytes != 4096) refuse(spec.path, "the block size must be 512 or 4096");
  if (facts.size_bytes < spec.block_bytes) refuse(spec.path, "has no capacity");
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    refuse(spec.path, "is in use by another nvmf-p2p: stop that, or name another device");
  const Persist persist = persist_for(facts.domain);
  void* const address = mmap(nullptr, facts.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (address == MAP_FAILED) throw_errno(errno, spec.path, "cannot be mapped");
  const auto lba_shift = static_cast<uint8_t>(std::countr_zero(spec.block_bytes));
  memory_ = std::make_unique<AddressableMemory>(static_cast<std::byte*>(address), facts.size_bytes, lba_shift);
  memory_->persist = persist;

  struct stat status {};
  fstat(file_.get(), &status);
  info_.lba_shift = lba_shift;
  info_.block_count = facts.size_bytes / spec.block_bytes;
  info_.supports_write_zeroes = true;
  info_.memory = {memory_->address, info_.block_count << lba_shift};
  info_.quiesce = {.ms = kLongestClaimMs, .remedy = {}};
  info_.storage = storage_of(spec.path, facts);
  info_.path = spec.path;
  info_.node = status.st_rdev;
  info_.description = spec.path + " (" + name_of(facts.domain) + ")";
  if (facts.domain == PersistenceDomain::None)
    info_.notes.push_back(spec.path + " is volatile memory: its data is lost when the machine restarts");
}

DaxDevice::~DaxDevice() { munmap(memory_->address, memory_->length_bytes); }

std::unique_ptr<core::IoChannel> DaxDevice::open_channel(UringEngine& engine) {
  return std::make_unique<MemoryChannel>(engine, *memory_);
}

}  // namespace nvmf::backend
