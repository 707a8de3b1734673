// A seed that fails is of use when it fails again.
#include "tests/simulation/simulation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <vector>

namespace nvmf::simulation {
namespace {

// Leaves holes of many sizes: the next objects do not lie in the order in which they are made.
class ShuffledMemory {
 public:
  explicit ShuffledMemory(unsigned seed) {
    constexpr size_t kPieces = 20'000;
    std::mt19937 random(seed);
    while (pieces_.size() < kPieces) pieces_.push_back(std::make_unique<std::byte[]>(16 + random() % 4096));
    std::ranges::shuffle(pieces_, random);
    pieces_.resize(kPieces / 2);
  }

 private:
  std::vector<std::unique_ptr<std::byte[]>> pieces_;
};

TEST_CASE("a seed tells the same story each time, wherever its objects lie in memory") {
  for (const uint64_t seed : {19, 20, 30, 40}) {
    CAPTURE(seed);
    const Outcome first = simulate(seed);
    CAPTURE(first.what);
    CHECK(first.faults == std::vector<std::string>{});
    for (const unsigned order : {1u, 2u}) {
      const ShuffledMemory shuffled(order);
      const Outcome again = simulate(seed);
      CHECK(again.commands == first.commands);
      CHECK(again.story == first.story);
    }
  }
}

}  // namespace
}  // namespace nvmf::simulation
