// What the core is told of the config.
#include "target/daemon/core_options.h"

#include <doctest/doctest.h>

#include <set>

namespace nvmf::daemon {
namespace {

TEST_CASE("controllers' identifiers start anywhere, so that those of two targets of one subsystem do not meet") {
  const config::Subsystem wanted;
  std::set<uint16_t> firsts;
  for (int i = 0; i < 100; ++i) {
    const core::SubsystemOptions options = options_of(wanted);
    CHECK(options.cntlid_min == wanted.cntlid_min);
    CHECK(options.cntlid_max == wanted.cntlid_max);
    CHECK(options.cntlid_first >= wanted.cntlid_min);
    CHECK(options.cntlid_first <= wanted.cntlid_max);
    firsts.insert(options.cntlid_first);
  }
  CHECK(firsts.size() > 50);
}

TEST_CASE("controllers' identifiers of a range that the config gives start with its first") {
  config::Subsystem wanted;
  SUBCASE("both ends") {
    wanted.cntlid_min = 1000;
    wanted.cntlid_max = 1999;
  }
  SUBCASE("the first alone") { wanted.cntlid_min = 30000; }
  SUBCASE("the last alone") { wanted.cntlid_max = 30000; }
  for (int i = 0; i < 20; ++i) CHECK(options_of(wanted).cntlid_first == wanted.cntlid_min);
}

TEST_CASE("a pool of 4 GiB or more is as large as the config says") {
  config::Config config;
  for (const uint32_t mib : {1u, 4095u, 4096u, 16384u}) {
    config.rdma.dram_pool_mib = mib;
    CHECK(group_options(config).dram_pool_bytes == uint64_t{mib} * 1024 * 1024);
  }
}

}  // namespace
}  // namespace nvmf::daemon
