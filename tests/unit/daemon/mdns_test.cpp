// What is announced by multicast DNS: TP8009.
#include "target/daemon/mdns.h"

#include <doctest/doctest.h>

namespace nvmf::daemon {
namespace {

TEST_CASE("each port is announced with its service number, the protocol and the NQN of the discovery service") {
  const auto services = mdns_services({{.id = 1, .address = "192.0.2.1", .service = 4420},
                                       {.id = 65535, .address = "2001:db8::1", .service = 8009, .ipv6 = true}},
                                      "nqn.2024-01.org.example:discovery", "target");
  REQUIRE(services.size() == 2);
  CHECK(std::string(MdnsService::kType) == "_nvme-disc._tcp");
  CHECK(services[0].name == "NVMe discovery target port 1");
  CHECK(services[0].address == "192.0.2.1");
  CHECK_FALSE(services[0].ipv6);
  CHECK(services[0].service == 4420);
  CHECK(services[0].text == std::vector<std::string>{"p=rdma", "NQN=nqn.2024-01.org.example:discovery"});
  CHECK(services[1].name == "NVMe discovery target port 65535");
  CHECK(services[1].ipv6);
  CHECK(services[1].service == 8009);
}

TEST_CASE("a port on all addresses is announced with each address by which hosts reach it") {
  const core::Port port{
      .id = 3, .address = "0.0.0.0", .service = 4420, .wildcard = true, .heard = {"192.0.2.1", "192.0.2.2"}};
  const auto services = mdns_services({port}, "nqn", "target");
  REQUIRE(services.size() == 2);
  CHECK(services[0].name == "NVMe discovery target port 3 192.0.2.1");
  CHECK(services[0].address == "192.0.2.1");
  CHECK(services[1].name == "NVMe discovery target port 3 192.0.2.2");
  CHECK(services[1].address == "192.0.2.2");
}

TEST_CASE("a long host name: the instance's name is one DNS label, and still the port's own") {
  const auto services =
      mdns_services({{.id = 12, .address = "192.0.2.1", .service = 4420}}, "nqn", std::string(64, 'h'));
  CHECK(services[0].name.size() == 63);
  CHECK(services[0].name.ends_with("h port 12"));
}

}  // namespace
}  // namespace nvmf::daemon
