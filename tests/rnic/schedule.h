// Virtual time, chance, and what is to happen when: all from one seed, so that the same seed gives the same run. One
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace nvmf::rnic {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t bound) { return next() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  uint64_t state_;
};

// A member of whoever schedules something for itself: when the owner is destroyed, what was to happen does not.
class Life {
 public:
  Life() = default;
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;
  std::weak_ptr<void> watch() const { return token_; }

 private:
  std::shared_ptr<void> token_ = std::make_shared<char>();
};

class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed) {}

  Random& random() { return random_; }
  uint64_t now_ns() const { return now_ns_; }
  // About `typical_ns`; one in eight takes up to ten times as long, one in a hundred up to a hundred times. Every fifth
  // ends together with others, in a burst.
  uint64_t delay_ns(uint64_t typical_ns);

  void after(uint64_t delay_ns, const Life& owner, std::function<void()> happens);
  // When the next thing happens; none when nothing is to happen.
  std::optional<uint64_t> next_ns() const;
  // Moves the clock to the next thing and lets it happen; false when there is none.
  bool step();
  // Lets everything happen that is due within `ns` from now, and moves the clock on by that.
  void advance(uint64_t ns);

 private:
  struct Entry {
    uint64_t at_ns;
    uint64_t number;  // of two at the same time the one that was scheduled first happens first
    std::weak_ptr<void> owner;
    std::function<void()> happens;
  };
  static bool later(const Entry& a, const Entry& b) {
    return std::pair(a.at_ns, a.number) > std::pair(b.at_ns, b.number);
  }

  Random random_;
  uint64_t now_ns_ = 1'000'000'000;
  uint64_t scheduled_ = 0;
  std::vector<Entry> entries_;  // a heap, the next one first
};

}  // namespace nvmf::rnic
