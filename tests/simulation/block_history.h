// What a host may find in its blocks: for each the writes that can have been the last. Every block that is written says
// whose it is, where it belongs and which write it was, so that one misplaced byte is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace nvmf::simulation {

class BlockHistory {
 public:
  // Blocks [first, first + count) are this host's alone, and hold zeroes at first.
  BlockHistory(uint32_t owner, uint64_t first, uint64_t count, uint32_t block_bytes)
      : owner_(owner), first_(first), block_bytes_(block_bytes), possible_(count, {kAtFirst}) {}

  uint64_t first() const { return first_; }
  uint64_t count() const { return possible_.size(); }

  struct Write {
    uint64_t slba = 0;
    uint32_t blocks = 0;
    uint32_t version = 0;
    uint64_t begun = 0;  // in the order of beginnings and ends
  };
  struct Read {
    uint64_t slba = 0;
    std::vector<std::vector<uint32_t>> allowed;  // by block, with what comes while it is under way
  };

  // A write is about to be sent; `data` is what it writes.
  Write begin_write(uint64_t slba, uint32_t blocks, std::vector<std::byte>& data);
  // The same for one of zeroes.
  Write begin_zeroes(uint64_t slba, uint32_t blocks);
  // It has ended well: what had ended before it began is gone; of those that ran beside it any may be the last. A write
  // that failed, or whose answer never came, may have happened, and may still: it is not ended.
  void end_write(const Write& write);

  // `number` names it until end_read().
  void begin_read(uint64_t number, uint64_t slba, uint32_t blocks);
  // Empty: all blocks hold what they may.
  std::string end_read(uint64_t number, const std::vector<std::byte>& data);
  void forget_read(uint64_t number) { reads_.erase(number); }

 private:
  static constexpr uint32_t kAtFirst = 0;
  static constexpr uint64_t kNever = UINT64_MAX;

  Write begin(uint64_t slba, uint32_t blocks, bool is_zero);
  void fill(uint64_t lba, uint32_t version, std::byte* block) const;
  std::string judge(uint64_t lba, const std::byte* block, const std::vector<uint32_t>& allowed) const;

  uint32_t owner_;
  uint64_t first_;
  uint32_t block_bytes_;
  uint64_t order_ = 0;
  std::vector<uint64_t> ended_{0};   // by version; kNever: not yet
  std::vector<bool> is_zero_{true};  // by version
  std::vector<std::vector<uint32_t>> possible_;
  std::unordered_map<uint64_t, Read> reads_;
};

}  // namespace nvmf::simulation
