// A fake RNIC and a fake SSD with faults, for the logic of the self-test.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "p2p/copy_engine.h"
#include "p2p/pattern.h"
#include "p2p/proof.h"
#include "p2p/ssd_probe.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p::test {

inline constexpr uint32_t kMaxTransferBytes = 136 << 10;
inline constexpr size_t kCmbBytes = 1 << 20;

// What a fault does to one byte of a transfer.
struct Byte {
  Direction direction;
  uint32_t path_mtu;
  uint64_t index;       // in the transfer
  uint32_t length;      // of the transfer
  uint64_t packet;      // CMB offset at which the packet starts
  uint64_t cmb_offset;  // where it belongs; a fault may move it
  bool dropped = false;
  bool all_ones = false;
  int64_t also_at = 0;  // another byte, at this distance, gets the same content; 0: none
};

class FakeRnic final : public CopyEngine {
 public:
  explicit FakeRnic(uint32_t max_transfer_bytes = kMaxTransferBytes, size_t cmb_bytes = kCmbBytes)
      : cmb(cmb_bytes), dram_(proof_dram_bytes(max_transfer_bytes)) {}

  std::span<std::byte> dram() override { return dram_; }
  uint64_t cmb_bytes() const override { return cmb.size(); }

  std::string copy(const Transfer& transfer) override {
    ++copies;
    if (std::string error = refuse(transfer); !error.empty()) return error;
    if (fault)
      copy_bytes(transfer);
    else if (transfer.direction == Direction::HostWrites)
      std::memcpy(&cmb[transfer.cmb_offset], &dram_[transfer.dram_offset], transfer.length);
    else
      std::memcpy(&dram_[transfer.dram_offset], &cmb[transfer.cmb_offset], transfer.length);
    return {};
  }

  std::vector<std::byte> cmb;
  std::function<void(Byte&)> fault;  // none: every byte arrives
  std::function<std::string(const Transfer&)> refuse = [](const Transfer&) { return std::string(); };
  uint64_t copies = 0;

 private:
  void copy_bytes(const Transfer& transfer) {
    for (uint64_t i = 0; i < transfer.length; ++i) {
      const uint64_t packet = transfer.cmb_offset + i / transfer.path_mtu * transfer.path_mtu;
      Byte byte{transfer.direction, transfer.path_mtu, i, transfer.length, packet, transfer.cmb_offset + i};
      fault(byte);
      if (byte.dropped) continue;
      std::byte& far = dram_[transfer.dram_offset + i];
      std::byte& near = cmb[byte.cmb_offset % cmb.size()];
      std::byte& to = transfer.direction == Direction::HostWrites ? near : far;
      if (transfer.direction == Direction::HostWrites)
        near = far;
      else
        far = byte.all_ones ? std::byte{0xff} : near;
      (&to)[byte.also_at] = to;
    }
  }

  std::vector<std::byte> dram_;
};

// Soft-RoCE's bug: what a packet has in a page is taken from the page's start instead of where the packet begins.
inline void lose_place_in_page(Byte& byte) {
  const uint64_t page = byte.cmb_offset / kPageBytes * kPageBytes;
  if (byte.packet > page) byte.cmb_offset = page + (byte.cmb_offset - byte.packet);
}

class FakeSsd final : public SsdProbe {
 public:
  explicit FakeSsd(std::vector<std::byte>& cmb, size_t media_bytes = 4 << 20) : media(media_bytes), cmb_(cmb) {}

  uint32_t block_bytes() const override { return 512; }
  uint64_t block_count() const override { return media.size() / 512; }
  bool has_compare() const override { return compare_supported; }

  std::string read(uint64_t slba, std::span<std::byte> dram) override {
    std::memcpy(dram.data(), media.data() + slba * 512, dram.size());
    return {};
  }
  std::string read_into_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes) override {
    if (!cmb_error.empty()) return cmb_error;
    std::memcpy(cmb_.data() + cmb_offset, media.data() + slba * 512, length_bytes);
    after_read();
    return {};
  }
  Comparison compare_from_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes, std::string& error) override {
    error = cmb_error;
    if (!error.empty()) return Comparison::Failed;
    const bool equal = std::memcmp(cmb_.data() + cmb_offset, media.data() + slba * 512, length_bytes) == 0;
    return equal ? Comparison::Equal : Comparison::Different;
  }

  void fill_media() { fill_pattern(media, 4711); }

  std::vector<std::byte> media;  // zeros at first
  bool compare_supported = true;
  std::string cmb_error;
  std::function<void()> after_read = [] {};

 private:
  std::vector<std::byte>& cmb_;
};

}  // namespace nvmf::p2p::test
