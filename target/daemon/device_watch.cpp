#include "target/daemon/device_watch.h"

#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

namespace nvmf::daemon {
namespace {

// udev sets owner and links of a new node after the kernel has created it.
constexpr std::chrono::milliseconds kSettleTime{300};
// However many more changes come.
constexpr std::chrono::milliseconds kLongestSettleTime{2000};
// The directory itself has another name, or none.
constexpr uint32_t kItself = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | kItself;

int open_inotify() {
  const int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0)
    throw std::system_error(errno, std::generic_category(),
                            "cannot watch for devices: raise the sysctl fs.inotify.max_user_instances");
  return descriptor;
}

bool is_watched(const std::set<std::string>& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const std::string& one) {
    return one.ends_with('*') ? name.starts_with(std::string_view(one).substr(0, one.size() - 1)) : name == one;
  });
}

}  // namespace

DeviceWatch::DeviceWatch(boost::asio::io_context& io, std::function<void()> changed)
    : inotify_(io, open_inotify()), settled_(io), changed_(std::move(changed)) {
  await_events();
}

// Nobody has heard of what happened to other paths until now.
void DeviceWatch::watch(const std::vector<std::string>& paths) {
  const bool are_others = paths_ != paths;
  paths_ = paths;
  watch_again();
  if (are_others) report_soon();
}

// Directories may have appeared and disappeared, too. What is watched on stays watched, and loses no event.
void DeviceWatch::watch_again() {
  const std::map<int, Names> former = std::exchange(names_by_watch_, {});
  for (const std::string& path : paths_) {
    add(path);
    // A link (/dev/disk/by-id/...) remains without its device when no udev removes it.
    std::error_code no_link;
    const std::filesystem::path named = std::filesystem::read_symlink(path, no_link);
    if (!no_link) add((std::filesystem::path(path).parent_path() / named).lexically_normal());
  }
  for (const auto& [watch, names] : former)
    if (!names_by_watch_.contains(watch)) inotify_rm_watch(inotify_.native_handle(), watch);
}

// Watches the path's directory, or the nearest existing one above.
void DeviceWatch::add(const std::filesystem::path& path) {
  for (std::filesystem::path there = path; there.has_relative_path(); there = there.parent_path()) {
    const int watch = inotify_add_watch(inotify_.native_handle(), there.parent_path().c_str(), kEvents | IN_ONLYDIR);
    if (watch >= 0) {
      names_by_watch_[watch].insert(there.filename());
      return;
    }
    if (errno == ENOSPC && !std::exchange(no_watch_is_told_, true))
      spdlog::warn(
          "cannot watch {} for devices that come and go: raise the sysctl fs.inotify.max_user_watches, and reload",
          there.parent_path().string());
  }
}

void DeviceWatch::await_events() {
  inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    if (read_events()) report_soon();
    await_events();
  });
}

void DeviceWatch::report_soon() {
  const auto now = boost::asio::steady_timer::clock_type::now();
  if (!unreported_since_) unreported_since_ = now;
  settled_.expires_at(std::min(now + kSettleTime, *unreported_since_ + kLongestSettleTime));
  settled_.async_wait([this](const boost::system::error_code& sooner_than_that) {
    if (sooner_than_that) return;
    unreported_since_.reset();
    watch_again();
    changed_();
  });
}

// Whether one of the events concerns a watched path.
bool DeviceWatch::read_events() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  bool ours = false;
  ssize_t length = 0;
  while ((length = read(inotify_.native_handle(), buffer.data(), buffer.size())) > 0) {
    for (const char* place = buffer.data(); place < buffer.data() + length;) {
      inotify_event event;
      std::memcpy(&event, place, sizeof event);
      const std::string name = event.len > 0 ? place + sizeof event : "";
      const auto found = names_by_watch_.find(event.wd);
      const bool lost = (event.mask & (kItself | IN_Q_OVERFLOW)) != 0;
      ours |= lost || (found != names_by_watch_.end() && is_watched(found->second, name));
      place += sizeof event + event.len;
    }
  }
  return ours;
}

}  // namespace nvmf::daemon
