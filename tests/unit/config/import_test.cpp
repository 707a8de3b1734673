// What is no config of another target.
#include "config/import.h"

#include <doctest/doctest.h>

#include "tests/unit/config/import_support.h"

namespace nvmf::config::test {
namespace {

TEST_CASE("what is no config of the other target is refused, with a hint when it is one of the third") {
  const std::string nvmet = sample("import_nvmetcli_fuzz/two_ports.json");
  const std::string saved = sample("import_spdk_fuzz/save_config.json");
  const auto refusal = [](const Result& result) {
    CHECK(!result.config.has_value());
    REQUIRE(result.diagnostics.size() == 1);
    return to_string(result.diagnostics.front());
  };
  CHECK(refusal(import_nvmetcli(saved, "a.json")) ==
        "a.json:1:1: error: $: nvmetcli did not save this file: it has no \"subsystems\" or no \"ports\"; if SPDK "
        "wrote it: "
        "import spdk");
  CHECK(refusal(import_spdk(nvmet, "a.json")) ==
        "a.json:1:1: error: $: SPDK's save_config did not print this file; if nvmetcli wrote it: import nvmetcli");
  CHECK(refusal(import_spdk("{}", "a.json")) ==
        "a.json:1:1: error: $: SPDK's save_config did not print this file; save the target with: rpc.py "
        "save_config");
  CHECK(refusal(import_nvmetcli("{\"ports\": [", "a.json")) ==
        "a.json:1:12: error: $.ports: the file ends inside the array that begins at 1:11; close it with ]");
  CHECK(refusal(import_spdk("{\"subsystems\": [\n{\"config\": [],\n\"config\": []}]}", "a.json")) ==
        "a.json:3:1: error: $.subsystems[0].config: this key is given twice, first in line 2; keep one");
}

}  // namespace
}  // namespace nvmf::config::test
