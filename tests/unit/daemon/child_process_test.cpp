// Another program is run to its end, and what it says is all read.
#include "target/daemon/child_process.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <system_error>

namespace nvmf::daemon {
namespace {

constexpr std::chrono::seconds kPatience{60};

ChildEnd shell(const std::string& script, std::chrono::milliseconds timeout = kPatience) {
  return run_program({"/bin/sh", "-c", script}, timeout);
}

TEST_CASE("what it says on both streams, and how it ends") {
  const ChildEnd end = shell("echo yes; echo no >&2; exit 3");
  CHECK(end.output == "yes\n");
  CHECK(end.errors == "no\n");
  CHECK(end.exit_status == 3);
  CHECK(shell("kill -9 $$").exit_status == 128 + SIGKILL);
}

TEST_CASE("it has no input, and no descriptor of this process") {
  const int open = dup(STDERR_FILENO);
  const ChildEnd end = shell("cat; exec ls /proc/self/fd");
  close(open);
  CHECK(end.output == "0\n1\n2\n3\n");  // the fourth is the directory
}

TEST_CASE("it can be stopped by signals that this process ignores") {
  const auto before = std::signal(SIGTERM, SIG_IGN);
  CHECK(shell("kill -TERM $$; exit 0").exit_status == 128 + SIGTERM);
  std::signal(SIGTERM, before);
}

TEST_CASE("of one that says too much the beginning is kept") {
  const ChildEnd end = shell("head -c 3000000 /dev/zero; echo end >&2");
  CHECK(end.output.size() == kMostOutputBytes);
  CHECK(end.errors == "end\n");
}

TEST_CASE("one that does not end is ended") {
  CHECK_THROWS_AS(shell("exec sleep 1000", std::chrono::milliseconds(100)), std::runtime_error);
}

TEST_CASE("one that is not there") {
  CHECK_THROWS_AS(run_program({"/nowhere/nvmf-p2p"}, kPatience), std::system_error);
}

}  // namespace
}  // namespace nvmf::daemon
