#include "target/auth/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "target/core/reactor/invariant.h"

namespace nvmf::auth {
namespace {

size_t whole_pages(size_t size_bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (std::max<size_t>(size_bytes, 1) + page - 1) / page * page;
}

}  // namespace

// Not to be locked into memory is no reason to do without the secret: RLIMIT_MEMLOCK may be small.
Secret::Secret(size_t size_bytes) : size_bytes_(size_bytes), mapped_bytes_(whole_pages(size_bytes)) {
  void* const mapped = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  if (madvise(mapped, mapped_bytes_, MADV_DONTDUMP) != 0 || madvise(mapped, mapped_bytes_, MADV_WIPEONFORK) != 0) {
    munmap(mapped, mapped_bytes_);
    throw std::bad_alloc();
  }
  (void)mlock(mapped, mapped_bytes_);
  data_ = static_cast<uint8_t*>(mapped);
}

Secret::Secret(std::span<const uint8_t> bytes) : Secret(bytes.size()) { std::ranges::copy(bytes, data_); }

Secret::~Secret() { wipe(); }

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  data_ = std::exchange(other.data_, nullptr);
  size_bytes_ = std::exchange(other.size_bytes_, 0);
  mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  return *this;
}

void Secret::shrink(size_t size_bytes) {
  NVMF_INVARIANT(size_bytes <= size_bytes_);
  OPENSSL_cleanse(data_ + size_bytes, size_bytes_ - size_bytes);
  size_bytes_ = size_bytes;
}

void Secret::wipe() {
  if (data_ == nullptr) return;
  OPENSSL_cleanse(data_, mapped_bytes_);
  munmap(data_, mapped_bytes_);
  data_ = nullptr;
}

}  // namespace nvmf::auth
