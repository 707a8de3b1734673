#include "tests/simulation/block_history.h"

#include <algorithm>
#include <cstring>

namespace nvmf::simulation {
namespace {

void add(std::vector<uint32_t>& versions, uint32_t version) {
  if (std::ranges::find(versions, version) == versions.end()) versions.push_back(version);
}

}  // namespace

void BlockHistory::fill(uint64_t lba, uint32_t version, std::byte* block) const {
  if (is_zero_[version]) {
    std::fill_n(block, block_bytes_, std::byte{0});
    return;
  }
  const uint32_t words[4] = {0x6b636f6c, owner_, static_cast<uint32_t>(lba), version};
  for (uint32_t offset = 0; offset < block_bytes_; offset += sizeof words)
    std::memcpy(block + offset, words, sizeof words);
}

BlockHistory::Write BlockHistory::begin_write(uint64_t slba, uint32_t blocks, std::vector<std::byte>& data) {
  const Write write = begin(slba, blocks, false);
  data.resize(size_t{blocks} * block_bytes_);
  for (uint32_t i = 0; i < blocks; ++i) fill(slba + i, write.version, data.data() + size_t{i} * block_bytes_);
  return write;
}

BlockHistory::Write BlockHistory::begin_zeroes(uint64_t slba, uint32_t blocks) { return begin(slba, blocks, true); }

BlockHistory::Write BlockHistory::begin(uint64_t slba, uint32_t blocks, bool is_zero) {
  const Write write{slba, blocks, static_cast<uint32_t>(ended_.size()), ++order_};
  ended_.push_back(kNever);
  is_zero_.push_back(is_zero);
  for (uint32_t i = 0; i < blocks; ++i) {
    add(possible_[slba - first_ + i], write.version);
    for (auto& [number, read] : reads_)
      if (slba + i >= read.slba && slba + i - read.slba < read.allowed.size())
        add(read.allowed[slba + i - read.slba], write.version);
  }
  return write;
}

void BlockHistory::end_write(const Write& write) {
  ended_[write.version] = ++order_;
  for (uint32_t i = 0; i < write.blocks; ++i)
    std::erase_if(possible_[write.slba - first_ + i], [&](uint32_t version) { return ended_[version] < write.begun; });
}

void BlockHistory::begin_read(uint64_t number, uint64_t slba, uint32_t blocks) {
  const auto begin = possible_.begin() + static_cast<ptrdiff_t>(slba - first_);
  reads_[number] = {slba, {begin, begin + blocks}};
}

std::string BlockHistory::end_read(uint64_t number, const std::vector<std::byte>& data) {
  const auto found = reads_.find(number);
  const Read read = std::move(found->second);
  reads_.erase(found);
  for (size_t i = 0; i < read.allowed.size(); ++i)
    if (std::string wrong = judge(read.slba + i, data.data() + i * block_bytes_, read.allowed[i]); !wrong.empty())
      return wrong;
  return {};
}

std::string BlockHistory::judge(uint64_t lba, const std::byte* block, const std::vector<uint32_t>& allowed) const {
  std::vector<std::byte> expected(block_bytes_);
  for (const uint32_t version : allowed) {
    fill(lba, version, expected.data());
    if (std::memcmp(block, expected.data(), block_bytes_) == 0) return {};
  }
  uint32_t words[4];
  std::memcpy(words, block, sizeof words);
  return "block " + std::to_string(lba) + " holds owner " + std::to_string(words[1]) + ", block " +
         std::to_string(words[2]) + ", write " + std::to_string(words[3]) + "; " + std::to_string(allowed.size()) +
         " writes may be there, the last of them " + std::to_string(allowed.back());
}

}  // namespace nvmf::simulation
