// The secret of a host or subsystem, and its text: «DHHC-1:01:BASE64:», NVMe Base 2.1, section 8.3.4.5.8 (Base 2.0:
// 8.13.5.8).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "target/auth/secret.h"
#include "target/core/subsystem/dhchap.h"
#include "target/nvme/authentication.h"

namespace nvmf::auth {

// The text is no key. The message never quotes the text.
struct BadKey : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class DhchapKey final : public core::DhchapKey {
 public:
  // Space and line ends around the text do not count. Throws BadKey.
  static std::shared_ptr<const DhchapKey> parse(std::string_view text);
  // A new random secret of 32, 48 or 64 bytes. Throws std::runtime_error when OpenSSL has no random numbers.
  static std::shared_ptr<const DhchapKey> generate(size_t length_bytes, std::optional<nvme::DhchapHash> transform);

  // None: the secret is used as it is.
  std::optional<nvme::DhchapHash> transform() const { return transform_; }
  size_t length_bytes() const { return secret_.size(); }
  const std::string& fingerprint() const override { return fingerprint_; }
  // The text, without a line end.
  Secret text() const;
  // The secret as host or subsystem `nqn` uses it. Throws std::runtime_error when OpenSSL cannot do it.
  Secret transformed(std::string_view nqn) const;

 private:
  DhchapKey(Secret secret, std::optional<nvme::DhchapHash> transform);

  Secret secret_;
  std::optional<nvme::DhchapHash> transform_;
  std::string fingerprint_;
};

}  // namespace nvmf::auth
