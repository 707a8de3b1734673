// For tests of what outlives the daemon: a directory of the test's own, and daemons that die at a chosen step.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "target/daemon/state_directory.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon::test {

class StateScratch : public Scratch {
 public:
  // Is not there yet. `before` as in replace_durably().
  StateDirectory state(DurableHook before = {}) const {
    return StateDirectory(path() + "/lib/state", std::move(before));
  }
};

constexpr int kFinished = 7;

// The exit status of a process that does `work`, kFinished where it came to the end; minus the signal that ended it.
template <typename Work>
int in_a_process(Work work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    work();
    _exit(kFinished);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// A process begins `save(hook)` again and again, and is killed before another step of it each time, until one comes
// through. `check(step, came_through)` looks at what it left. Returns how many steps there are.
template <typename Save, typename Check>
int kill_before_each_step(Save save, Check check) {
  for (int step = 0;; ++step) {
    CAPTURE(step);
    const int ended = in_a_process([&] {
      int countdown = step;
      save([&countdown](DurableStep) {
        if (countdown-- == 0) raise(SIGKILL);
      });
    });
    REQUIRE((ended == -SIGKILL || ended == kFinished));
    check(step, ended == kFinished);
    if (ended == kFinished) return step;
  }
}

// The same, but the step fails. `save` returns whether it succeeded; the last time it must.
template <typename Save, typename Check>
int fail_each_step(Save save, Check check) {
  for (int step = 0;; ++step) {
    CAPTURE(step);
    int countdown = step;
    const bool succeeded = save([&countdown](DurableStep) {
      if (countdown-- == 0) throw std::runtime_error("No space left on device");
    });
    CHECK(succeeded == (countdown >= 0));
    check(step, succeeded);
    if (countdown >= 0) return step;
  }
}

inline void replace_in(const std::string& path, const std::string& what, const std::string& by) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  std::string content = text.str();
  const size_t place = content.find(what);
  REQUIRE(place != std::string::npos);
  content.replace(place, what.size(), by);
  std::ofstream(path) << content;
}

}  // namespace nvmf::daemon::test
