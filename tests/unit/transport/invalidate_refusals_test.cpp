// Which hosts have refused to have their keys invalidated.
#include <doctest/doctest.h>

#include <string>

#include "transport/rdma/remote_invalidate.h"

namespace nvmf::rdma {
namespace {

TEST_CASE("Three addresses are enough, however often each has refused") {
  InvalidateRefusals refusals;
  for (int i = 0; i < 5; ++i) CHECK(refusals.add("192.0.2.1") == (i == 0));
  CHECK(refusals.add("192.0.2.2"));
  CHECK_FALSE(refusals.are_enough());
  CHECK(refusals.has("192.0.2.2"));
  CHECK_FALSE(refusals.has("192.0.2.3"));
  CHECK(refusals.add("192.0.2.3"));
  CHECK(refusals.are_enough());
}

TEST_CASE("A host with many addresses is remembered by the latest of them, and the rest is forgotten") {
  InvalidateRefusals refusals;
  for (int i = 0; i < 100; ++i) CHECK(refusals.add("host " + std::to_string(i)));
  CHECK(refusals.has("host 99"));
  CHECK_FALSE(refusals.has("host 0"));
  CHECK(refusals.are_enough());
}

}  // namespace
}  // namespace nvmf::rdma
