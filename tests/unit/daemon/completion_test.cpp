// What stands for the word that is being typed, of all that the daemon has.
#include "target/daemon/cli/completion.h"

#include <doctest/doctest.h>

#include "target/daemon/admin_api.h"
#include "target/daemon/cli/commands.h"
#include "tests/unit/daemon/fake_daemon.h"
#include "tests/unit/daemon/http_fixture.h"

namespace nvmf::cli {
namespace {

using daemon::FakeDaemon;
using Words = std::vector<std::string>;

struct Shell {
  // The words, with the daemon's socket before the last one.
  Words completes(Words words) const {
    words.insert(words.end() - 1, {"--socket", served.path()});
    return complete(app, words);
  }

  FakeDaemon daemon;
  daemon::Served served{daemon::admin_routes(daemon)};
  CLI::App app;
  const Commands commands{app};
};

TEST_CASE("subsystems, namespaces and ports of the daemon") {
  const Shell shell;
  const std::string nqn = FakeDaemon::kNqn;
  CHECK(shell.completes({"remove", "namespace", ""}) == Words{nqn});
  CHECK(shell.completes({"remove", "namespace", "nqn.2026-01.io.example:d"}) == Words{nqn});
  CHECK(shell.completes({"remove", "namespace", "nqn.2027"}).empty());
  CHECK((shell.completes({"remove", "namespace", nqn, ""}) == Words{"1", "2"}));
  CHECK(shell.completes({"accept", nqn, "2"}) == Words{"2"});
  CHECK(shell.completes({"remove", "namespace", "nqn.other", ""}).empty());
  CHECK(shell.completes({"drain", ""}) == Words{"1"});
  CHECK(shell.completes({"set", "port", ""}) == Words{"1"});
  CHECK(shell.completes({"ana", nqn, "1", ""}) == Words{"1"});
  CHECK(shell.completes({"reservations", ""}) == Words{nqn});
  CHECK((shell.completes({"reservations", "clear", nqn, ""}) == Words{"1", "2"}));
  CHECK((shell.completes({"p2p", "--prove", ""}) == Words{"0000:3b:00.0", "all"}));
}

TEST_CASE("hosts: to be disconnected those that are connected, to be removed those that are allowed") {
  Shell shell;
  shell.daemon.host = "nqn.2014-08.org.nvmexpress:connected";
  const std::string nqn = FakeDaemon::kNqn;
  CHECK(shell.completes({"disconnect", ""}) == Words{shell.daemon.host});
  CHECK(shell.completes({"remove", "host", nqn, ""}) == Words{FakeDaemon::kHost});
  CHECK(shell.completes({"add", "host", nqn, ""}) == Words{shell.daemon.host});
  CHECK((shell.completes({"add", "host", "nqn.other", ""}) == Words{shell.daemon.host, FakeDaemon::kHost}));
}

TEST_CASE("a host chose a name that a shell would run: it is left out") {
  Shell shell;
  for (const char* const name :
       {"nqn.a:$(reboot)", "nqn.a b", "nqn.a;b", "nqn.a\x1b[2J", "nqn.`a`", "nqn.'a'", "nqn.ä"}) {
    shell.daemon.host = name;
    CHECK(shell.completes({"disconnect", ""}).empty());
  }
}

TEST_CASE("where the daemon has nothing to say: new names, settings, options, commands") {
  const Shell shell;
  const std::string nqn = FakeDaemon::kNqn;
  for (const Words& words :
       {Words{""}, Words{"remove", ""}, Words{"status", ""}, Words{"nosuch", ""}, Words{"add", "subsystem", ""},
        Words{"add", "namespace", nqn, ""}, Words{"set", "namespace", nqn, "1", ""}, Words{"remove", "namespace", "-"},
        Words{"remove", "namespace", "--socket", ""}, Words{"ana", nqn, ""}}) {
    CAPTURE(words.back());
    CHECK(shell.completes(words).empty());
  }
  CHECK(complete(shell.app, {}).empty());
}

TEST_CASE("the socket is that of the command line, in each spelling; without a daemon there is nothing") {
  const Shell shell;
  const std::string nqn = FakeDaemon::kNqn;
  CHECK(complete(shell.app, {"remove", "namespace", "--json", "--socket=" + shell.served.path(), ""}) == Words{nqn});
  CHECK(complete(shell.app, {"remove", "namespace", "--socket", "/nonexistent/admin.sock", ""}).empty());
}

}  // namespace
}  // namespace nvmf::cli
