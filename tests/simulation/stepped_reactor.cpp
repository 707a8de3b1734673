#include "tests/simulation/stepped_reactor.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace nvmf::simulation {

unsigned SteppedEngine::poll() {
  Fiber::yield();
  const std::vector<Ready> ready = std::exchange(completions_, {});
  for (const Ready& one : ready) one.done(one.context);
  const bool has_deferred = memory_ != nullptr && memory_->has_deferred();
  const auto ended = static_cast<unsigned>(ready.size()) + (has_deferred ? memory_->poll() : 0);
  idle_polls_ = ended == 0 ? idle_polls_ + 1 : 0;
  return ended;
}

void SteppedEngine::watch(int fd, void (*on_record)(void* context, uint64_t record), void* context) {
  watches_.push_back({fd, on_record, nullptr, context});
}

void SteppedEngine::watch_readable(int fd, bool (*on_readable)(void* context), void* context) {
  watches_.push_back({fd, nullptr, on_readable, context});
}

void SteppedEngine::unwatch(int fd) {
  std::erase_if(watches_, [fd](const Watch& watch) { return watch.fd == fd; });
}

void SteppedEngine::sleep(std::optional<uint32_t> timeout_us) {
  if (memory_ != nullptr && memory_->has_deferred()) {
    poll();
    return;
  }
  sleeping_ = true;
  wake_at_ns_.reset();
  if (timeout_us) wake_at_ns_ = schedule_.now_ns() + uint64_t{*timeout_us} * 1000;
  Fiber::yield();
  sleeping_ = false;
  const std::vector<Ready> ready = std::exchange(completions_, {});
  for (const Ready& one : ready) one.done(one.context);
  serve_watches();
}

bool SteppedEngine::is_awake() const {
  if (!sleeping_ || !completions_.empty() || (wake_at_ns_ && *wake_at_ns_ <= schedule_.now_ns())) return true;
  std::vector<pollfd> waited;
  for (const Watch& watch : watches_) waited.push_back({watch.fd, POLLIN, 0});
  ::poll(waited.data(), waited.size(), 0);
  return std::ranges::any_of(waited, [](const pollfd& one) { return (one.revents & POLLIN) != 0; });
}

// A record of each, or the word that there is something.
void SteppedEngine::serve_watches() {
  const std::vector<Watch> watches = watches_;
  for (const Watch& watch : watches) {
    pollfd waited{watch.fd, POLLIN, 0};
    uint64_t record = 0;
    if (::poll(&waited, 1, 0) != 1 || (waited.revents & POLLIN) == 0) continue;
    if (watch.on_readable)
      serve_readable(watch);
    else if (read(watch.fd, &record, sizeof record) == sizeof record)
      watch.on_record(watch.context, record);
  }
}

// A real engine would not call again for what is left.
void SteppedEngine::serve_readable(const Watch& watch) {
  const bool is_dead = !watch.on_readable(watch.context);
  pollfd waited{watch.fd, POLLIN, 0};
  if (is_dead)
    unwatch(watch.fd);
  else if (::poll(&waited, 1, 0) == 1 && (waited.revents & POLLIN) != 0)
    throw std::logic_error("a poller has left an event on its descriptor");
}

}  // namespace nvmf::simulation
