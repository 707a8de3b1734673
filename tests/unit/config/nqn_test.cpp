#include "config/nqn.h"

#include <doctest/doctest.h>

namespace nvmf::config {
namespace {

std::string problem_of(std::string_view nqn) {
  const auto fault = check_nqn(nqn);
  return fault ? fault->problem : "";
}

TEST_CASE("NQNs of either form are accepted") {
  for (const std::string_view nqn :
       {"nqn.2026-01.io.example:disk1", "nqn.2014-08.org.nvmexpress:uuid:2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21",
        "nqn.2014-08.org.nvmexpress:uuid:2EC0A5A0-5B1C-4D0E-9D5C-0A4C1E3F7B21",
        "nqn.2014-08.org.nvmexpress:NVMf:uuid:2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21",
        "nqn.2014-08.com.vmware:nvme:esx-1", "nqn.2020-12.com.3par:x", "nqn.1999-10.a-b.c:x:y:z",
        "nqn.2016-06.io.spdk:cnode1", "nqn.2026-01.io.example:Größe"}) {
    CAPTURE(nqn);
    CHECK(problem_of(nqn) == "");
  }
}

TEST_CASE("an NQN has at most 223 bytes") {
  const std::string start = "nqn.2026-01.io.example:";
  CHECK(problem_of(start + std::string(223 - start.size(), 'x')) == "");
  CHECK(problem_of(start + std::string(224 - start.size(), 'x')) == "an NQN of 224 bytes");
}

TEST_CASE("what is no NQN is told apart") {
  const std::string no_prefix = "this does not begin with \"nqn.\"";
  const std::string no_date = "no year and month (YYYY-MM) after \"nqn.\"";
  const std::string no_domain = "no reversed domain name between the date and the colon";
  CHECK(problem_of("") == no_prefix);
  CHECK(problem_of("NQN.2026-01.io.example:a") == no_prefix);
  CHECK(problem_of("iqn.2026-01.io.example:a") == no_prefix);
  CHECK(problem_of("nqn.") == no_date);
  CHECK(problem_of("nqn.2026-1.io.example:a") == no_date);
  CHECK(problem_of("nqn.2026-00.io.example:a") == no_date);
  CHECK(problem_of("nqn.2026-13.io.example:a") == no_date);
  CHECK(problem_of("nqn.2026/01.io.example:a") == no_date);
  CHECK(problem_of("nqn.2026-01io.example:a") == no_domain);
  CHECK(problem_of("nqn.2026-01.:a") == no_domain);
  CHECK(problem_of("nqn.2026-01:a") == no_domain);
  CHECK(problem_of("nqn.2026-01.io..example:a") == no_domain);
  CHECK(problem_of("nqn.2026-01.io.-example:a") == no_domain);
  CHECK(problem_of("nqn.2026-01.io.exa_mple:a") == no_domain);
  CHECK(problem_of("nqn.2026-01." + std::string(64, 'x') + ":a") == no_domain);
  CHECK(problem_of("nqn.2026-01.io.example") == "no colon and name after the domain");
  CHECK(problem_of("nqn.2026-01.io.example:") == "no name after the colon");
  CHECK(problem_of("nqn.2026-01.io.example:a\nb") == "the control character U+000A in the name");
  CHECK(problem_of("nqn.2026-01.io.example:a\xc2\x9b"
                   "31m") == "the control character U+009B in the name");
  CHECK(problem_of("disk\x1b[31m") == "the control character U+001B in the name");
  CHECK(problem_of("nqn.2014-08.org.nvmexpress:uuid:2ec0a5a0") == "no UUID after \"uuid:\"");
  CHECK(problem_of(kDiscoveryNqn) == "the discovery subsystem's NQN");
}

}  // namespace
}  // namespace nvmf::config
