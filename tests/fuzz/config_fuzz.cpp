// libFuzzer entry: any bytes as a config file. Build with -fsanitize=fuzzer,address,undefined.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nvmf::config;
  const Result result = parse({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  const bool has_error = std::ranges::any_of(
      result.diagnostics, [](const Diagnostic& diagnostic) { return diagnostic.severity == Severity::error; });
  if (result.config.has_value() == has_error) std::abort();
  return 0;
}
