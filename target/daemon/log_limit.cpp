#include "target/daemon/log_limit.h"

#include <algorithm>
#include <string_view>

namespace nvmf::daemon {
namespace {

// "192.0.2.7:41512" or "[fd00::1]:41512", a peer's address.
bool is_address(std::string_view word) {
  constexpr std::string_view kCharacters = "0123456789abcdefABCDEF.:[]";
  return word.find_first_not_of(kCharacters) == std::string_view::npos && word.find(':') != std::string_view::npos &&
         word.find_first_of(".[") != std::string_view::npos;
}

// Each run of digits as one «#»: numbers of queues, controllers, reason codes.
std::string without_numbers(std::string_view word) {
  std::string rest;
  for (const char c : word) {
    if (c < '0' || c > '9')
      rest += c;
    else if (!rest.ends_with('#'))
      rest += '#';
  }
  return rest;
}

// The message without what a host can choose: its port, its NQN and the subsystem that it asks for (each is one word,
// core::shown()), numbers. Other messages, which have no peer's address, are kinds of their own.
std::string kind_of(std::string_view message) {
  std::string kind;
  std::string_view before;
  bool is_of_host = false;
  for (std::string_view rest = message; !rest.empty();) {
    const size_t length = std::max<size_t>(1, std::min(rest.find_first_of(" (),"), rest.size()));
    const std::string_view word = rest.substr(0, length);
    rest.remove_prefix(length);
    const std::string_view address = word.ends_with(':') ? word.substr(0, word.size() - 1) : word;
    if (is_address(address)) {
      is_of_host = true;
      kind += address.substr(0, address.rfind(':'));
    } else if (before == "host" || before == "subsystem") {
      kind += '*';
    } else {
      kind += without_numbers(word);
    }
    if (word.find_first_of(" (),") == std::string_view::npos) before = word;
  }
  return is_of_host ? kind : std::string(message);
}

}  // namespace

void LogLimit::add(const core::Event& event, Clock::time_point now) {
  if (!limits(event)) return write_(event);
  std::string name = kind_of(event.message);
  if (kinds_.size() >= kMaxKinds && !kinds_.contains(name)) name.clear();
  const auto [place, fresh] = kinds_.try_emplace(std::move(name));
  Kind& kind = place->second;
  if (fresh) {
    kind.due = now + kPeriod;
    return write_(event);
  }
  kind.last = event;
  ++kind.held_back;
}

std::optional<LogLimit::Clock::time_point> LogLimit::flush(Clock::time_point now) {
  std::optional<Clock::time_point> next;
  for (auto place = kinds_.begin(); place != kinds_.end();) {
    Kind& kind = place->second;
    if (kind.due <= now && kind.held_back == 0) {
      place = kinds_.erase(place);
      continue;
    }
    if (kind.due <= now) {
      const std::string count = " (and " + std::to_string(kind.held_back - 1) + " more like this)";
      if (kind.held_back > 1) kind.last.message += count;
      write_(kind.last);
      kind.held_back = 0;
      kind.due = now + kPeriod;
    }
    next = next ? std::min(*next, kind.due) : kind.due;
    ++place;
  }
  return next;
}

}  // namespace nvmf::daemon
