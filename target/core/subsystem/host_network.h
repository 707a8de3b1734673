// Who makes room for hosts that come, when strangers hold what hosts need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace nvmf::core {

// Of an IPv6 address, with brackets or without, the first 64 bits: a single host may have as many addresses there as it
// likes. Of any other the address itself.
//
// Hosts of one rack are in one such network, too. So what a network has decides only who makes room, and whose turn it
// is; what is refused to a host, and for how long, is decided by its whole address: nobody is locked out for a
// neighbour.
std::string network_of(const std::string& address);

// Something that a host holds and others need.
struct RoomHolder {
  std::string address;
  int64_t since;  // ascending with time
};
struct RoomMaker {
  size_t index;       // of the holders
  size_t of_address;  // so many are held by its address
  size_t of_network;  // and by its network
};
// The oldest of the address that has most, in the network that has most: no address and no network can have what others
// hold ended by holding more. None: there are no holders.
std::optional<RoomMaker> who_makes_room(std::span<const RoomHolder> holders);

// Whether it has several of what it makes room with, as a newcomer sees it: for a host of another network its network
// has, for a neighbour its address. An only one may be an honest host's.
bool has_several(const RoomMaker& maker, const std::string& address, const std::string& newcomer);

}  // namespace nvmf::core
