#include "target/auth/diffie_hellman.h"

#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <array>
#include <stdexcept>

#include "target/auth/secure_heap.h"

namespace nvmf::auth {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free>;

const char* name_of(nvme::DhGroup group) {
  static constexpr std::array<const char*, nvme::kDhGroups> kNames = {"",          "ffdhe2048", "ffdhe3072",
                                                                      "ffdhe4096", "ffdhe6144", "ffdhe8192"};
  return kNames[static_cast<size_t>(group)];
}

OSSL_PARAM group_parameter(nvme::DhGroup group) {
  return OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(name_of(group)),
                                          0);  // NOLINT: it is only read
}

// At least 256: NVMe Base 2.1, section 8.3.4.5.3. OpenSSL itself takes 225 with the smallest group.
int exponent_bits(nvme::DhGroup group) {
  static constexpr std::array<int, nvme::kDhGroups> kBits = {0, 256, 275, 325, 375, 400};
  return kBits[static_cast<size_t>(group)];
}

EVP_PKEY* generate(nvme::DhGroup group) {
  use_secure_heap();
  int bits = exponent_bits(group);
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  const std::array parameters = {group_parameter(group), OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_DH_PRIV_LEN, &bits),
                                 OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_params(context.get(), parameters.data()) != 1 || EVP_PKEY_generate(context.get(), &key) != 1)
    throw std::runtime_error(std::string("OpenSSL cannot make a DH value of the group ") + name_of(group));
  return key;
}

// Null when OpenSSL does not take it. `part`: OSSL_PKEY_PARAM_PUB_KEY or OSSL_PKEY_PARAM_PRIV_KEY.
EVP_PKEY* key_with(nvme::DhGroup group, const char* part, int selection, std::span<const uint8_t> bytes) {
  const std::unique_ptr<BIGNUM, decltype(&BN_clear_free)> number(BN_secure_new(), BN_clear_free);
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(),
                                                                                OSSL_PARAM_BLD_free);
  if (number == nullptr || builder == nullptr ||
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), number.get()) == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, name_of(group), 0) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), part, number.get()) != 1)
    return nullptr;
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                           OSSL_PARAM_free);
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1)
    return nullptr;
  return key;
}

Key public_key(nvme::DhGroup group, std::span<const uint8_t> value) {
  return Key(key_with(group, OSSL_PKEY_PARAM_PUB_KEY, EVP_PKEY_PUBLIC_KEY, value));
}

EVP_PKEY* private_key(nvme::DhGroup group, std::span<const uint8_t> exponent) {
  use_secure_heap();
  EVP_PKEY* const key = key_with(group, OSSL_PKEY_PARAM_PRIV_KEY, EVP_PKEY_KEYPAIR, exponent);
  if (key == nullptr) throw std::runtime_error("OpenSSL does not take the exponent");
  return key;
}

std::vector<uint8_t> value_of(EVP_PKEY* key, nvme::DhGroup group) {
  std::vector<uint8_t> value(nvme::dh_value_length_bytes(group));
  size_t written = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, value.data(), value.size(), &written) !=
          1 ||
      written != value.size())
    throw std::runtime_error("OpenSSL cannot give a DH value");
  return value;
}

// 2, of each group.
std::vector<uint8_t> generator_of(nvme::DhGroup group) {
  std::vector<uint8_t> generator(nvme::dh_value_length_bytes(group));
  generator.back() = 2;
  return generator;
}

// 1 < value < p - 1. More is not needed: p = 2q + 1, so no other value is in a small subgroup. (OpenSSL's own check
// raises the value to the power of q, which takes 20 times as long as all the rest: a stranger could ask for it.)
bool is_in_range(EVP_PKEY* key, std::span<const uint8_t> value) {
  using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
  BIGNUM* prime = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_P, &prime) != 1) return false;
  const Number last(prime, BN_free);
  const Number number(BN_bin2bn(value.data(), static_cast<int>(value.size()), nullptr), BN_free);
  if (number == nullptr || BN_sub_word(last.get(), 1) != 1) return false;
  return BN_cmp(number.get(), BN_value_one()) > 0 && BN_cmp(number.get(), last.get()) < 0;
}

}  // namespace

size_t DhExponent::exponent_bits() const {
  BIGNUM* exponent = nullptr;
  if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_PRIV_KEY, &exponent) != 1)
    throw std::runtime_error("OpenSSL does not give the exponent");
  const std::unique_ptr<BIGNUM, decltype(&BN_clear_free)> owner(exponent, BN_clear_free);
  return static_cast<size_t>(BN_num_bits(exponent));
}

void DhExponent::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

DhExponent::DhExponent(nvme::DhGroup group)
    : group_(group), key_(generate(group)), value_(value_of(key_.get(), group)) {}

DhExponent::DhExponent(nvme::DhGroup group, std::span<const uint8_t> exponent)
    : group_(group), key_(private_key(group, exponent)) {
  const std::optional<Secret> value = shared_with(generator_of(group));
  if (!value) throw std::runtime_error("OpenSSL cannot compute a DH value");
  value_.assign(value->bytes().begin(), value->bytes().end());
}

std::optional<Secret> DhExponent::shared_with(std::span<const uint8_t> other) const {
  if (other.size() != nvme::dh_value_length_bytes(group_) || !is_in_range(key_.get(), other)) return std::nullopt;
  const Key peer = public_key(group_, other);
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  if (peer == nullptr || context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_dh_pad(context.get(), 1) != 1 || EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1)
    return std::nullopt;
  Secret shared(other.size());
  size_t length_bytes = shared.size();
  if (EVP_PKEY_derive(context.get(), shared.bytes().data(), &length_bytes) != 1 || length_bytes != shared.size())
    return std::nullopt;
  return shared;
}

}  // namespace nvmf::auth
