// libFuzzer entry: any bytes as what save_config of SPDK printed. What is imported must be a config that the parser
// takes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/import.h"
#include "config/write.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nvmf::config;
  const Result result = import_spdk({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  for (const Diagnostic& diagnostic : result.diagnostics) {
    if (diagnostic.file == "fuzz.json as imported") std::abort();
  }
  if (result.config && !parse(write(*result.config), "fuzz.json")) std::abort();
  return 0;
}
