#include "p2p/cmb.h"

#include <doctest/doctest.h>

#include "machine.h"

namespace nvmf::p2p::test {
namespace {

constexpr const char* kSsd = "0000:00:06.0";

// What map_cmb() says when it fails.
std::string refusal(const Machine& machine, size_t length_bytes = 0) {
  try {
    map_cmb(machine.sysfs(), kSsd, length_bytes);
  } catch (const PeerMemoryError& failure) {
    return failure.what();
  }
  return {};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A file of the CMB's size stands for it: it can be mapped as well.
void build_ssd(Machine& machine) {
  machine.ssd(0, "pci0000:00", kSsd);
  machine.cmb(0, kSsd, 1 << 20);
  machine.file(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem/allocate", std::string(1 << 20, '\0'));
}

TEST_CASE("all that is available is mapped, or what was asked for in whole pages") {
  Machine machine;
  build_ssd(machine);
  CHECK(map_cmb(machine.sysfs(), kSsd).length_bytes() == 1 << 20);
  CHECK(map_cmb(machine.sysfs(), kSsd, 5000).length_bytes() == 8192);
}

TEST_CASE("a mapping moves with its memory") {
  Machine machine;
  build_ssd(machine);
  CmbMapping first = map_cmb(machine.sysfs(), kSsd, 4096);
  std::byte* address = first.address();
  CmbMapping second = std::move(first);
  CHECK(second.address() == address);
  CHECK(second.bdf() == kSsd);
  second = map_cmb(machine.sysfs(), kSsd, 8192);
  CHECK(second.length_bytes() == 8192);
}

TEST_CASE("refusals name the SSD, the reason and the remedy") {
  Machine machine;
  SUBCASE("no CMB") {
    machine.ssd(0, "pci0000:00", kSsd);
    CHECK(has(refusal(machine), "the SSD has none"));
  }
  SUBCASE("a kernel that does not lend it") {
    build_ssd(machine);
    machine.kernel("6.1.0-28-amd64");
    machine.remove(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem/allocate");
    CHECK(has(refusal(machine), "6.1.0-28-amd64"));
    CHECK(has(refusal(machine), "Linux 6.2"));
  }
  SUBCASE("all of it taken") {
    build_ssd(machine);
    machine.file(std::string("/sys/bus/pci/devices/") + kSsd + "/p2pmem/available", "0\n");
    CHECK(has(refusal(machine), "no memory is free"));
  }
  CHECK(has(refusal(machine), kSsd));
}

TEST_CASE("peer memory that is not there reads as none") {
  Machine machine;
  machine.ssd(0, "pci0000:00", kSsd);
  CHECK_FALSE(read_peer_memory(machine.sysfs(), kSsd));
}

}  // namespace
}  // namespace nvmf::p2p::test
