// The last events of a Fabric, for whoever looks for the cause of a failure: what happens now and then, and apart from
// it what happens all the time, which would push the former out.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace nvmf::rnic {

class Story {
 public:
  // `format` takes two unsigned long long, and outlives this.
  void note(uint64_t at_ns, const char* format, uint64_t a, uint64_t b) {
    events_.add({told_++, at_ns, format, a, b, {}});
  }
  void note(uint64_t at_ns, std::string text) { events_.add({told_++, at_ns, nullptr, 0, 0, std::move(text)}); }
  void note_routine(uint64_t at_ns, const char* format, uint64_t a, uint64_t b) {
    routine_.add({told_++, at_ns, format, a, b, {}});
  }

  // A line for each, in their order.
  std::string text() const;

 private:
  struct Note {
    uint64_t number = 0;
    uint64_t at_ns = 0;
    const char* format = nullptr;  // null: `text`
    uint64_t a = 0;
    uint64_t b = 0;
    std::string text{};
  };
  template <size_t N>
  struct Last {
    std::array<Note, N> notes{};
    uint64_t count = 0;
    void add(Note&& note) { notes[count++ % N] = std::move(note); }
    // Of the oldest one that is kept.
    uint64_t first() const { return count > N ? count - N : 0; }
    const Note& at(uint64_t index) const { return notes[index % N]; }
  };

  static std::string line_of(const Note& note);

  Last<256> events_;
  Last<128> routine_;
  uint64_t told_ = 0;
};

}  // namespace nvmf::rnic
