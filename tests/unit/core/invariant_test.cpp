#include "target/core/reactor/invariant.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace {

struct End {
  int status;
  std::string said;  // on standard error
};

// Runs `code` in a process of its own. (fork(): the tests have no other thread at this point.)
template <class Code>
End end_of(Code code) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);  // doctest's handler would report the child's end as the test's
    dup2(ends[1], STDERR_FILENO);
    code();
    _exit(0);
  }
  close(ends[1]);
  End end{0, {}};
  char piece[256];
  for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) > 0;) end.said.append(piece, static_cast<size_t>(got));
  close(ends[0]);
  REQUIRE(waitpid(child, &end.status, 0) == child);
  return end;
}

}  // namespace

TEST_CASE("A broken invariant aborts, and says its expression, file and line") {
  int line = 0;
  const int credits = 0;
  line = __LINE__ + 1;
  const End end = end_of([&] { NVMF_INVARIANT(credits > 0); });
  CHECK(WIFSIGNALED(end.status));
  CHECK(WTERMSIG(end.status) == SIGABRT);
  CHECK(end.said.find("credits > 0") != std::string::npos);
  CHECK(end.said.find("invariant_test.cpp:" + std::to_string(line)) != std::string::npos);
}

TEST_CASE("An invariant that holds costs nothing but its look: once") {
  int looks = 0;
  NVMF_INVARIANT(++looks == 1);
  CHECK(looks == 1);
}
