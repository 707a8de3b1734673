#include "target/core/subsystem/host_network.h"

#include <doctest/doctest.h>

#include <vector>

namespace nvmf::core {
namespace {

TEST_CASE("the network of an address") {
  CHECK(network_of("192.0.2.7") == "192.0.2.7");
  CHECK(network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(network_of("[2001:db8:1:2::7]") == "2001:db8:1:2::/64");
  CHECK(network_of("[2001:db8:1:3::7]") == "2001:db8:1:3::/64");
  CHECK(network_of("::ffff:192.0.2.7") == "::ffff:192.0.2.7");
  CHECK(network_of("?") == "?");
}

size_t index_of(const std::vector<RoomHolder>& holders) { return who_makes_room(holders)->index; }

TEST_CASE("the oldest of the address that has most makes room") {
  CHECK(!who_makes_room({}));
  const std::vector<RoomHolder> holders = {{"192.0.2.7", 1}, {"192.0.2.8", 4}, {"192.0.2.8", 2}, {"192.0.2.9", 3}};
  const RoomMaker maker = *who_makes_room(holders);
  CHECK(maker.index == 2);
  CHECK(maker.of_address == 2);
  CHECK(maker.of_network == 2);
}

TEST_CASE("of addresses with equally many, the oldest of all makes room") {
  CHECK(index_of({{"192.0.2.9", 5}, {"192.0.2.7", 2}, {"192.0.2.8", 3}}) == 1);
}

TEST_CASE("addresses of one IPv6 network count together, and in it the address that has most makes room") {
  std::vector<RoomHolder> holders = {
      {"2001:db8::9", 1}, {"2001:db8:0:1::1", 2}, {"2001:db8:0:1::2", 3}, {"2001:db8::9", 4}, {"2001:db8:0:1::2", 5}};
  const RoomMaker maker = *who_makes_room(holders);
  CHECK(maker.index == 2);
  CHECK(maker.of_address == 2);
  CHECK(maker.of_network == 3);
  // One address with as many as two neighbours together: the oldest of all.
  holders.push_back({"2001:db8::9", 6});
  CHECK(index_of(holders) == 0);
}

}  // namespace
}  // namespace nvmf::core
