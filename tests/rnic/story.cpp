#include "tests/rnic/story.h"

#include <cstdio>

namespace nvmf::rnic {

std::string Story::line_of(const Note& note) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, "%14.3f us  ", static_cast<double>(note.at_ns) / 1000);
  std::string line = buffer;
  if (note.format == nullptr) return line + note.text + '\n';
  std::snprintf(buffer, sizeof buffer, note.format, static_cast<unsigned long long>(note.a),
                static_cast<unsigned long long>(note.b));
  return line + buffer + '\n';
}

std::string Story::text() const {
  std::string text;
  uint64_t event = events_.first();
  uint64_t routine = routine_.first();
  while (event != events_.count || routine != routine_.count) {
    const bool is_event =
        routine == routine_.count || (event != events_.count && events_.at(event).number < routine_.at(routine).number);
    text += line_of(is_event ? events_.at(event++) : routine_.at(routine++));
  }
  return text;
}

}  // namespace nvmf::rnic
