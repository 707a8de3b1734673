#include "target/daemon/device_looks.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <utility>

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;
using WeakDevice = std::weak_ptr<backend::Device>;

// Of one that has been destroyed, too: another one at its address is not the same.
bool is_same(const WeakDevice& a, const WeakDevice& b) { return !a.owner_before(b) && !b.owner_before(a); }

}  // namespace

// Its thread writes the result, then is_over.
struct DeviceLooks::Look {
  WeakDevice device;
  backend::Measurement result{};
  std::atomic<bool> is_over = false;
};

bool DeviceLooks::is_asked(const WeakDevice& device) {
  const auto found = std::ranges::find_if(late_, [&](const auto& look) { return is_same(look->device, device); });
  if (found == late_.end()) return false;
  if (!(*found)->is_over) return true;
  const std::shared_ptr<Look> look = std::move(*found);
  late_.erase(found);
  if (const std::shared_ptr<backend::Device> measured = device.lock()) measured->take(look->result);
  return false;
}

// The last to let go of a device closes it, which may block, too: so this one lets go of it on its thread.
boost::asio::awaitable<void> DeviceLooks::ask(WeakDevice device, milliseconds patience) {
  const auto look = std::make_shared<Look>();
  look->device = device;
  std::function<void()> work = [look, asked = device.lock()]() mutable {
    if (asked) look->result = asked->measure();
    asked.reset();
    look->is_over = true;
  };
  late_.push_back(look);
  try {
    co_await work_.run(std::move(work), patience);
  } catch (const std::exception&) {  // no thread is to be had: the next look asks it again
    std::erase(late_, look);
  }
  is_asked(device);
}

boost::asio::awaitable<void> DeviceLooks::measure(std::vector<WeakDevice> devices) {
  using Clock = std::chrono::steady_clock;
  std::erase_if(late_, [](const auto& look) { return look->is_over && look->device.expired(); });
  const Clock::time_point end = Clock::now() + patience_;
  for (const WeakDevice& device : devices) {
    if (is_asked(device)) continue;
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
    co_await ask(device, std::max(left, milliseconds(0)));
  }
}

}  // namespace nvmf::daemon
