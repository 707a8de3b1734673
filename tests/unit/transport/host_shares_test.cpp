// Which share of the buffer pools a host address has.
#include "transport/rdma/host_shares.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace nvmf::rdma {
namespace {

std::string address(unsigned number) { return "192.0.2." + std::to_string(number); }

TEST_CASE("each address has a share of its own, for all of its connections and as long as it has any") {
  HostShares shares;
  const uint16_t first = shares.take(address(1));
  const uint16_t second = shares.take(address(2));
  CHECK(first != second);
  CHECK(shares.take(address(1)) == first);
  shares.give_back(address(1));
  CHECK(shares.take(address(3)) != first);
  shares.give_back(address(1));
  CHECK(shares.take(address(4)) == first);
}

TEST_CASE("more addresses than there are shares use them together, evenly") {
  HostShares shares;
  std::multiset<uint16_t> taken;
  for (unsigned i = 0; i < 3 * core::limits::kBufferShares; ++i) taken.insert(shares.take(address(i)));
  CHECK(*taken.rbegin() == core::limits::kBufferShares - 1);
  for (uint16_t share = 0; share < core::limits::kBufferShares; ++share) CHECK(taken.count(share) == 3);
}

}  // namespace
}  // namespace nvmf::rdma
