// The addresses that a port on all addresses stands for.
#include "target/daemon/wildcard_ports.h"

#include <doctest/doctest.h>

#include <string>

namespace nvmf::daemon {
namespace {

using Addresses = std::vector<std::string>;

const std::vector<InterfaceAddress> kMachine = {{"127.0.0.1", "lo"},    {"::1", "lo"},         {"192.0.2.1", "eth0"},
                                                {"192.0.2.2", "eth1"},  {"192.0.2.2", "eth2"}, {"fe80::1", "eth0"},
                                                {"2001:db8::1", "eth0"}};

Addresses meant_by(const core::Port& port, const std::vector<core::Port>& ports = {}) {
  Addresses addresses;
  for (const core::Port& one : ports_meant(port, ports, kMachine)) {
    CHECK(one.id == port.id);
    CHECK(one.service == port.service);
    CHECK_FALSE(one.wildcard);
    addresses.push_back(one.address);
  }
  return addresses;
}

TEST_CASE("a wildcard is every address of its family by which hosts can come; any other port is itself") {
  CHECK(meant_by({.id = 1, .address = "0.0.0.0", .service = 4420, .wildcard = true}) ==
        Addresses{"192.0.2.1", "192.0.2.2"});
  CHECK(meant_by({.id = 1, .address = "::", .service = 4420, .ipv6 = true, .wildcard = true}) ==
        Addresses{"2001:db8::1"});
  CHECK(meant_by({.id = 1, .address = "192.0.2.77", .service = 4420}) == Addresses{"192.0.2.77"});
}

TEST_CASE("a port on one address has the address for itself, where it has the same service") {
  const core::Port wildcard{.id = 1, .address = "0.0.0.0", .service = 4420, .wildcard = true};
  CHECK(meant_by(wildcard, {wildcard, {.id = 2, .address = "192.0.2.1", .service = 4420}}) == Addresses{"192.0.2.2"});
  CHECK(meant_by(wildcard, {wildcard, {.id = 2, .address = "192.0.2.1", .service = 4421}}) ==
        Addresses{"192.0.2.1", "192.0.2.2"});
}

}  // namespace
}  // namespace nvmf::daemon
