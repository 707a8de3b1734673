#include "target/core/subsystem/host_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace nvmf::core {
namespace {

struct Group {
  size_t count = 0;
  const RoomHolder* oldest = nullptr;

  void add(const RoomHolder& holder) {
    ++count;
    if (oldest == nullptr || holder.since < oldest->since) oldest = &holder;
  }
};

// Of two with equal counts the older one has more.
bool has_less(const Group& a, const Group& b) {
  return a.count != b.count ? a.count < b.count : a.oldest->since > b.oldest->since;
}

struct Network : Group {
  std::map<std::string, Group> by_address;
};

}  // namespace

std::string network_of(const std::string& address) {
  const bool in_brackets = address.starts_with('[') && address.ends_with(']');
  const std::string plain = in_brackets ? address.substr(1, address.size() - 2) : address;
  in6_addr bits{};
  if (inet_pton(AF_INET6, plain.c_str(), &bits) != 1 || IN6_IS_ADDR_V4MAPPED(&bits)) return address;
  constexpr size_t kNetworkBytes = 8;
  std::fill(std::begin(bits.s6_addr) + kNetworkBytes, std::end(bits.s6_addr), uint8_t{0});
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, &bits, text, sizeof text);
  return std::string(text) + "/64";
}

std::optional<RoomMaker> who_makes_room(std::span<const RoomHolder> holders) {
  if (holders.empty()) return std::nullopt;
  std::map<std::string, Network> by_network;
  for (const RoomHolder& holder : holders) {
    Network& network = by_network[network_of(holder.address)];
    network.add(holder);
    network.by_address[holder.address].add(holder);
  }
  const auto of_entry = [](const auto& entry) -> const auto& { return entry.second; };
  const Network& network = std::ranges::max_element(by_network, has_less, of_entry)->second;
  const Group& address = std::ranges::max_element(network.by_address, has_less, of_entry)->second;
  return RoomMaker{.index = static_cast<size_t>(address.oldest - holders.data()),
                   .of_address = address.count,
                   .of_network = network.count};
}

bool has_several(const RoomMaker& maker, const std::string& address, const std::string& newcomer) {
  return (network_of(address) == network_of(newcomer) ? maker.of_address : maker.of_network) > 1;
}

}  // namespace nvmf::core
