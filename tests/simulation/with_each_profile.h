// For cases that each provider family of the model RNIC goes through, with a few seeds.
#pragma once

#include <doctest/doctest.h>

#include "tests/simulation/host.h"

namespace nvmf::simulation {

template <class Test>
void with_each_profile(Test test) {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    for (const uint64_t seed : {1u, 2u, 3u}) {
      CAPTURE(profile.name);
      CAPTURE(seed);
      WorldOptions options;
      options.seed = seed;
      options.profile = profile;
      World world(options);
      test(world, HostOptions{});
      CHECK(world.fabric.faults() == std::vector<std::string>{});
    }
  }
}

inline Bytes pattern(size_t bytes, unsigned seed) {
  Bytes data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>((i * 13 + seed + (i >> 8)) & 0xff);
  return data;
}

}  // namespace nvmf::simulation
