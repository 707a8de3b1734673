// Any text as a key (DHHC-1:...): what is taken is written as the same text again, what is refused is not quoted.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "target/auth/dhchap_key.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto key = nvmf::auth::DhchapKey::parse(text);
    const auto again = key->text();
    const std::string_view written(reinterpret_cast<const char*>(again.bytes().data()), again.size());
    require(text.find(written) != std::string_view::npos);
  } catch (const nvmf::auth::BadKey& bad) {
    require(std::string_view(bad.what()).size() < 400);
  }
  return 0;
}
