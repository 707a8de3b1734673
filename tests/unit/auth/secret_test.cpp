#include "target/auth/secret.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace nvmf::auth {
namespace {

// The flags (VmFlags) of the mapping of this process that has the address: proc(5), smaps.
std::string flags_of(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto wanted = reinterpret_cast<uintptr_t>(address);
      inside = begin <= wanted && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line;
    }
  }
  return {};
}

TEST_CASE("a secret is in no core dump and in no child process") {
  const Secret secret(std::vector<uint8_t>{1, 2, 3});
  const std::string flags = flags_of(secret.bytes().data());
  CHECK_MESSAGE(flags.find(" dd") != std::string::npos, flags);  // MADV_DONTDUMP
  CHECK_MESSAGE(flags.find(" wf") != std::string::npos, flags);  // MADV_WIPEONFORK
}

TEST_CASE("what is cut off a secret is wiped") {
  Secret secret(std::vector<uint8_t>{1, 2, 3, 4});
  const uint8_t* const bytes = secret.bytes().data();
  secret.shrink(2);
  CHECK(secret.size() == 2);
  CHECK(bytes[1] == 2);
  CHECK(bytes[2] == 0);
  CHECK(bytes[3] == 0);
}

TEST_CASE("a secret moves") {
  Secret secret(std::vector<uint8_t>{7, 8});
  Secret moved(std::move(secret));
  Secret other(std::vector<uint8_t>{1});
  other = std::move(moved);
  REQUIRE(other.size() == 2);
  CHECK(other.bytes()[1] == 8);
}

}  // namespace
}  // namespace nvmf::auth
