// Watches device nodes and files appear and disappear, with inotify on their directories: no polling. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nvmf::daemon {

class DeviceWatch {
 public:
  // `changed`: one of the paths appeared or disappeared, or its permissions changed, or there are other paths to watch,
  // whose state nobody has looked at since; called once for several of these within a moment. Throws std::system_error
  // when the kernel gives no inotify descriptor.
  DeviceWatch(boost::asio::io_context& io, std::function<void()> changed);
  DeviceWatch(const DeviceWatch&) = delete;
  DeviceWatch& operator=(const DeviceWatch&) = delete;

  // The paths to watch from now on, absolute; a `*` at the end stands for the rest of any name. Their directories need
  // not exist.
  void watch(const std::vector<std::string>& paths);

 private:
  // The names to look for in a directory: the next part of each path through it.
  using Names = std::set<std::string>;

  void watch_again();
  void add(const std::filesystem::path& path);
  void await_events();
  void report_soon();
  bool read_events();

  boost::asio::posix::stream_descriptor inotify_;
  boost::asio::steady_timer settled_;
  std::function<void()> changed_;
  std::vector<std::string> paths_;
  std::map<int, Names> names_by_watch_;
  std::optional<boost::asio::steady_timer::time_point> unreported_since_;  // a change
  bool no_watch_is_told_ = false;                                          // that the kernel gives no more watches
};

}  // namespace nvmf::daemon
