// Memory for secrets: it is in no core dump, is not swapped out where the limits allow that, and is wiped at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nvmf::auth {

// Bytes in pages of their own. Any thread, one at a time. Moved from, it is empty.
class Secret {
 public:
  // `size_bytes` zeroes. Throws std::bad_alloc.
  explicit Secret(size_t size_bytes);
  explicit Secret(std::span<const uint8_t> bytes);
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;

  std::span<uint8_t> bytes() { return {data_, size_bytes_}; }
  std::span<const uint8_t> bytes() const { return {data_, size_bytes_}; }
  size_t size() const { return size_bytes_; }
  // At most the size that it was made with; what is cut off is wiped.
  void shrink(size_t size_bytes);

 private:
  void wipe();

  uint8_t* data_ = nullptr;
  size_t size_bytes_ = 0;
  size_t mapped_bytes_ = 0;
};

}  // namespace nvmf::auth
