// HOT PATH: where the data of each command lies.
#include "target/core/datapath/sgl.h"

#include <cstring>

namespace nvmf::core {
namespace {

using nvme::SglDescriptor;
using nvme::SglSubtype;
using nvme::SglType;

constexpr Status kTypeInvalid = Status(NVME_SC_SGL_INVALID_TYPE).do_not_retry();
constexpr Status kLengthInvalid = Status(NVME_SC_SGL_INVALID_DATA).do_not_retry();
constexpr Status kOffsetInvalid = Status(NVME_SC_SGL_INVALID_OFFSET).do_not_retry();
constexpr Status kCountInvalid = Status(NVME_SC_SGL_INVALID_COUNT).do_not_retry();
constexpr Status kSegmentInvalid = Status(NVME_SC_SGL_INVALID_LAST).do_not_retry();

bool is_keyed(const SglDescriptor& descriptor) {
  return descriptor.type() == SglType::KeyedDataBlock &&
         (descriptor.subtype() == SglSubtype::Address || descriptor.subtype() == SglSubtype::InvalidateRemotely);
}

bool is_offset(const SglDescriptor& descriptor, SglType type) {
  return descriptor.type() == type && descriptor.subtype() == SglSubtype::Offset;
}

// Appends the host memory of one keyed data block, cut to the `remaining_bytes` that the command still transfers.
void add_segment(const SglDescriptor& descriptor, uint32_t& remaining_bytes, DataPointer& out) {
  if (descriptor.subtype() == SglSubtype::InvalidateRemotely && !out.invalidate) {
    out.invalidate = true;
    out.invalidate_key = descriptor.key();
  }
  const uint32_t length = descriptor.keyed_length() < remaining_bytes ? descriptor.keyed_length() : remaining_bytes;
  if (length == 0) return;
  if (out.segment_count > 0 && out.segments[out.segment_count - 1].length_bytes % limits::kPageBytes != 0) {
    out.page_aligned = false;
  }
  out.segments[out.segment_count++] = {descriptor.address, length, descriptor.key()};
  remaining_bytes -= length;
}

Status finish_segments(uint32_t length_bytes, uint32_t remaining_bytes, DataPointer& out) {
  if (remaining_bytes != 0) return kLengthInvalid;
  out.kind = length_bytes == 0 ? DataPointer::Kind::None : DataPointer::Kind::Remote;
  return kSuccess;
}

Status parse_keyed(const SglDescriptor& descriptor, uint32_t length_bytes, DataPointer& out) {
  uint32_t remaining_bytes = length_bytes;
  add_segment(descriptor, remaining_bytes, out);
  return finish_segments(length_bytes, remaining_bytes, out);
}

Status parse_in_capsule(const SglDescriptor& descriptor, size_t capsule_bytes, uint32_t length_bytes,
                        DataPointer& out) {
  if (descriptor.address > capsule_bytes) return kOffsetInvalid;
  if (descriptor.length() > capsule_bytes - descriptor.address) return kLengthInvalid;
  if (descriptor.length() < length_bytes) return kLengthInvalid;
  out.kind = DataPointer::Kind::InCapsule;
  out.capsule_offset = static_cast<uint32_t>(descriptor.address);
  return kSuccess;
}

// A last segment of keyed data blocks, in the capsule.
Status parse_segment(const SglDescriptor& segment, std::span<const std::byte> in_capsule, uint32_t length_bytes,
                     DataPointer& out) {
  if (segment.length() == 0 || segment.length() % sizeof(SglDescriptor) != 0) return kSegmentInvalid;
  if (segment.address > in_capsule.size()) return kOffsetInvalid;
  if (segment.length() > in_capsule.size() - segment.address) return kSegmentInvalid;
  const size_t count = segment.length() / sizeof(SglDescriptor);
  if (count > limits::kMaxSglDescriptors) return kCountInvalid;

  const std::byte* next = in_capsule.data() + segment.address;
  uint32_t remaining_bytes = length_bytes;
  for (size_t i = 0; i < count; ++i, next += sizeof(SglDescriptor)) {
    SglDescriptor descriptor;
    std::memcpy(&descriptor, next, sizeof(descriptor));
    if (!is_keyed(descriptor)) return kTypeInvalid;
    add_segment(descriptor, remaining_bytes, out);
  }
  return finish_segments(length_bytes, remaining_bytes, out);
}

// A command without data: any descriptor is accepted, and a key to invalidate is invalidated.
Status parse_nothing(const SglDescriptor& descriptor, DataPointer& out) {
  uint32_t remaining_bytes = 0;
  if (is_keyed(descriptor)) add_segment(descriptor, remaining_bytes, out);
  return kSuccess;
}

}  // namespace

Status parse_data_pointer(const nvme::Sqe& sqe, std::span<const std::byte> in_capsule, uint32_t length_bytes,
                          bool host_to_controller, DataPointer& out) {
  out.kind = DataPointer::Kind::None;
  out.invalidate = false;
  out.page_aligned = true;
  out.segment_count = 0;
  out.invalidate_key = 0;
  out.capsule_offset = 0;

  const SglDescriptor& sgl1 = sqe.sgl1;
  if (length_bytes == 0) return parse_nothing(sgl1, out);
  if (is_keyed(sgl1)) return parse_keyed(sgl1, length_bytes, out);
  if (host_to_controller && is_offset(sgl1, SglType::DataBlock)) {
    return parse_in_capsule(sgl1, in_capsule.size(), length_bytes, out);
  }
  if (is_offset(sgl1, SglType::LastSegment)) return parse_segment(sgl1, in_capsule, length_bytes, out);
  return kTypeInvalid;
}

}  // namespace nvmf::core
