#include "target/daemon/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include "target/backend/descriptor.h"

namespace nvmf::daemon {
namespace {

using backend::Descriptor;
using Clock = std::chrono::steady_clock;

struct Pipe {
  Descriptor from;
  Descriptor to;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// What posix_spawn(3) is to do in the child.
class Preparation {
 public:
  Preparation(int output, int errors) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~Preparation() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// Ended by force, unless somebody has waited for its end.
class Child {
 public:
  Child(const std::vector<std::string>& command, const Preparation& preparation) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const int error = posix_spawn(&id_, arguments.front(), preparation.actions(), preparation.attributes(),
                                  arguments.data(), environ);
    if (error != 0) throw std::system_error(error, std::generic_category(), "cannot start " + command.front());
  }
  ~Child() {
    if (ended_) return;
    kill(id_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int wait() {
    int status = 0;
    while (waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t id_ = 0;
  bool ended_ = false;
};

// False at the end.
bool read_some(int descriptor, std::string& text) {
  std::array<char, 4096> piece{};
  const ssize_t count = read(descriptor, piece.data(), piece.size());
  if (count < 0) return errno == EINTR;
  const size_t room = kMostOutputBytes - std::min(kMostOutputBytes, text.size());
  text.append(piece.data(), std::min(static_cast<size_t>(count), room));
  return count != 0;
}

// Until both ends are closed. False: `deadline` comes first.
bool read_both(const Descriptor& output, const Descriptor& errors, Clock::time_point deadline, ChildEnd& end) {
  std::array<pollfd, 2> ends{{{output.get(), POLLIN, 0}, {errors.get(), POLLIN, 0}}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    if (poll(ends.data(), ends.size(), static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (ends[0].revents != 0 && !read_some(ends[0].fd, end.output)) ends[0].fd = -1;
    if (ends[1].revents != 0 && !read_some(ends[1].fd, end.errors)) ends[1].fd = -1;
  }
  return true;
}

}  // namespace

ChildEnd run_program(const std::vector<std::string>& command, std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  Pipe output = make_pipe();
  Pipe errors = make_pipe();
  Child child(command, Preparation(output.to.get(), errors.to.get()));
  output.to = {};
  errors.to = {};
  ChildEnd end;
  if (!read_both(output.from, errors.from, deadline, end))
    throw std::runtime_error(fmt::format("{} has not ended after {} ms", fmt::join(command, " "), timeout.count()));
  end.exit_status = child.wait();
  return end;
}

}  // namespace nvmf::daemon
