// Data pointers: NVMe Base 2.0, section 4.1.2 and RDMA Transport 1.0, section 2.3.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "target/core/datapath/sgl.h"

namespace nvmf::core {
namespace {

using nvme::SglDescriptor;
using Kind = DataPointer::Kind;

constexpr bool kToController = true;
constexpr bool kToHost = false;

SglDescriptor describe(uint8_t identifier, uint64_t address, uint32_t length) {
  SglDescriptor descriptor{};
  descriptor.address = address;
  descriptor.identifier = identifier;
  for (unsigned i = 0; i < 4; ++i) descriptor.specific[i] = static_cast<uint8_t>(length >> 8 * i);
  return descriptor;
}

SglDescriptor keyed(uint64_t address, uint32_t length, uint32_t key, bool invalidate = false) {
  SglDescriptor descriptor = describe(invalidate ? 0x4f : 0x40, address, length & 0xffffff);
  for (unsigned i = 0; i < 4; ++i) descriptor.specific[3 + i] = static_cast<uint8_t>(key >> 8 * i);
  return descriptor;
}
SglDescriptor in_capsule(uint64_t offset, uint32_t length) { return describe(0x01, offset, length); }
SglDescriptor last_segment(uint64_t offset, uint32_t length) { return describe(0x31, offset, length); }

// What a host sends: the first descriptor, and what lies in the capsule behind the command.
struct Capsule {
  SglDescriptor sgl1{};
  std::vector<std::byte> data;

  static Capsule with_segment(const std::vector<SglDescriptor>& descriptors) {
    Capsule capsule;
    const auto size = static_cast<uint32_t>(descriptors.size() * sizeof(SglDescriptor));
    capsule.sgl1 = last_segment(0, size);
    capsule.data.resize(size);
    if (size != 0) std::memcpy(capsule.data.data(), descriptors.data(), size);
    return capsule;
  }

  int parse(uint32_t length, bool to_controller, DataPointer& out) const {
    nvme::Sqe sqe{};
    sqe.sgl1 = sgl1;
    return parse_data_pointer(sqe, data, length, to_controller, out).value() & 0x7ff;
  }
};

TEST_CASE("host describes one keyed block: one piece of its memory, cut to what the command transfers") {
  DataPointer out;
  CHECK(Capsule{keyed(0x123456789abc, 4096, 0xdeadbeef), {}}.parse(4096, kToHost, out) == 0);
  CHECK(out.kind == Kind::Remote);
  CHECK(out.segment_count == 1);
  CHECK(out.segments[0].address == 0x123456789abc);
  CHECK(out.segments[0].length_bytes == 4096);
  CHECK(out.segments[0].key == 0xdeadbeef);
  CHECK_FALSE(out.invalidate);
  CHECK(Capsule{keyed(0, 0xffffff, 1), {}}.parse(512, kToHost, out) == 0);
  CHECK(out.segments[0].length_bytes == 512);
}

TEST_CASE("host asks for remote invalidation: the key is kept") {
  DataPointer out;
  CHECK(Capsule{keyed(0, 512, 0xabcd0123, true), {}}.parse(512, kToController, out) == 0);
  CHECK(out.invalidate);
  CHECK(out.invalidate_key == 0xabcd0123);
}

TEST_CASE("host describes less than the command transfers: Data SGL Length Invalid") {
  DataPointer out;
  CHECK(Capsule{keyed(0, 511, 1), {}}.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_DATA);
  CHECK(Capsule{keyed(0, 0, 1), {}}.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("a command without data takes any descriptor, and keeps a key to invalidate") {
  DataPointer out;
  CHECK(Capsule{describe(0xff, 1, 1), {}}.parse(0, kToHost, out) == 0);
  CHECK(out.kind == Kind::None);
  CHECK(Capsule{keyed(0, 4096, 7, true), {}}.parse(0, kToHost, out) == 0);
  CHECK(out.kind == Kind::None);
  CHECK(out.segment_count == 0);
  CHECK(out.invalidate);
  CHECK(out.invalidate_key == 7);
}

TEST_CASE("host sends its data in the capsule") {
  DataPointer out;
  const std::vector<std::byte> data(4096);
  CHECK(Capsule{in_capsule(0, 4096), data}.parse(4096, kToController, out) == 0);
  CHECK(out.kind == Kind::InCapsule);
  CHECK(out.capsule_offset == 0);
  CHECK(Capsule{in_capsule(3584, 512), data}.parse(512, kToController, out) == 0);
  CHECK(out.capsule_offset == 3584);
}

TEST_CASE("host describes in-capsule data that is not there") {
  DataPointer out;
  const std::vector<std::byte> data(1024);
  CHECK(Capsule{in_capsule(1025, 512), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_OFFSET);
  CHECK(Capsule{in_capsule(~uint64_t{0}, 512), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_OFFSET);
  CHECK(Capsule{in_capsule(~uint64_t{0} - 511, 512), data}.parse(512, kToController, out) ==
        NVME_SC_SGL_INVALID_OFFSET);
  CHECK(Capsule{in_capsule(513, 512), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_DATA);
  CHECK(Capsule{in_capsule(0, 1025), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_DATA);
  CHECK(Capsule{in_capsule(0, 0xffffffff), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_DATA);
  CHECK(Capsule{in_capsule(0, 511), data}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_DATA);
  CHECK(Capsule{in_capsule(0, 512), {}}.parse(512, kToController, out) == NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("host wants data for itself in the capsule: SGL Descriptor Type Invalid") {
  DataPointer out;
  CHECK(Capsule{in_capsule(0, 512), std::vector<std::byte>(512)}.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_TYPE);
}

TEST_CASE("host uses descriptors that the transport does not have: SGL Descriptor Type Invalid") {
  DataPointer out;
  for (unsigned identifier = 0; identifier < 256; ++identifier) {
    const bool usable = identifier == 0x40 || identifier == 0x4f || identifier == 0x01 || identifier == 0x31;
    if (usable) continue;
    const Capsule capsule{describe(static_cast<uint8_t>(identifier), 0, 512), std::vector<std::byte>(512)};
    CHECK(capsule.parse(512, kToController, out) == NVME_SC_SGL_INVALID_TYPE);
    CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_TYPE);
  }
}

TEST_CASE("host describes several pieces in a segment in the capsule") {
  DataPointer out;
  const auto capsule = Capsule::with_segment({keyed(0x1000, 4096, 1, true), keyed(0x9000, 8192, 2), keyed(0, 512, 3)});
  CHECK(capsule.parse(4096 + 8192 + 512, kToHost, out) == 0);
  CHECK(out.kind == Kind::Remote);
  CHECK(out.segment_count == 3);
  CHECK(out.segments[1].address == 0x9000);
  CHECK(out.segments[2].key == 3);
  CHECK(out.page_aligned);
  CHECK(out.invalidate_key == 1);
}

TEST_CASE("pieces that split a page are told of; what the cut leaves out does not count") {
  DataPointer out;
  const auto capsule = Capsule::with_segment({keyed(0, 512, 1), keyed(0, 512, 2), keyed(0, 512, 3)});
  CHECK(capsule.parse(1024, kToHost, out) == 0);
  CHECK_FALSE(out.page_aligned);
  CHECK(out.segment_count == 2);
  CHECK(capsule.parse(512, kToHost, out) == 0);
  CHECK(out.page_aligned);
  CHECK(out.segment_count == 1);
}

TEST_CASE("one of several pieces splits a page, whichever it is but the last") {
  for (size_t odd = 0; odd < 4; ++odd) {
    CAPTURE(odd);
    std::vector<SglDescriptor> pieces(4, keyed(0, 4096, 1));
    pieces[odd] = keyed(0, 512, 1);
    DataPointer out;
    CHECK(Capsule::with_segment(pieces).parse(3 * 4096 + 512, kToHost, out) == 0);
    CHECK(out.page_aligned == (odd == 3));
  }
}

TEST_CASE("host asks for several keys to be invalidated: the first, for one is all that an answer can") {
  DataPointer out;
  const auto capsule = Capsule::with_segment({keyed(0, 512, 1), keyed(0, 512, 2, true), keyed(0, 512, 3, true)});
  CHECK(capsule.parse(3 * 512, kToHost, out) == 0);
  CHECK(out.invalidate);
  CHECK(out.invalidate_key == 2);
}

TEST_CASE("empty pieces are skipped") {
  DataPointer out;
  const auto capsule = Capsule::with_segment({keyed(0, 0, 1), keyed(0, 4096, 2), keyed(0, 0, 3), keyed(0, 4096, 4)});
  CHECK(capsule.parse(8192, kToHost, out) == 0);
  CHECK(out.segment_count == 2);
  CHECK(out.page_aligned);
}

TEST_CASE("host describes sixteen pieces: yes; seventeen: Invalid Number of SGL Descriptors") {
  DataPointer out;
  CHECK(Capsule::with_segment(std::vector(16, keyed(0, 512, 1))).parse(16 * 512, kToHost, out) == 0);
  CHECK(out.segment_count == 16);
  CHECK(Capsule::with_segment(std::vector(17, keyed(0, 512, 1))).parse(512, kToHost, out) == NVME_SC_SGL_INVALID_COUNT);
}

TEST_CASE("host describes less in a segment than the command transfers: Data SGL Length Invalid") {
  DataPointer out;
  CHECK(Capsule::with_segment({keyed(0, 512, 1), keyed(0, 511, 2)}).parse(1024, kToHost, out) ==
        NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("a segment that is empty, torn or not in the capsule") {
  DataPointer out;
  Capsule capsule = Capsule::with_segment({keyed(0, 512, 1), keyed(0, 512, 2)});
  capsule.sgl1 = last_segment(0, 0);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_LAST);
  capsule.sgl1 = last_segment(0, 15);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_LAST);
  capsule.sgl1 = last_segment(0, 48);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_LAST);
  capsule.sgl1 = last_segment(17, 16);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_LAST);
  capsule.sgl1 = last_segment(33, 16);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_OFFSET);
  capsule.sgl1 = last_segment(~uint64_t{0} - 15, 32);
  CHECK(capsule.parse(512, kToHost, out) == NVME_SC_SGL_INVALID_OFFSET);
  capsule.sgl1 = last_segment(16, 16);
  CHECK(capsule.parse(512, kToHost, out) == 0);
  CHECK(out.segments[0].key == 2);
}

TEST_CASE("a segment holds something else than keyed blocks: SGL Descriptor Type Invalid") {
  DataPointer out;
  for (const SglDescriptor& other : {in_capsule(0, 512), last_segment(0, 16), describe(0x10, 0, 512),
                                     describe(0x20, 0, 16), describe(0x42, 0, 512)}) {
    CHECK(Capsule::with_segment({keyed(0, 512, 1), other}).parse(512, kToController, out) == NVME_SC_SGL_INVALID_TYPE);
  }
}

}  // namespace
}  // namespace nvmf::core
