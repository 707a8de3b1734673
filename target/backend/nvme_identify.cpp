#include "target/backend/nvme_identify.h"

#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "target/backend/descriptor.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/status_text.h"

namespace nvmf::backend {
namespace {

// CNS values, Figure 273.
constexpr uint32_t kNamespace = 0x00;
constexpr uint32_t kController = 0x01;
constexpr uint32_t kNamespaceDescriptors = 0x03;
constexpr uint32_t kCsiNamespace = 0x05;
constexpr uint32_t kCsiController = 0x06;

constexpr uint64_t kSmallestPage = 4096;  // CAP.MPSMIN, which limits of size count in, is this or more
constexpr uint8_t kProtectionType = 0x7;  // of DPS
// The result of the ioctl: 0, an NVMe status, or minus errno.
template <typename Data>
int identify(int fd, uint32_t nsid, uint32_t cns, Data& data, uint8_t csi = NVME_CSI_NVM) {
  static_assert(sizeof(Data) == 4096);
  nvme_passthru_cmd command{};
  command.opcode = nvme_admin_identify;
  command.nsid = nsid;
  command.addr = reinterpret_cast<uintptr_t>(&data);
  command.data_len = sizeof data;
  command.cdw10 = cns;
  command.cdw11 = uint32_t{csi} << 24;
  const int result = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
  return result < 0 ? -errno : result;
}

template <typename Data>
void must_identify(int fd, uint32_t nsid, uint32_t cns, Data& data, const std::string& path, const char* what) {
  const int result = identify(fd, nsid, cns, data);
  if (result < 0) throw_errno(-result, path, std::string("cannot identify the ") + what);
  if (result > 0)
    refuse(path, std::string("the SSD refused to identify the ") + what + " (" + to_string(core::Status(result)) + ")");
}

unsigned format_index(const nvme_id_ns& space) {
  return (space.flbas & NVME_NS_FLBAS_LOWER_MASK) | (space.flbas & NVME_NS_FLBAS_HIGHER_MASK) >> 1;
}

const nvme_lbaf& format_of(const nvme_id_ns& space) { return space.lbaf[format_index(space)]; }

bool is_served(const nvme_lbaf& format) { return format.ms == 0 && (format.ds == 9 || format.ds == 12); }

// "2 (4096 bytes with 8 bytes of metadata, protection information type 1)"
std::string format_in_words(const nvme_id_ns& space) {
  const nvme_lbaf& format = format_of(space);
  const std::string size = format.ds < 32 ? std::to_string(uint64_t{1} << format.ds) : "2^" + std::to_string(format.ds);
  std::string words = std::to_string(format_index(space)) + " (" + size + " bytes";
  if (format.ms != 0) words += " with " + std::to_string(format.ms) + " bytes of metadata";
  if (const unsigned type = space.dps & kProtectionType; type != 0)
    words += ", protection information type " + std::to_string(type);
  return words + ")";
}

// How to get one that is served; formatting is the operator's to do.
std::string format_remedy(const nvme_id_ns& space) {
  for (unsigned index = 0; index <= space.nlbaf && index < std::size(space.lbaf); ++index) {
    if (!is_served(space.lbaf[index])) continue;
    return "reformat it (this erases all data): nvme format DEVICE --lbaf=" + std::to_string(index) + " --pi=0 --ms=0";
  }
  return "the SSD has no supported format (see nvme id-ns -H), so nvme format does not help";
}

// The identifier of one type in the descriptor list; empty when it is not there.
std::span<const std::byte> descriptor(std::span<const std::byte> list, uint8_t type) {
  constexpr size_t kHeader = sizeof(nvme_ns_id_desc);
  for (size_t at = 0; at + kHeader <= list.size();) {
    nvme_ns_id_desc header;
    std::memcpy(&header, &list[at], kHeader);
    if (header.nidl == 0 || at + kHeader + header.nidl > list.size()) break;
    if (header.nidt == type) return list.subspan(at + kHeader, header.nidl);
    at += kHeader + header.nidl;
  }
  return {};
}

uint8_t csi_of(const NvmeIdentity& identity) {
  const auto csi = descriptor(identity.descriptors, NVME_NIDT_CSI);
  return csi.empty() ? uint8_t{NVME_CSI_NVM} : std::to_integer<uint8_t>(csi[0]);
}

void identify_zones(int fd, uint32_t nsid, NvmeIdentity& identity) {
  nvme_zns_id_ns zones{};
  if (identify(fd, nsid, kCsiNamespace, zones, NVME_CSI_ZNS) == 0) identity.zones = zones;
  nvme_zns_id_ctrl controller{};
  if (identify(fd, 0, kCsiController, controller, NVME_CSI_ZNS) == 0) identity.zasl = controller.zasl;
}

// MAR and MOR are 0-based; FFFFFFFFh, no limit, becomes 0.
core::Zones zones_of(const NvmeIdentity& identity) {
  if (!identity.zones) return {};
  const nvme_zns_id_ns& id = *identity.zones;
  const nvme_zns_lbafe& format = id.lbafe[format_index(identity.space)];
  return {.zone_blocks = format.zsze,
          .extension_bytes = format.zdes * core::kZoneExtensionUnitBytes,
          .max_active = id.mar + 1,
          .max_open = id.mor + 1,
          .operation_characteristics = id.zoc,
          .reads_across_zones = (id.ozcs & core::kReadAcrossZoneBoundaries) != 0,
          .reset_recommended_s = {id.rrl, id.rrl1, id.rrl2, id.rrl3},
          .finish_recommended_s = {id.frl, id.frl1, id.frl2, id.frl3}};
}

template <size_t N>
void copy_identifier(std::span<const std::byte> from, std::array<uint8_t, N>& to) {
  if (from.size() == N) std::memcpy(to.data(), from.data(), N);
}

std::string without_padding(const char* text, size_t length) {
  const std::string padded(text, length);
  const size_t end = padded.find_last_not_of(std::string(" \0", 2));
  return end == std::string::npos ? std::string() : padded.substr(0, end + 1);
}

// Commands that the target executes itself when the SSD does not support them. A Copy without limits counts as not
// supported.
uint8_t own_commands(const NvmeIdentity& identity) {
  const uint16_t oncs = identity.controller.oncs;
  const nvme_id_ns& space = identity.space;
  uint8_t own = 0;
  if ((oncs & NVME_CTRL_ONCS_COMPARE) != 0) own |= core::kOwnCompare;
  if ((oncs & NVME_CTRL_ONCS_VERIFY) != 0) own |= core::kOwnVerify;
  if ((oncs & NVME_CTRL_ONCS_WRITE_UNCORRECTABLE) != 0) own |= core::kOwnWriteUncorrectable;
  const bool has_format_0 = (identity.controller.ocfs & 1) != 0;
  if ((oncs & NVME_CTRL_ONCS_COPY) != 0 && has_format_0 && space.mssrl != 0 && space.mcl != 0) own |= core::kOwnCopy;
  return own;
}

// Of AWUN, AWUPF, NAWUN, NAWUPF: 0 in the namespace's means that the controller's holds.
uint32_t atomic_blocks(uint16_t of_namespace_z, uint16_t of_controller_z) {
  return (of_namespace_z != 0 ? of_namespace_z : of_controller_z) + 1u;
}

void take_atomic_writes(const NvmeIdentity& identity, core::IoHints& hints) {
  const nvme_id_ns& space = identity.space;
  const bool own = (space.nsfeat & NVME_NS_FEAT_NATOMIC) != 0;
  hints.atomic_write_blocks = atomic_blocks(own ? space.nawun : 0, identity.controller.awun);
  hints.atomic_write_power_fail_blocks = atomic_blocks(own ? space.nawupf : 0, identity.controller.awupf);
  if (!own) return;
  hints.atomic_boundary_blocks = space.nabsn != 0 ? space.nabsn + 1u : 0;
  hints.atomic_boundary_power_fail_blocks = space.nabspf != 0 ? space.nabspf + 1u : 0;
  hints.first_atomic_boundary_lba = space.nabo;
}

// NVM Command Set 1.0, section 4.1.5.1.
core::IoHints hints_of(const NvmeIdentity& identity) {
  constexpr uint8_t kReadAndWriteZeroes = NVME_NS_DLFEAT_RB | NVME_NS_DLFEAT_WRITE_ZEROES;
  const nvme_id_ns& space = identity.space;
  core::IoHints hints;
  take_atomic_writes(identity, hints);
  hints.deallocated_blocks = space.dlfeat & kReadAndWriteZeroes;
  if ((space.nsfeat & NVME_NS_FEAT_IO_OPT) == 0) return hints;
  hints.write_granularity_blocks = space.npwg + 1u;
  hints.write_alignment_blocks = space.npwa + 1u;
  hints.deallocate_granularity_blocks = space.npdg + 1u;
  hints.deallocate_alignment_blocks = space.npda + 1u;
  hints.optimal_write_blocks = space.nows != 0 ? space.nows + 1u : 0;
  return hints;
}

}  // namespace

void limit_atomic_writes(core::IoHints& hints, uint32_t most_bytes, uint8_t lba_shift) {
  const uint32_t most = std::max(most_bytes >> lba_shift, 1u);
  hints.atomic_write_blocks = std::min(hints.atomic_write_blocks, most);
  hints.atomic_write_power_fail_blocks = std::min(hints.atomic_write_power_fail_blocks, most);
}

NvmeIdentity identify(int fd, uint32_t nsid, const std::string& path) {
  NvmeIdentity identity;
  must_identify(fd, 0, kController, identity.controller, path, "controller");
  must_identify(fd, nsid, kNamespace, identity.space, path, "namespace");
  // Older SSDs have neither of these.
  if (identify(fd, nsid, kNamespaceDescriptors, identity.descriptors) != 0) identity.descriptors = {};
  nvme_id_ctrl_nvm limits{};
  if (identify(fd, 0, kCsiController, limits) == 0) identity.limits = limits;
  if (csi_of(identity) == NVME_CSI_ZNS) identify_zones(fd, nsid, identity);
  return identity;
}

std::optional<std::string> refusal(const NvmeIdentity& identity) {
  const nvme_lbaf& format = format_of(identity.space);
  const uint8_t csi = csi_of(identity);
  if (csi != NVME_CSI_NVM && csi != NVME_CSI_ZNS)
    return "it is a namespace of command set " + std::to_string(csi) +
           " (key-value, for instance); only those of the NVM and the Zoned Namespace command sets are supported";
  if (identity.space.nsze == 0) return "the namespace is not active: attach it to the controller (nvme attach-ns)";
  if (!is_served(format) || (identity.space.dps & kProtectionType) != 0)
    return "its LBA format is " + format_in_words(identity.space) +
           "; only blocks of 512 or 4096 bytes without metadata and protection information are supported: " +
           format_remedy(identity.space);
  if (csi == NVME_CSI_ZNS && !is_zoned(zones_of(identity)))
    return "it is a zoned namespace, and the SSD does not say how large its zones are (nvme zns id-ns)";
  return std::nullopt;
}

void describe(const NvmeIdentity& identity, DeviceInfo& info) {
  const nvme_id_ctrl& controller = identity.controller;
  const nvme_id_ns& space = identity.space;
  info.lba_shift = format_of(space).ds;
  info.block_count = space.nsze;
  info.supports_deallocate = (controller.oncs & NVME_CTRL_ONCS_DSM) != 0;
  info.supports_write_zeroes = (controller.oncs & NVME_CTRL_ONCS_WRITE_ZEROES) != 0;
  info.own_commands = own_commands(identity);
  const auto most_ranges_z = static_cast<uint8_t>(core::limits::kMaxCopyRanges - 1);
  if ((info.own_commands & core::kOwnCopy) != 0)
    info.copy = {space.mssrl, space.mcl, std::min(space.msrc, most_ranges_z)};
  info.volatile_write_cache = (controller.vwc & NVME_CTRL_VWC_PRESENT) != 0;
  info.optimal_io_boundary_blocks = space.noiob;
  info.hints = hints_of(identity);
  info.zones = zones_of(identity);
  std::memcpy(info.nguid.data(), space.nguid, sizeof space.nguid);
  std::memcpy(info.eui64.data(), space.eui64, sizeof space.eui64);
  copy_identifier(descriptor(identity.descriptors, NVME_NIDT_UUID), info.uuid);
  copy_identifier(descriptor(identity.descriptors, NVME_NIDT_NGUID), info.nguid);
  copy_identifier(descriptor(identity.descriptors, NVME_NIDT_EUI64), info.eui64);
  info.serial = without_padding(controller.sn, sizeof controller.sn);
  info.model = without_padding(controller.mn, sizeof controller.mn);
}

std::optional<uint64_t> max_zone_append_bytes(const NvmeIdentity& identity) {
  if (identity.zasl == 0 || identity.zasl > 32) return max_transfer_bytes(identity.controller);
  return kSmallestPage << identity.zasl;
}

std::optional<uint64_t> max_transfer_bytes(const nvme_id_ctrl& controller) {
  if (controller.mdts == 0 || controller.mdts > 32) return std::nullopt;
  return kSmallestPage << controller.mdts;
}

uint32_t size_limit_blocks(uint8_t limit, uint8_t lba_shift) {
  constexpr uint64_t kMostBlocks = 65536;
  if (limit == 0 || limit > 32) return kMostBlocks;
  return static_cast<uint32_t>(std::clamp<uint64_t>((kSmallestPage << limit) >> lba_shift, 1, kMostBlocks));
}

}  // namespace nvmf::backend
